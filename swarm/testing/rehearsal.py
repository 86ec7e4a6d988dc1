"""A recipe, worked for real against a simulated provider: each of its runs, and what was heard of it.

An event loop and a clock of its own (`clock`), a private store that is gone afterwards, and models whose every
request goes to this machine (`standins`). Of a corpus with many slices a sample is read, evenly
spread; everything after it is done with what the sample brought. What comes of it is for `forecast` to say.
"""

from __future__ import annotations

import math
import os
import random
import tempfile
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from swarm.coordinator.desk import Desk
from swarm.coordinator.estimate import priced
from swarm.errors import RateLimited, UsageError
from swarm.events import Event, PhaseChanged, SliceFailed, SliceFinished, SlicesPlanned, SliceSplit
from swarm.limits.gate import reserved_output
from swarm.models.base import Price
from swarm.program import Program
from swarm.run import Swarm
from swarm.task import Answer, Limits, Task, Usage
from swarm.testing.clock import SimulatedLoop, run_simulated
from swarm.testing.faults import Arrival, Fault, Plan, faults_by
from swarm.testing.provider import Provider
from swarm.testing.simulated import Simulated, errors
from swarm.testing.standins import Heard, Hearing, stand_in
from swarm.testing.untouched import Ended, Watch, watched

DEFAULT_MODEL = "anthropic:claude-sonnet-5-5"
"""Who is rehearsed with, where nobody is named."""
CALLS = 100
"""Slices that are read, or calls of a run that works, at the most."""
_TOKENS = 1_500_000  # of material that is read, at the most: some twenty seconds of counting and searching
_LEAST = 4  # slices that are read whatever they hold
_FOR_THE_ANSWER = 2  # calls that a limit keeps back
_RUNS = 3  # times CALLS, after which a recipe's next run does not begin

Work = Callable[[Swarm], Awaitable[Answer | None]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Rehearsed:
    """One run. `planned` slices cover its corpus, `sampled` of them were given to readers, and `worked` of those
    are settled. `seconds` passed in all, `reading_seconds` of them while the corpus was read. `cut_off` is true
    where the rehearsal ended it, and not a limit of the user's. `price` is that of the model that plans and
    answers, and `room` the tokens that a prompt of it may have."""

    mode: str
    answer: Answer
    limits: Limits
    calls: tuple[Heard, ...]
    met: dict[str, int]
    """The errors that the provider gave, by name."""
    planned: int
    sampled: int
    worked: int
    split: int
    failed: tuple[str, ...]
    seconds: float
    reading_seconds: float
    places: int
    cut_off: bool
    price: Price
    room: int
    worst: Usage
    """The most that its largest call could have come to: so much must be left of a limit for a call to leave."""
    stopped: tuple[str, float] | None = None
    """The limit of the user's that ended it, as it is called in `Limits`, and the share of its slices that were
    done by then. The rest is then what it came to without the limits."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Rehearsal:
    """What was set, the runs that were made of it, and why the recipe was ended, if it was."""

    settings: Simulated
    model: str
    reader: str
    prices: tuple[str, ...]
    runs: tuple[Rehearsed, ...]
    ended: str | None


def rehearse(
    work: Work,
    *,
    settings: Simulated,
    model: str | None = None,
    reader: str | None = None,
    calls: int | None = None,
    concurrency: int | None = None,
    limits: Callable[[Limits], Limits] = lambda given: given,
    recipe: str = "",
    **connected: Any,
) -> Rehearsal:
    """Work `work` to its end, or to where a rehearsal may not go on.

    `calls` bounds the sample (None: `CALLS`, and less where they hold much), `limits` has the last word on those
    of each run, `recipe` is the file of the recipe, and `connected` are settings of `connect`: window, base_url,
    price. No key is needed.

    Raises:
        UsageError: the models ask no provider; and whatever the recipe raises.
    """
    name = model or DEFAULT_MODEL
    if {name, reader or name} == {"extractive"}:
        raise UsageError("extractive asks no provider and costs nothing: run it, there is nothing to rehearse")

    async def main(loop: SimulatedLoop) -> Rehearsal:
        met: Counter[str] = Counter()
        plan = _counted(settings, met)
        with (
            tempfile.TemporaryDirectory(prefix="swarm-rehearsal-") as folder,
            _no_proxy(),
            watched(recipe) as watch,
        ):
            async with settings.provider(clock=loop.time, keep=False, faults=plan).here() as provider:
                hearing = Hearing(clock=loop.time)
                loop.on_its_way = lambda: hearing.under_way > provider.tally.in_flight
                models = [
                    stand_in(one, provider, hearing, **connected) for one in dict.fromkeys([name, reader or name])
                ]
                swarm = Rehearsing(
                    models[0],
                    reader=models[-1],
                    concurrency=concurrency,
                )
                swarm.prepare(Path(folder), provider, met, hearing, calls, limits, watch, loop)
                ended = await _worked(work, swarm)
        return Rehearsal(
            settings=settings,
            model=name,
            reader=reader or name,
            prices=tuple(dict.fromkeys(priced(one) for one in models)),
            runs=tuple(swarm.runs),
            ended=f"it would {watch.refused}, which a rehearsal does not do" if watch.refused else ended,
        )

    state = random.getstate()
    try:
        return run_simulated(main)
    finally:
        random.setstate(state)


async def _worked(work: Work, swarm: Rehearsing) -> str | None:
    try:
        await work(swarm)
    except Ended as ended:
        return str(ended)
    return None


def _lifted(limits: Limits) -> Limits:
    """The same without those that end a run."""
    return replace(
        limits, cost_usd=math.inf, cost_is_default=False, tokens=None, calls=None, wall_seconds=None, slices=None
    )


def _counted(settings: Simulated, met: Counter[str]) -> Plan:
    """The errors that are set, counted by their names."""
    kinds = errors()
    names = {id(fault): name for name, fault in kinds.items()}
    plan = faults_by([(kinds[name], share) for name, share in settings.errors.items()], settings.seed)

    def counted(arrival: Arrival) -> Fault | None:
        fault = plan(arrival)
        if fault is not None:
            met[names[id(fault)]] += 1
        return fault

    return counted


@contextmanager
def _no_proxy() -> Iterator[None]:
    """A proxy of the user's is for what leaves this machine, and nothing does."""
    before = {name: os.environ.get(name) for name in ("NO_PROXY", "no_proxy")}
    os.environ.update(dict.fromkeys(before, "127.0.0.1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@dataclass(kw_only=True)
class _Seen:
    """What the events of one run tell."""

    desk: Desk | None = None
    planned: int = 0
    sampled: int = 0
    roots: set[str] = field(default_factory=set)
    finished: int = 0
    split: int = 0
    failed: list[str] = field(default_factory=list)
    reading_since: float | None = None
    reading_seconds: float = 0.0


class Rehearsing(Swarm):
    """The swarm that a recipe is handed. `runs` are those that it has made."""

    def prepare(
        self,
        folder: Path,
        provider: Provider,
        met: Counter[str],
        hearing: Hearing,
        calls: int | None,
        limits: Callable[[Limits], Limits],
        watch: Watch,
        loop: SimulatedLoop,
    ) -> None:
        self.runs: list[Rehearsed] = []
        self._folder, self._provider, self._met = folder, provider, met
        self._store = folder / "rehearsal.db"
        self._hearing, self._calls, self._limits_of = hearing, calls or CALLS, limits
        self._tokens = _TOKENS if calls is None else None
        self._watch, self._loop = watch, loop
        self._clock = loop.time
        self._seen = _Seen()

    async def run(
        self,
        task: Task,
        *,
        run_id: str | None = None,  # noqa: ARG002 - as the base class
        plan: Program | None = None,
    ) -> Answer:
        if len(self._hearing.calls) >= _RUNS * self._calls:
            raise Ended(f"a rehearsal makes no more runs after {len(self._hearing.calls):,} calls")
        own = self._limits_of(task.limits)
        made = await self._once(replace(task, limits=own), plan)
        if made.answer.limit is not None and not made.cut_off:
            # what the whole comes to is not seen where it stopped: it is worked once more, without the limits
            self._store = self._folder / f"{len(self.runs)}.db"  # where nothing is known yet
            self._provider.reset()
            whole = await self._once(replace(task, limits=_lifted(own)), plan)
            limits, share = made.limits, made.worked / made.planned if made.planned else 0.0
            self.runs.append(replace(whole, limits=limits, stopped=(made.answer.limit, round(min(1.0, share), 3))))
        else:
            self.runs.append(made)
        self._watch.on = True
        return made.answer

    async def _once(self, task: Task, plan: Program | None) -> Rehearsed:
        """One run. Of work nobody knows the end: it is ended after so many calls."""
        self._seen = seen = _Seen()
        self._met.clear()
        random.seed(self._provider.seed)  # how long is waited before a retry is drawn from there
        own, held = task.limits, task.limits
        if task.mode == "work":
            most = self._calls + _FOR_THE_ANSWER
            held = replace(own, calls=min(most, own.calls if own.calls is not None else most))
        before, began = len(self._hearing.calls), self._loop.time()
        answer = await super().run(replace(task, limits=held), plan=plan)
        self._phase(None)
        desk = seen.desk
        assert desk is not None, "a store that is new has no answers yet"
        calls = tuple(self._hearing.calls[before:])
        self._met["429"] = sum(call.outcome == RateLimited.__name__ for call in calls)
        settled = seen.roots & (desk.done | desk.split | desk.failures.keys())
        return Rehearsed(
            mode=task.mode,
            answer=answer,
            limits=replace(desk.limits, calls=own.calls),
            calls=calls,
            met={kind: many for kind, many in self._met.items() if many},
            planned=seen.planned,
            sampled=seen.sampled,
            worked=len(settled) if task.mode == "read" else seen.finished,
            split=seen.split,
            failed=tuple(seen.failed),
            seconds=self._loop.time() - began,
            reading_seconds=seen.reading_seconds,
            places=desk.concurrency,
            cut_off=answer.limit == "calls" and held.calls != own.calls,
            price=self._model.price,
            worst=self._worst(answer.window_peak),
            room=self._model.window - reserved_output(self._model),
        )

    def _worst(self, peak: int) -> Usage:
        output = min(peak, max(reserved_output(self._model), reserved_output(self._reader)))
        dollars = max(one.price.worst(peak - output, output) for one in (self._model, self._reader))
        return Usage(calls=1, input_tokens=peak - output, output_tokens=output, cost_usd=dollars)

    def _desk(self, *arguments: Any, **more: Any) -> Desk:
        desk = super()._desk(*arguments, **more)
        self._seen.desk, emit = desk, desk.emit

        def heard(event: Event) -> None:
            self._hear(desk, event)
            emit(event)

        desk.emit = heard
        return desk

    def _hear(self, desk: Desk, event: Event) -> None:
        seen = self._seen
        match event:
            case SlicesPlanned(slices=many, round=number):
                if desk.task.mode == "work":
                    seen.planned = seen.sampled = seen.planned + many
                elif number == 1:
                    seen.planned = len(desk.planned)
                    desk.planned = self._sample(desk)
                    seen.sampled, seen.roots = len(desk.planned), set(desk.planned)
                    self._phase(seen)
            case PhaseChanged(phase=phase) if phase != "dispatch":
                self._phase(None)
            case SliceSplit():
                seen.split += 1
            case SliceFailed(reason=reason):
                seen.failed.append(reason)
            case SliceFinished():
                seen.finished += 1

    def _phase(self, reading: _Seen | None) -> None:
        """The first reading of the corpus begins or, with None, is over."""
        seen, now = self._seen, self._loop.time()
        if reading is not None:
            seen.reading_since = now
        elif seen.reading_since is not None:
            seen.reading_seconds, seen.reading_since = now - seen.reading_since, None
        self._hearing.first_reading = reading is not None

    def _sample(self, desk: Desk) -> list[str]:
        """So many of the planned slices as are read here, evenly spread."""
        planned = desk.planned
        most = self._calls
        if self._tokens is not None and planned:
            mean = max(1.0, sum(desk.slices[ref].tokens for ref in planned) / len(planned))
            most = max(_LEAST, min(most, int(self._tokens / mean)))
        if len(planned) <= most:
            return planned
        return [planned[int((number + 0.5) * len(planned) / most)] for number in range(most)]
