"""Machines that work one run on a shared remote: `swarm run`, `swarm resume --standby` and `swarm worker`, each a
process in a folder of its own that has nothing but git, the store's address and the remote's.

They are forked from a process that has everything imported, and call the command line as a user would. Leases are
short where they are `hasty`. What became of it is read from the journal and from the remote.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psycopg

from swarm.testing.provider import Provider
from tests.kill.victim import SAID

PATIENT = 300.0
MODEL = "openai:gpt-5-mini"  # a model whose price is known; nobody is asked for it
ANSWER = "answer.json"
_MEANT = (None, 0, -signal.SIGKILL, 128 + signal.SIGTERM)  # how a process may end, the last by leaving at once
_fork = multiprocessing.get_context("forkserver")
_CALLS = (
    "SELECT count(*), coalesce(sum(tries), 0)::int, count(*) FILTER (WHERE 1 < ("
    "SELECT count(*) FROM swarm.outcomes WHERE call = calls.seq AND reply IS NOT NULL)) FROM swarm.calls"
)


@dataclass(kw_only=True)
class Machine:
    folder: Path
    words: tuple[str, ...]
    process: BaseProcess

    @property
    def pid(self) -> int:
        assert self.process.pid is not None
        return self.process.pid

    @property
    def said(self) -> str:
        path = self.folder / SAID
        return path.read_text("utf-8", "replace") if path.exists() else ""


@dataclass
class Machines:
    """From `with` to the end of its block. `upsets` are what befell them, by kind."""

    folder: Path
    store: str
    provider: Provider
    hasty: bool = True
    members: dict[str, Machine] = field(default_factory=dict)
    upsets: Counter[str] = field(default_factory=Counter)

    def __enter__(self) -> Self:
        self.folder.mkdir(parents=True, exist_ok=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for one in self.members.values():
            if one.process.is_alive():
                _signal(one.pid, signal.SIGKILL)
            one.process.join(30)

    # Machines

    def coordinator(self, name: str, recipe: str, *options: str) -> Machine:
        """`swarm run RECIPE`."""
        return self.start(name, "run", recipe, *options, *self._shared(), *self._asked(), "--json", "--log-json")

    def standby(self, name: str, run: str) -> Machine:
        """`swarm resume RUN --standby`."""
        return self.start(name, "resume", run, "--standby", *self._shared(), "--yes", "--json", "--log-json")

    def worker(self, name: str, recipe: str, places: int = 4) -> Machine:
        return self.start(
            name, "worker", "--store", self.store, "--recipe", recipe, "--concurrency", str(places), "--log-json"
        )

    def start(self, name: str, *words: str, anew: bool = False) -> Machine:
        """In the folder that a machine of that name had, or `anew` in one with nothing in it."""
        folder = self.folder / name
        if anew:
            folder = self.folder / f"{name} {time.monotonic_ns()}"
        folder.mkdir(exist_ok=True)
        process = _fork.Process(target=_main, args=(folder, words, self.hasty))
        process.start()
        self.members[name] = made = Machine(folder=folder, words=words, process=process)
        return made

    def again(self, name: str, *, anew: bool = False) -> Machine:
        """One that ended begins again."""
        return self.start(name, *self.members[name].words, anew=anew)

    def _shared(self) -> tuple[str, ...]:
        return ("--store", self.store, "--engine", "postgres")

    def _asked(self) -> tuple[str, ...]:
        url = self.provider.openai_url
        given = ("--model", MODEL, "--base-url", url, "--window", "32000", "--max-cost-usd", "none")
        return (*given, "--concurrency", "32", "--yes")

    # What befalls them

    def kill(self, name: str) -> None:
        one = self.members[name]
        assert one.process.is_alive(), f"{name} was done before it could be killed\n{one.said[-2_000:]}"
        self.upsets[f"kill {one.words[0]}"] += 1
        _signal(one.pid, signal.SIGKILL)
        one.process.join(30)

    def freeze(self, name: str) -> None:
        self.upsets[f"freeze {self.members[name].words[0]}"] += 1
        _signal(self.members[name].pid, signal.SIGSTOP)

    def thaw(self, name: str) -> None:
        _signal(self.members[name].pid, signal.SIGCONT)

    def drain(self, name: str) -> None:
        os.kill(self.members[name].pid, signal.SIGTERM)

    # Its work

    def wait(self, until: Callable[[], object], what: str, seconds: float = PATIENT) -> None:
        end = time.monotonic() + seconds
        while not until():
            self.check_alive()
            assert time.monotonic() < end, f"{what}: not in {seconds} s\n{self.told()}"
            time.sleep(0.02)

    def check_alive(self) -> None:
        """Nobody ended who was not made to."""
        for name, one in self.members.items():
            code = one.process.exitcode
            assert code in _MEANT, f"{name} ended with {code}: {self.told()}"

    def answer(self, *names: str, seconds: float = PATIENT) -> dict[str, Any]:
        """What one of these coordinators came to; all workers are told to leave after that."""
        done: list[Machine] = []

        def over() -> bool:
            done[:] = [self.members[name] for name in names if self.members[name].process.exitcode == 0]
            return bool(done)

        self.wait(over, "an answer", seconds)
        for name in names:
            self.members[name].process.join(60)
        workers = {name: one for name, one in self.members.items() if one.words[0] == "worker"}
        for name, one in workers.items():
            if one.process.is_alive():
                self.drain(name)
        for name, one in workers.items():
            one.process.join(60)
            assert one.process.exitcode in _MEANT[1:], f"{name}: {one.process.exitcode}\n{self.told()}"
        answer: dict[str, Any] = json.loads((done[0].folder / ANSWER).read_text("utf-8"))
        return answer

    def told(self) -> str:
        """What the processes said."""
        return "\n".join(
            f"--- {name} (pid {one.process.pid}, {one.process.exitcode}, {' '.join(one.words[:2])})\n"
            f"{one.said[-4_000:]}"
            for name, one in self.members.items()
        )

    # The journal

    def ask(self, sql: str, *given: Any) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.store, autocommit=True) as server:
            try:
                return server.execute(sql, given).fetchall()  # type: ignore[call-overload, unused-ignore]
            except psycopg.errors.UndefinedTable:
                return []

    def run(self) -> str:
        """The id of the one run of the store, once there is one."""
        found: list[str] = []

        def begun() -> bool:
            found[:] = [id_ for (id_,) in self.ask("SELECT id FROM swarm.runs")]
            return bool(found)

        self.wait(begun, "a run")
        return found[0]

    def records(self, kind: str) -> list[tuple[str, dict[str, Any]]]:
        """The records of a kind, in their order."""
        sql = (
            "SELECT convert_from(key, 'UTF8'), convert_from(body, 'UTF8') FROM swarm.records "
            "WHERE kind = %s ORDER BY seq"
        )
        return [(key, json.loads(body)) for key, body in self.ask(sql, kind)]

    def at(self, slice_: str) -> str:
        """The name of the worker that a slice was worked by last."""
        pid = [body["machine"] for key, body in self.records("placed") if key.partition(":")[0] == slice_][-1]
        return next(name for name, one in self.members.items() if f"-{one.pid}-" in pid)

    def calls(self) -> tuple[int, int, int]:
        """Calls, how often they were begun, and those that have more than one reply."""
        return self.ask(_CALLS)[0]  # type: ignore[return-value]

    def under_way(self) -> list[str]:
        return [ref for (ref,) in self.ask("SELECT ref FROM swarm.claims")]


def _signal(pid: int, number: int) -> None:
    """To all that belongs to a process."""
    with suppress(ProcessLookupError):
        try:
            os.killpg(pid, number)
        except ProcessLookupError:
            os.kill(pid, number)  # it has no group of its own yet


def _main(folder: Path, words: Sequence[str], hasty: bool) -> None:
    os.setsid()
    os.chdir(folder)
    os.environ |= {"OPENAI_API_KEY": "not-a-real-key", "NO_PROXY": "*"}
    said = os.open(SAID, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(said, 2)
    out = os.open(f"{ANSWER}.part", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(out, 1)
    if hasty:
        from tests.kill.member import _hasten

        _hasten()
    from swarm.cli.main import main

    sys.argv = ["swarm", *words]
    code = main()
    sys.stdout.flush()
    if code == 0:
        Path(f"{ANSWER}.part").rename(ANSWER)
    sys.exit(code)


# The remote


@dataclass(frozen=True, kw_only=True)
class Landed:
    """A commit on the remote's branch."""

    commit: str
    parents: tuple[str, ...]
    subject: str
    trailers: dict[str, str]

    @property
    def slice(self) -> str:
        """The order's name, and the slice's id."""
        return self.trailers["Swarm-Slice"]


def git(folder: Path, *words: str) -> str:
    return subprocess.run(["git", *words], cwd=folder, check=True, capture_output=True, text=True).stdout.strip()


def landed(remote: Path, base: str, branch: str = "green") -> list[Landed]:
    """What is on the branch after `base`, the first first."""
    form = "%H%x00%P%x00%s%x00%(trailers:only,unfold)%x01"
    told = git(remote, "log", "--reverse", f"--format={form}", f"{base}..{branch}")
    commits = []
    for one in filter(None, (part.strip() for part in told.split("\x01"))):
        commit, parents, subject, trailers = one.split("\0")
        pairs = dict(line.split(": ", 1) for line in trailers.splitlines() if line)
        commits.append(Landed(commit=commit, parents=tuple(parents.split()), subject=subject, trailers=pairs))
    return commits


def check_landed(machines: Machines, remote: Path, base: str, branch: str = "green") -> list[Landed]:
    """The branch is one line of commits, each of one slice that landed once, and the journal has the same; nothing
    of the run is left."""
    commits = landed(remote, base, branch)
    assert [one.parents for one in commits] == [(base,), *((one.commit,) for one in commits[:-1])][: len(commits)]
    twice = [name for name, times in Counter(one.slice for one in commits).items() if times > 1]
    assert not twice, f"landed more than once: {twice}"
    recorded = Counter(body["commit"] for _, body in machines.records("landed") if body.get("commit"))
    assert recorded == Counter(one.commit for one in commits)
    refs = git(remote, "for-each-ref", "--format=%(refname)").splitlines()
    assert refs == [f"refs/heads/{branch}", "refs/heads/main"], refs
    assert not machines.under_way(), "claims are left"
    return commits


def check_calls(machines: Machines, *, disturbed: bool = False) -> int:
    """A request for each call, and none for one that has its reply. How many requests came again."""
    calls, tries, replied_twice = machines.calls()
    tally = machines.provider.tally
    assert not replied_twice
    again = tally.requests - len(tally.received)
    assert len(tally.received) <= calls
    assert tally.requests <= tries, f"{tally.requests} requests, and {tries} are accounted for"
    if not disturbed:
        assert (tally.requests, again) == (calls, 0)
    return again
