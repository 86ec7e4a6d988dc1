"""What it costs a run to be watched: CPU of the run's process with nobody watching, `swarm watch`, `swarm view`
with a client that listens, and both.

    python tests/bench/overhead.py [--rounds 6] [--seconds 8] [--rate 360] [--ways watch view] [--out FILE]

The run is a real one of Swarm over a file of records, a slice a record, 64 in flight, in a process of its own;
only its model is SIMULATED: it computes nothing and sends `--rate` replies a second, one finding each. A call
writes three rows that whoever watches reads: the call, what came of it, and the report with its finding. So 360
calls are a little more than 1,000 events a second; how many were written is counted.

The watchers are the real commands. `swarm watch` runs in a terminal of 120 by 40 whose output is taken away;
`swarm view` has one client that listens to `/api/changes` and, as the page does, fetches what it shows after
each change. It is one run all the time, in which stretches of so many seconds are watched in this way or that,
in another order each round; each begins when its watchers stand. CPU is user and system time of all threads of
the run. Compared is within a round.

A run that is held up writes more at a time, which takes less CPU: what else the machine does may move the figures
more than any watcher does. So replies come some at a time, the run goes before others where it may (as root), and
the spread is told.

`tests/bench/watching.py` tells more of what the terminal itself takes, over a staged run.
"""

from __future__ import annotations

import argparse
import asyncio
import http.client
import json
import os
import pty
import random
import statistics
import struct
import subprocess
import sys
import tempfile
import termios
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from fcntl import ioctl
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import apsw
from calls import IN_FLIGHT, Silent, task_of, write_records

from swarm.models.base import Completion
from swarm.prompts.typed import Prompt
from swarm.run import Swarm

WAYS = ("nobody", "watch", "view", "both")
SETTLE_SECONDS = 6.0  # until those who have come have read what there is, and those who went have gone
PAGE = "overview"  # what the page that is open first fetches after a change
SWARM = [sys.executable, "-m", "swarm"]
EVENTS = ("records", "calls", "outcomes")
TOGETHER = 9
"""Replies that come at the same moment, as they do from a network: so the run writes as many rows at a time
whatever else the machine does, which one reply after the other would leave to chance."""
SAID = bytearray()
"""The last that the terminal was sent."""
HEARD: list[float] = []
"""When the client of the page had fetched what is new."""


class Paced(Silent):
    """Says in a file that it is asked, and then sends so many replies a second."""

    def __init__(self, rate: float, folder: Path) -> None:
        super().__init__(finds=True)
        self.rate, self.asked = rate, folder / "asked"
        self.sent, self.began = 0, 0.0

    async def call(self, prompt: Prompt[Any], *, max_output: int) -> Completion:
        if not self.began:
            self.began = time.monotonic()
            self.asked.touch()
        number, self.sent = self.sent, self.sent + 1
        due = self.began + number // TOGETHER * TOGETHER / self.rate
        await asyncio.sleep(max(0.0, due - time.monotonic()))
        return await super().call(prompt, max_output=max_output)


async def run(folder: Path, rate: float, calls: int) -> None:
    """The run that is watched, in this process."""
    with suppress(OSError):  # where it may not, it is held up as others are
        os.nice(-15)
    write_records(folder / "records.jsonl", calls)
    model = Paced(rate, folder)
    await Swarm(model, store=folder / "swarm.db", concurrency=IN_FLIGHT).run(task_of(folder))


# Those who watch


@contextmanager
def terminal(store: Path) -> Iterator[subprocess.Popen[bytes]]:
    """`swarm watch` in a terminal of its own."""
    ours, theirs = pty.openpty()
    ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
    environment = os.environ | {"TERM": "xterm-256color", "COLORTERM": "truecolor"}
    command = [*SWARM, "watch", "last", "--store", str(store)]
    watcher = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=environment)
    os.close(theirs)
    threading.Thread(target=_drain, args=(ours,), daemon=True).start()
    try:
        yield watcher
    finally:
        watcher.terminate()


def _drain(terminal: int) -> None:
    try:
        while said := os.read(terminal, 65_536):
            SAID[:] = (SAID + said)[-100_000:]
    except OSError:
        pass  # its other end is closed


@contextmanager
def page(store: Path) -> Iterator[subprocess.Popen[bytes]]:
    """`swarm view`, and one client of it."""
    command = [*SWARM, "view", "last", "--store", str(store), "--no-open"]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert server.stdout is not None
    address = next(line for line in iter(server.stdout.readline, b"") if b"token=" in line).decode()
    threading.Thread(target=_listen, args=(address[address.index("http") :].split()[0],), daemon=True).start()
    threading.Thread(target=lambda: SAID.extend(server.stdout.read()), daemon=True).start()
    try:
        yield server
    finally:
        server.terminate()


def _listen(address: str) -> None:
    """Read the changes, and fetch what the page shows after each."""
    url = urlsplit(address)
    with_token = {"Authorization": f"Bearer {parse_qs(url.query)['token'][0]}"}
    changes = http.client.HTTPConnection(url.netloc)
    changes.request("GET", "/api/changes", headers=with_token)
    answer = changes.getresponse()
    assert answer.status == 200, answer.status
    with suppress(OSError, http.client.HTTPException):  # the server ends; how often it was heard is looked at
        while line := answer.readline():
            if line.startswith(b"data:") and b"version" in line:
                fetches = http.client.HTTPConnection(url.netloc)
                fetches.request("GET", f"/api/{PAGE}", headers=with_token)
                reply = fetches.getresponse()
                assert json.loads(reply.read())["live"], "the run is at work"
                fetches.close()
                HEARD.append(time.monotonic())


def used(process: subprocess.Popen[bytes]) -> float:
    """CPU seconds that a process has used so far."""
    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


# A stretch


def stretch(way: str, store: Path, run: subprocess.Popen[bytes], seconds: float) -> dict[str, float]:
    """So many seconds of the run, watched in one way. All CPU is in shares of a core."""
    with ExitStack() as stack:
        watchers = []
        if way in ("watch", "both"):
            watchers.append(stack.enter_context(terminal(store)))
        if way in ("view", "both"):
            watchers.append(stack.enter_context(page(store)))
        time.sleep(SETTLE_SECONDS)
        before = used(run), sum(map(used, watchers)), written(store), time.monotonic()
        time.sleep(seconds)
        after = used(run), sum(map(used, watchers)), written(store), time.monotonic()
        assert run.poll() is None, "the run ended"
        for watcher in watchers:
            assert watcher.poll() is None, (
                f"{watcher.args} ended with {watcher.returncode}: {bytes(SAID[-4_000:])!r}"
            )
        heard = sum(at > before[-1] for at in HEARD)
        assert heard >= seconds / 3 or way not in ("view", "both"), f"the client heard {heard} changes"
    for watcher in watchers:
        watcher.wait(30)
        if watcher.stdout is not None:
            watcher.stdout.close()
    wall = after[-1] - before[-1]
    cpu, watching, events = ((late - early) / wall for early, late in zip(before[:3], after[:3], strict=True))
    return {"cpu": cpu, "watcher": watching, "events": events}


def written(store: Path) -> int:
    """How many rows the run has written by now that whoever watches reads."""
    connection = apsw.Connection(str(store), flags=apsw.SQLITE_OPEN_READONLY)
    found = sum(connection.execute(f"SELECT max(rowid) FROM {table}").get for table in EVENTS)
    connection.close()
    return found


def table(options: argparse.Namespace) -> list[dict[str, Any]]:
    lasts = options.rounds * len(options.ways) * (options.seconds + SETTLE_SECONDS + 8.0)
    rows: dict[str, list[dict[str, float]]] = {way: [] for way in options.ways}
    load = f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}"
    print(f"{options.rate:g} calls a second (SIMULATED model), {load}", flush=True)
    with tempfile.TemporaryDirectory(prefix="swarm-bench-") as name:
        command = [sys.executable, __file__, "--run", name, "--rate", str(options.rate)]
        run = subprocess.Popen([*command, "--calls", str(round(lasts * options.rate))])
        try:
            while not (Path(name) / "asked").exists():
                assert run.poll() is None, "the run ended before it began"
                time.sleep(0.1)
            for number in range(options.rounds):
                for way in random.sample(options.ways, len(options.ways)):
                    row = stretch(way, Path(name) / "swarm.db", run, options.seconds)
                    rows[way].append(row)
                    said = f"{row['cpu']:6.1%} of a core, {row['events']:6,.0f} events/s"
                    told = f"round {number + 1}  {way:7} run {said}, watching {row['watcher']:6.1%}"
                    print(told, flush=True)
        finally:
            run.kill()
            run.wait()
    print(
        f"{'':8} {'run, core':>10} {'overhead':>9} {'error':>7} {'of rounds':>20} {'watching':>9} {'events/s':>9}"
    )
    return [summed(way, rows) for way in options.ways]


def summed(way: str, rows: dict[str, list[dict[str, float]]]) -> dict[str, Any]:
    """The median of the rounds, the standard error of their mean, and the least and most, in percent."""
    pairs = zip(rows[way], rows["nobody"], strict=True)
    overheads = sorted(100 * (row["cpu"] / alone["cpu"] - 1) for row, alone in pairs)
    error = statistics.stdev(overheads) / len(overheads) ** 0.5 if len(overheads) > 1 else 0.0
    middle = {key: statistics.median(row[key] for row in rows[way]) for key in rows[way][0]}
    told = {"way": way, **middle, "overhead": statistics.median(overheads), "error": error, "rounds": overheads}
    over = ("", "", "")
    if way != "nobody":
        spread = f"{overheads[0]:+.1f} % to {overheads[-1]:+.1f} %"
        over = (f"{told['overhead']:+.1f} %", f"{error:.1f} %", spread)
    took = f"{way:8} {middle['cpu']:10.1%} {over[0]:>9} {over[1]:>7} {over[2]:>20} {middle['watcher']:9.1%}"
    print(f"{took} {middle['events']:9,.0f}", flush=True)
    return told


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--seconds", type=float, default=8.0, help="of each stretch")
    parser.add_argument("--rate", type=float, default=360.0, help="calls a second; each makes three events")
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=WAYS)
    parser.add_argument("--out", type=Path, help="write the rows as JSON")
    parser.add_argument("--run", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--calls", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.run is not None:
        asyncio.run(run(options.run, options.rate, options.calls))
        return
    options.ways = tuple(dict.fromkeys(("nobody", *options.ways)))
    rows = table(options)
    if options.out is not None:
        options.out.write_text(json.dumps(rows, indent=2) + "\n")


if __name__ == "__main__":
    main()
