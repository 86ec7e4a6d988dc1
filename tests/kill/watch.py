"""What is watched while a run is killed and goes on: every request as the server saw it, by its content, and what
the journal had when the process was dead. `check` is what Swarm promises of it.

A reply is recognised in the journal by its text, so that nothing here rests on how Swarm names its calls.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import apsw
import psycopg

from swarm.playback import replay
from swarm.store.opening import is_url
from swarm.testing.faults import Arrival, Fault, Plan
from swarm.testing.process import Apart
from swarm.testing.provider import Provider
from swarm.testing.thoughts import Mind
from swarm.testing.wire import CHAT
from swarm.tokens import o200k
from tests.kill.victim import ANSWER, SAID, Job, start

PATIENT = 120.0  # seconds for a process that nobody kills
_SAME = (
    "status", "text", "short", "statements", "cells", "findings", "rejected_quotes", "coverage", "slices",
    "rounds", "stopped", "limit", "graph",
)  # fmt: skip
_BEGUN_CALLS = (
    "SELECT count(*), coalesce(sum(tokens), 0) FROM {calls} WHERE "
    "NOT EXISTS (SELECT 1 FROM {outcomes} WHERE call = calls.seq AND reply IS NOT NULL) AND "
    "NOT EXISTS (SELECT 1 FROM {outcomes} WHERE call = calls.seq AND try = tries)"
)
_SPENT = "SELECT coalesce(sum(calls), 0), coalesce(sum(input_tokens + output_tokens), 0) FROM {outcomes}"
_REPLIES = "SELECT {reply} FROM {outcomes} WHERE reply IS NOT NULL"


@dataclass(frozen=True, kw_only=True)
class Journalled:
    """What a journal holds: the texts of finished calls, how many are under way, and what is counted as spent,
    with the most that those under way may come to."""

    replies: frozenset[str]
    flying: int
    calls: int
    tokens: int


@dataclass(frozen=True, kw_only=True)
class Death:
    """What was known when a process was dead: `at_server` is how many calls the server was at, `after` the
    seconds that the process had lived."""

    after: float
    journal: Journalled
    at_server: int


@dataclass
class Requests:
    """Every request that came, with the number of processes that had died before, and the bodies by content."""

    plan: Plan | None = None
    deaths: int = 0
    came: list[tuple[int, str]] = field(default_factory=list)
    bodies: dict[str, bytes] = field(default_factory=dict)
    failed: set[str] = field(default_factory=set)
    """Contents that are never answered, or not as the mimic would."""
    texts: dict[str, str] = field(default_factory=dict)
    """What is said instead, by content."""

    def __call__(self, arrival: Arrival) -> Fault | None:
        """A plan of faults that notes what comes."""
        fault = self.plan(arrival) if self.plan is not None else None
        with suppress(ValueError):  # a process may die in the middle of sending a request
            json.loads(arrival.body)
            self.came.append((self.deaths, arrival.key))
            self.bodies[arrival.key] = arrival.body
            if fault is not None and fault.text is not None:
                self.texts[arrival.key] = fault.text
            elif fault is not None:
                self.failed.add(arrival.key)
        return fault


@dataclass(frozen=True, kw_only=True)
class Undisturbed:
    """A run that nobody killed: its answer, what it asked, and how long it took."""

    answer: dict[str, Any]
    asked: frozenset[str]
    requests: int
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Figures:
    """What came of one run that was killed."""

    kills: int
    requests: int
    repeated: int
    repeated_at_most: int
    """After one kill."""
    flying_at_most: int
    """At one kill, by the journal."""
    at_server_at_most: int
    finished_again: int
    answered_again: int
    """Requests whose reply had left the server whole before, and was not in the journal yet."""
    spent_tokens: int
    billed_tokens: int
    seconds: float


class Trial:
    """One run on one store, which dies and goes on, with a provider that nobody else uses meanwhile."""

    def __init__(self, job: Job, provider: Provider, plan: Plan | None = None) -> None:
        self._job, self._provider = job, provider
        self.requests = Requests(plan)
        self.deaths: list[Death] = []
        self._began = time.monotonic()
        provider.reset()
        provider.plan = self.requests

    def start(self, dies: tuple[str, int] | None = None) -> BaseProcess:
        """The next process."""
        self._started = time.monotonic()
        return start(replace(self._job, base_url=self._provider.openai_url, dies=dies))

    def kill(self, process: BaseProcess) -> bool:
        """Kill -9, with all that belongs to the process; and look at what is left. Whether it was not done yet."""
        at_server = self._provider.tally.in_flight
        with suppress(ProcessLookupError):
            try:
                os.killpg(process.pid or 0, signal.SIGKILL)
            except ProcessLookupError:
                process.kill()  # it has no group of its own yet
        process.join(PATIENT)
        if process.exitcode == 0:
            return False
        self.died(process, at_server)
        return True

    def died(self, process: BaseProcess, at_server: int = 0) -> None:
        """Note a death, once all that was sent before has come to the server."""
        process.join(PATIENT)
        assert process.exitcode == -signal.SIGKILL, f"{process.exitcode}: {self.said()}"
        after = time.monotonic() - self._started
        for _ in range(2):
            _counts(self._provider)
        self.deaths.append(Death(after=after, journal=journalled(self._job.store), at_server=at_server))
        self.requests.deaths += 1

    def said(self) -> str:
        """What the processes said."""
        path = self._job.folder / SAID
        return path.read_text("utf-8")[-2_000:] if path.exists() else ""

    def finish(self, process: BaseProcess | None = None) -> dict[str, Any]:
        """The answer, from a process that nobody kills."""
        process = process or self.start()
        process.join(PATIENT)
        assert process.exitcode == 0, f"{process.exitcode}: {self.said()}"
        answer: dict[str, Any] = json.loads((self._job.folder / ANSWER).read_text("utf-8"))
        return answer

    def undisturbed(self) -> Undisturbed:
        """What comes of it when nobody kills it."""
        answer = self.finish()
        asked = [content for _, content in self.requests.came]
        twice = {content for content, times in Counter(asked).items() if times > 1}
        assert twice <= self.requests.failed
        seconds = time.monotonic() - self._started
        return Undisturbed(answer=answer, asked=frozenset(asked), requests=len(asked), seconds=seconds)

    def check(self, answer: dict[str, Any], whole: Undisturbed) -> Figures:
        """Hold what came of it to what Swarm promises."""
        for name in _SAME:
            assert answer[name] == whole.answer[name], name
        assert _in_any_order(answer) == _in_any_order(whole.answer)
        came, contents = self.requests.came, set(self.requests.bodies)
        assert contents == whole.asked, f"{len(contents - whole.asked)} new, {len(whole.asked - contents)} missing"
        again = self._finished_again()
        assert not again, f"{len(again)} calls that were finished were sent again"
        repeated = self._repeated()
        for death, after in zip(self.deaths, repeated, strict=True):
            assert after <= min(death.journal.flying, self._job.concurrency), f"{after} repeated: {death}"
        self._check_bill()
        end = journalled(self._job.store)
        assert end.flying == 0
        answered = self._provider.tally
        return Figures(
            kills=len(self.deaths),
            requests=len(came),
            repeated=sum(repeated),
            repeated_at_most=max(repeated, default=0),
            flying_at_most=max((death.journal.flying for death in self.deaths), default=0),
            at_server_at_most=max((death.at_server for death in self.deaths), default=0),
            finished_again=len(again),
            answered_again=answered.repeats,
            spent_tokens=end.tokens,
            billed_tokens=self._billed(len(self.deaths)),
            seconds=time.monotonic() - self._began,
        )

    def _finished_again(self) -> list[str]:
        """Contents whose reply was in the journal when a process was dead, and that came after that."""
        named: dict[str, list[str]] = {}
        for content in self.requests.bodies:
            named.setdefault(self._said_to(content)[0], []).append(content)
        found = []
        for number, death in enumerate(self.deaths):
            later = {content for life, content in self.requests.came if life > number}
            finished = [named.get(text, []) for text in death.journal.replies]
            found += [same[0] for same in finished if len(same) == 1 and same[0] in later]
        return found

    def _repeated(self) -> list[int]:
        """For each death, how many of the requests under way then came again later; what fails anyway is tried
        again by design."""
        last: dict[str, int] = {}
        repeated = [0] * len(self.deaths)
        for life, content in self.requests.came:
            if content not in self.requests.failed and last.get(content, life) < life:
                repeated[last[content]] += 1
            last[content] = life
        return repeated

    def _check_bill(self) -> None:
        """At no moment is less counted as spent, with what may have been, than the server can have billed."""
        for number, death in enumerate(self.deaths):
            assert death.journal.tokens >= self._billed(number), f"after death {number + 1}"
        assert journalled(self._job.store).tokens >= self._billed(len(self.deaths))

    def _billed(self, life: int) -> int:
        """All that the server can have billed up to a death: each request that came, whether its reply left or
        not, but for those that it refused."""
        return sum(
            self._said_to(content)[1]
            for lived, content in self.requests.came
            if lived <= life and content not in self.requests.failed
        )

    def _said_to(self, content: str) -> tuple[str, int]:
        """What the server says to a request, and the tokens of both."""
        thought = _mind.think(CHAT, content, self.requests.bodies[content])
        text = self.requests.texts.get(content, thought.text)
        return text, thought.tokens + o200k(text)

    async def replay(self) -> dict[str, Any]:
        """The run again, from its journal alone."""
        answer = await replay(self._job.run, self._job.store)
        return {"graph": answer.graph, "text": answer.text}


_mind = Mind(o200k)


def _in_any_order(answer: dict[str, Any]) -> dict[str, set[Any]]:
    """What an answer lists in the order in which it came to be known."""
    return {
        "citations": {(one["source_id"], one["start"], one["end"], one["quote"]) for one in answer["citations"]},
        "contradictions": {frozenset(one["findings"]) for one in answer["contradictions"]},
        "failures": {(one["slice"], one["reason"]) for one in answer["failures"]},
    }


def _counts(provider: Provider) -> None:
    """Asked over HTTP, this is answered after all that came before."""
    asking = Apart()
    asking.url = provider.url
    asking.counts()


def journalled(store: str) -> Journalled:
    """What a journal holds, read beside Swarm: nothing is opened that Swarm would have to recover."""
    read = _on_server(store) if is_url(store) else _in_file(Path(store))
    (flying, under_way), (calls, tokens) = read(_BEGUN_CALLS)[0], read(_SPENT)[0]
    replies = frozenset(bytes(text).decode() for (text,) in read(_REPLIES))
    return Journalled(replies=replies, flying=flying, calls=int(calls), tokens=int(tokens) + int(under_way))


Read = Callable[[str], list[tuple[Any, ...]]]


def _on_server(url: str) -> Read:
    return partial(_ask_server, url)


def _ask_server(url: str, sql: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(url, autocommit=True) as connection:
        if not connection.execute("SELECT to_regclass('swarm.outcomes') IS NOT NULL").fetchall()[0][0]:
            return [] if sql is _REPLIES else [(0, 0)]
        said = sql.format(calls="swarm.calls", outcomes="swarm.outcomes", reply="reply")
        return connection.execute(said).fetchall()  # type: ignore[call-overload, unused-ignore]


def _in_file(path: Path) -> Read:
    return partial(_ask_file, path)


def _ask_file(path: Path, sql: str) -> list[tuple[Any, ...]]:
    with tempfile.TemporaryDirectory() as folder:
        for name in (path.name, f"{path.name}-wal"):
            if (path.parent / name).exists():
                shutil.copy(path.parent / name, folder)
        with closing(apsw.Connection(f"{folder}/{path.name}")) as connection:
            if not connection.execute("SELECT count(*) FROM sqlite_schema WHERE name = 'outcomes'").get:
                return [] if sql is _REPLIES else [(0, 0)]
            said = sql.format(calls="calls", outcomes="outcomes", reply="CAST(reply AS BLOB)")
            return connection.execute(said).fetchall()
