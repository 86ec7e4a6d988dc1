"""A provider in a process of its own: started by a test, or by hand with `python -m swarm.testing.provider`.

It prints its URL as the only line on stdout, serves until SIGTERM or until the pipe that is its stdin closes, and
listens on the loopback address only. Beside the providers' own paths it has

- `/swarm/counts`: the tally, as JSON (`Tally.summary`);
- `/swarm/ledger`: what was allowed and refused, by time, as JSON (`Ledger.columns`);
- `/swarm/wait?requests=N&replies=N&quiet=1&seconds=S`: answers when so many have come and left (and nothing is in
  flight), with 504 when it did not come to that;
- `/swarm/reset`: forgets all requests.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import stat
import subprocess
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from types import TracebackType
from typing import Any, Protocol, Self
from urllib.request import urlopen

from swarm.testing.ability import Ability
from swarm.testing.allowance import COUNTED, Allowance
from swarm.testing.faults import faults_at, kinds
from swarm.testing.latency import Delays


class Apart:
    """A provider in a process of its own, from `with` to the end of its block. `options` are those of the command
    line, without the dashes: `Apart(window=8_000, latency=0.05)`."""

    def __init__(self, **options: str | float) -> None:
        self._options = options
        self.url = ""

    @property
    def openai_url(self) -> str:
        """The base URL that OpenAI's SDK wants."""
        return f"{self.url}/v1"

    def counts(self) -> dict[str, Any]:
        """As `Tally.summary`."""
        counts: dict[str, Any] = self._get("counts")
        return counts

    def ledger(self) -> dict[str, list[Any]]:
        """As `Ledger.columns`."""
        columns: dict[str, list[Any]] = self._get("ledger")
        return columns

    def reset(self) -> None:
        """Forget all requests."""
        self._get("reset")

    def wait_for(self, *, requests: int = 0, replies: int = 0, quiet: bool = False, seconds: int = 60) -> None:
        """Return when so many requests have come and so many replies have left and, if `quiet`, nothing is in
        flight.

        Raises:
            OSError: they did not in `seconds`.
        """
        self._get(f"wait?requests={requests}&replies={replies}&quiet={int(quiet)}&seconds={seconds}")

    def __enter__(self) -> Self:
        words = [
            word for name, value in self._options.items() for word in (f"--{name.replace('_', '-')}", str(value))
        ]
        self._process = subprocess.Popen(  # noqa: S603  # this very program
            [sys.executable, "-m", "swarm.testing.provider", *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert self._process.stdout is not None
        self.url = self._process.stdout.readline().decode().strip()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.terminate()
        self._process.communicate()

    def _get(self, path: str) -> Any:
        with urlopen(f"{self.url}/swarm/{path}") as reply:  # noqa: S310  # a loopback address
            return json.load(reply)


class Served(Protocol):
    """A `Provider`, as far as it matters here."""

    url: str

    def server(self, port: int) -> tuple[Any, socket.socket]: ...


def settings(arguments: Sequence[str] | None = None) -> tuple[dict[str, Any], int]:
    """What the command line says, as the parameters of `Provider`, and the port."""
    options = _parser().parse_args(arguments)
    names = options.kinds.split(",") if options.kinds else list(kinds())
    delays = Delays(median_seconds=options.latency, sigma=options.sigma, token_seconds=options.token_seconds)
    ability = Ability(recall=options.recall, fabricates=options.fabricates, forgets_middle=options.forgets_middle)
    limits = {name: getattr(options, name) for name in COUNTED}
    given = {
        "window": options.window,
        "dialect": options.dialect,
        "faults": faults_at(options.faults, [kinds(options.wait)[name] for name in names], options.seed),
        "latency": delays.latency(options.seed),
        "token_seconds": delays.token_seconds,
        "ability": ability,
        "seed": options.seed,
        "allowance": Allowance(**limits, period_seconds=options.period) if any(limits.values()) else None,
        "keep": False,
    }
    return given, options.port


def serve(provider: Served, port: int) -> None:
    """Print the URL and serve, until the process is told to end or whoever started it is gone."""
    server, listening = provider.server(port)
    sys.stdout.write(f"{provider.url}\n")
    sys.stdout.flush()

    def follow() -> None:
        while os.read(0, 1_024):
            pass
        server.should_exit = True

    if stat.S_ISFIFO(os.fstat(0).st_mode):  # by hand, or with no stdin at all, only a signal ends it
        threading.Thread(target=follow, daemon=True).start()
    with suppress(KeyboardInterrupt):
        server.run(sockets=[listening])


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m swarm.testing.provider",
        description="A simulated provider of models on this machine, for tests.",
    )
    parser.add_argument("--port", type=int, default=0, help="0 takes any")
    parser.add_argument("--window", type=int, default=32_768, help="tokens")
    parser.add_argument("--dialect", default="openai", help="whose words it has for a prompt that is too long")
    parser.add_argument(
        "--latency", type=float, default=0.0, help="seconds a call, the median where --sigma is given"
    )
    parser.add_argument("--sigma", type=float, default=0.0, help="of a log-normal latency")
    parser.add_argument("--token-seconds", type=float, default=0.0, help="that each token of a reply takes more")
    parser.add_argument("--recall", type=float, default=1.0, help="share of what bears on a question, reported")
    parser.add_argument("--fabricates", type=float, default=0.0, help="share of the quotes that stand nowhere")
    parser.add_argument(
        "--forgets-middle", type=float, default=0.0, help="share of the recall lost in the middle of long prompts"
    )
    parser.add_argument("--faults", type=float, default=0.0, help="share of the calls that fail, 0 to 1")
    parser.add_argument("--kinds", default="", help=f"which faults, with commas between: {', '.join(kinds())}")
    parser.add_argument(
        "--wait", type=float, default=1.0, help="seconds of a retry-after and of a slow first byte"
    )
    parser.add_argument("--seed", type=int, default=0)
    for name in COUNTED:
        parser.add_argument(f"--{name.replace('_', '-')}", type=int, help="that are allowed in a period")
    parser.add_argument("--period", type=float, default=60.0, help="seconds")
    return parser
