"""What a process tells of its runs in numbers: OpenTelemetry's instruments, each made once.

The names are those of OpenTelemetry's conventions for generative AI, version 0.1.0; beside two of them stands the
older name, which most boards still draw. What is Swarm's alone is under `swarm.`. This module knows no run.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from swarm.observe.spans import ERROR, MODEL, OPERATION, PROVIDER, Attributes
from swarm.task import Usage

if TYPE_CHECKING:
    from opentelemetry.metrics import Meter

_SECONDS = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
_LONG_SECONDS = (1, 5, 10, 30, 60, 120, 300, 600, 1_800, 3_600, 7_200, 21_600, 86_400)
_TOKENS = tuple(4**n for n in range(14))
_SHARES = tuple(n / 10 for n in range(1, 11))
_OF_CALLS = (OPERATION, PROVIDER, MODEL, "server.address", "server.port")
_MODALITY = "gen_ai.token.modality"


class Instruments:
    """All that is counted, of one meter."""

    def __init__(self, meter: Meter) -> None:
        def seconds(name: str, text: str, bounds: tuple[float, ...] = _SECONDS) -> Any:
            return meter.create_histogram(name, "s", text, explicit_bucket_boundaries_advisory=bounds)

        def tokens(name: str, text: str) -> Any:
            return meter.create_counter(f"gen_ai.client.inference.usage.{name}", "{token}", text)

        call = "How long a call of a model took, with all its tries."
        self._durations = [seconds(f"gen_ai.client.{name}.duration", call) for name in ("inference", "operation")]
        self._input = tokens("input_tokens", "Input tokens used, cached ones included.")
        self._output = tokens("output_tokens", "Output tokens used.")
        self._cached = tokens("cache_read.input_tokens", "Input tokens served from a provider's cache.")
        self._tokens = meter.create_histogram(
            "gen_ai.client.token.usage",
            "{token}",
            "Input and output tokens of a call.",
            explicit_bucket_boundaries_advisory=_TOKENS,
        )
        self._agents = seconds("gen_ai.invoke_agent.duration", "How long slices and runs took.", _LONG_SECONDS)
        self._tools = seconds("gen_ai.execute_tool.duration", "How long tools took.")
        self._cost = meter.create_counter("swarm.cost", "{USD}", "Dollars spent.")
        self._retries = meter.create_counter("swarm.call.failed_tries", "{try}", "Tries that came to nothing.")
        self._fill = meter.create_histogram(
            "swarm.window.fill",
            "1",
            "The share of its window that a call was counted to fill.",
            explicit_bucket_boundaries_advisory=_SHARES,
        )
        self._slices = meter.create_up_down_counter("swarm.slices", "{slice}", "Slices, by what became of them.")
        self._busy = meter.create_up_down_counter("swarm.places.busy", "{place}", "Slices that are being worked.")

        slices = "{slice}"
        self._workers = meter.create_up_down_counter("swarm.workers", "{worker}", "Workers that live, by state.")
        self._held = meter.create_up_down_counter("swarm.slices.held", slices, "Slices that workers are at.")
        self._offered = meter.create_counter("swarm.slices.offered", slices, "Slices offered to workers.")
        self._claimed = meter.create_counter("swarm.slices.claimed", slices, "Slices that workers claimed.")
        self._handed_in = meter.create_counter("swarm.slices.handed_in", slices, "Slices that workers handed in.")
        self._lost = meter.create_counter("swarm.leases.lost", "{lease}", "Leases that could not be renewed.")
        self._redeliveries = meter.create_counter(
            "swarm.redeliveries", "{delivery}", "Deliveries of slices that were another's, or done with."
        )

    def workers(self, change: int, state: str) -> None:
        self._workers.add(change, {"swarm.worker.state": state})

    def held(self, change: int) -> None:
        self._held.add(change)

    def offered(self, number: int) -> None:
        self._offered.add(number)

    def claimed(self) -> None:
        self._claimed.add(1)

    def handed_in(self) -> None:
        self._handed_in.add(1)

    def lost(self, number: int) -> None:
        self._lost.add(number)

    def delivered_again(self) -> None:
        self._redeliveries.add(1)

    def sent(self, told: Attributes) -> None:
        """A call leaves."""
        if isinstance(fill := told.get("swarm.window.fill"), float):
            self._fill.record(fill, _picked(told, (*_OF_CALLS, "swarm.prompt")))

    def tried(self, told: Attributes, error: str) -> None:
        """A try of a call came to nothing."""
        self._retries.add(1, _picked(told, _OF_CALLS) | {ERROR: error})

    def called(self, told: Attributes, usage: Usage, seconds: float, error: str | None) -> None:
        """A call is over."""
        of = _picked(told, _OF_CALLS)
        counted = of | {_MODALITY: "text"}
        self._input.add(usage.input_tokens, counted)
        self._output.add(usage.output_tokens, counted)
        self._cached.add(usage.cached_tokens, counted)
        for type_, tokens in (("input", usage.input_tokens), ("output", usage.output_tokens)):
            self._tokens.record(tokens, of | {"gen_ai.token.type": type_})
        self._cost.add(usage.cost_usd, of | {"swarm.prompt": told["swarm.prompt"]})
        for durations in self._durations:
            durations.record(seconds, of | ({ERROR: error} if error else {}))

    def worked(self, told: Attributes, seconds: float) -> None:
        """A slice or a run is over."""
        self._agents.record(seconds, _picked(told, (OPERATION, "gen_ai.agent.name", ERROR)))

    def used(self, told: Attributes, seconds: float) -> None:
        """A tool was used."""
        self._tools.record(seconds, _picked(told, (OPERATION, "gen_ai.tool.name", ERROR)))

    def slices(self, change: int, state: str) -> None:
        self._slices.add(change, {"swarm.slice.state": state})

    def busy(self, change: int) -> None:
        self._busy.add(change)


def _picked(told: Mapping[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    return {name: told[name] for name in names if name in told}
