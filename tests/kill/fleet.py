"""A run that many machines work, each a process, on one PostgreSQL server; what befalls them; and what is watched.

`check` is what Swarm promises of it, generalised from `watch.Trial`: the server knows when each reply was
committed, so a request that came after that, from whomever, is a call repeated; and a call that came again was in
flight where its sender was killed, frozen or cut off.
"""

from __future__ import annotations

import itertools
import json
import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psycopg

from swarm.engine.postgres import PostgresEngine
from swarm.playback import replay
from swarm.store.postgres_holds import holder
from swarm.testing.faults import Arrival, Fault, Plan
from swarm.testing.provider import Provider
from swarm.testing.seen import Hands
from swarm.testing.thoughts import Mind
from swarm.testing.wire import CHAT
from swarm.tokens import o200k
from tests.kill.cluster import Cluster, database_of
from tests.kill.member import SENT, Member, Part, start
from tests.kill.victim import ANSWER, SAID, Job
from tests.kill.watch import _SAME, PATIENT, Journalled, Requests, Undisturbed, _counts, _in_any_order, journalled
from tests.kill.wires import Wire, Wires

_CALLS = (
    "SELECT encode(calls.key, 'hex'), tries, "
    "count(outcomes.seq), count(outcomes.seq) FILTER (WHERE reply IS NOT NULL), "
    "min(extract(epoch FROM pg_xact_commit_timestamp(outcomes.xmin))) FILTER (WHERE reply IS NOT NULL) "
    "FROM swarm.calls LEFT JOIN swarm.outcomes ON call = calls.seq GROUP BY calls.seq"
)
_BEGINNING = 8.0  # seconds until a process has connected, with much to spare
NO_ROOM = "full disk of server"
_LATE = 0.01  # seconds that a request may come after it was sent, about


class Timed(Requests):
    """With the moment at which each came, in seconds since the epoch."""

    def __init__(self, plan: Plan | None) -> None:
        super().__init__(plan)
        self.at: list[float] = []

    def __call__(self, arrival: Arrival) -> Fault | None:
        at, before = time.time(), len(self.came)
        fault = super().__call__(arrival)
        if len(self.came) > before:
            self.at.append(at)
        return fault


@dataclass(kw_only=True)
class Upset:
    """Something that befell processes, or with None all of them, in seconds since the epoch. What they have in
    flight then may be lost, and nothing else."""

    kind: str
    pids: frozenset[int] | None
    since: float
    until: float | None = None
    came: int = 0
    """Requests by then."""
    journal: Journalled | None = None
    """As it was after that."""

    def hits(self, pid: int, sent: float, again: float) -> bool:
        """Whether it befell a process between these."""
        until = again if self.until is None else self.until
        return (self.pids is None or pid in self.pids) and self.since <= again and sent <= until + _LATE


@dataclass(kw_only=True)
class Running:
    """A process, and the wires by which it reaches the store, and maybe the provider."""

    member: Member
    wires: tuple[Wire, ...]
    process: BaseProcess
    began: float

    @property
    def pid(self) -> int:
        assert self.process.pid is not None
        return self.process.pid


@dataclass(frozen=True, kw_only=True)
class Figures:
    """What came of one run: how often it was upset, and what that cost."""

    upsets: dict[str, int]
    requests: int
    repeated: int
    repeated_at_most: int
    """Of what was in flight at one upset."""
    finished_again: int
    spent_tokens: int
    billed_tokens: int
    seconds: float

    @property
    def kills(self) -> int:
        return sum(times for kind, times in self.upsets.items() if kind.startswith("kill"))


class Fleet:
    """From `with` to the end of its block, in which nobody else uses the provider. `places` is how many slices
    each worker works at once."""

    def __init__(
        self, job: Job, provider: Provider, cluster: Cluster, plan: Plan | None = None, *, places: int = 4,
        hands: Hands | None = None,
    ) -> None:  # fmt: skip
        self.job, self.provider, self.cluster, self._places = job, provider, cluster, places
        self.url = cluster.database()
        self.requests = Timed(plan)
        self.upsets: list[Upset] = []
        self.on_upset: Callable[[], None] | None = None
        self.members: dict[str, Running] = {}
        self.restarts = 0
        self._mind = Mind(o200k, hands=hands)
        self._numbers = itertools.count(1)
        self._began = time.monotonic()
        provider.reset()
        provider.plan = self.requests

    def __enter__(self) -> Self:
        self.wires = Wires().__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for one in self.members.values():
            if one.process.is_alive():
                _signal(one.process, signal.SIGKILL)
            one.process.join(PATIENT)
        self.wires.__exit__(kind, error, trace)

    # Machines

    def begin(self, workers: int = 3, coordinators: int = 1) -> Self:
        """The coordinators first: all but one of them stand by."""
        for number in range(coordinators):
            self.start("coordinator", f"coordinator {number}")
        for number in range(workers):
            self.start("worker", f"worker {number}")
        return self

    def start(self, part: Part, name: str, *, anew: bool = False, **more: Any) -> Running:
        """A machine of that name, `anew` with nothing of what it had."""
        known = self.members.get(name)
        if known is not None:
            assert not known.process.is_alive()
            wires, folder = known.wires, known.member.folder
        else:
            wires, folder = (self.wires.wire(self.cluster.socket),), self.new_folder()
        if anew:
            folder = self.new_folder()
        member = Member(
            part=part,
            job=self.job,
            folder=folder,
            store=f"postgresql://postgres@127.0.0.1:{wires[0].port}/{database_of(self.url)}",
            base_url=self.provider.openai_url,
            places=self._places,
        )
        return self.add(name, replace(member, **more), wires)

    def add(self, name: str, member: Member, wires: tuple[Wire, ...]) -> Running:
        made = self.members[name] = Running(member=member, wires=wires, process=start(member), began=time.time())
        return made

    def new_folder(self) -> Path:
        """For one more machine."""
        folder = self.job.folder / f"machine {next(self._numbers)}"
        folder.mkdir()
        return folder

    def of(self, part: Part) -> list[str]:
        """The names of those that live."""
        return [name for name, one in self.members.items() if one.member.part == part and one.process.is_alive()]

    def coordinating(self) -> str | None:
        """Who coordinates the run now, by the store."""
        with self.server() as server:
            who = holder(server, self.job.run)
        return next((name for name in self.of("coordinator") if f"(pid {self.members[name].pid}," in who), None)

    # What befalls them

    def kill(self, *names: str) -> bool:
        """Kill -9. Whether any of them was not done yet."""
        upset = self._upset(
            f"kill {' and '.join(sorted({self.members[name].member.part for name in names}))}", names
        )
        for name in names:
            _signal(self.members[name].process, signal.SIGKILL)
        for name in names:
            self.members[name].process.join(PATIENT)
        if all(self.members[name].process.exitcode == 0 for name in names):
            self.upsets.remove(upset)
            return False
        self._look(upset)
        return True

    def kill_server(self, seconds: float = 0.0) -> None:
        """Kill -9 of all of PostgreSQL, and start it again after so long."""
        with self.without_server():
            self.cluster.kill()
            time.sleep(seconds)
            self.cluster.start()

    @contextmanager
    def without_server(self, kind: str = "kill server") -> Iterator[None]:
        """While what is done to the server befalls all."""
        upset = self._upset(kind, None)
        yield
        self._look(upset)
        upset.until = time.time() + 5.0  # leases lapse meanwhile, and connections are made again

    def freeze(self, name: str) -> Upset:
        upset = self._upset(f"freeze {self.members[name].member.part}", [name])
        os.kill(self.members[name].pid, signal.SIGSTOP)
        return upset

    def thaw(self, name: str, upset: Upset) -> None:
        self._look(upset)
        os.kill(self.members[name].pid, signal.SIGCONT)
        upset.until = time.time() + 1.0

    def cut(self, name: str) -> Upset:
        upset = self._upset(f"cut off {self.members[name].member.part}", [name])
        for wire in self.members[name].wires:
            self.wires.cut(wire)
        return upset

    def mend(self, name: str, upset: Upset, *, broken: bool) -> None:
        self._look(upset)
        for wire in self.members[name].wires:
            self.wires.mend(wire, broken=broken)
        upset.until = time.time() + 3.0

    def befall(self, kind: str, *names: str) -> Upset:
        """Something else."""
        return self._upset(kind, names)

    def _upset(self, kind: str, names: Sequence[str] | None) -> Upset:
        pids = None if names is None else frozenset(self.members[name].pid for name in names)
        upset = Upset(kind=kind, pids=pids, since=time.time())
        self.upsets.append(upset)
        return upset

    def _look(self, upset: Upset) -> None:
        """Note what is known after it, once all that was sent before has come to the server."""
        for _ in range(2):
            _counts(self.provider)
        if self.on_upset is not None:
            self.on_upset()
        upset.came = len(self.requests.came)
        upset.journal = journalled(self.url)

    # Its work

    def wait_for(self, requests: int, seconds: float = PATIENT) -> bool:
        """Until so many requests have come; False where the run was over before."""
        end = time.monotonic() + seconds
        while len(self.requests.came) < requests:
            if self.answered() is not None:
                return False
            self.check_alive()
            assert time.monotonic() < end, self.said()
            time.sleep(0.005)
        return True

    def answered(self) -> str | None:
        """The coordinator that has come to the answer."""
        for name, one in self.members.items():
            if one.member.part == "coordinator" and one.process.exitcode == 0:
                return name
        return None

    def check_alive(self) -> None:
        """Nobody ended who was not made to. Those that began when there was no server begin again, and those that
        found no room at the server, each after one line."""
        for name, one in list(self.members.items()):
            code = one.process.exitcode
            if code == 1 and self._may_begin_again(one):
                self.restarts += 1
                self.start(one.member.part, name)
                continue
            assert code in (None, 0, -signal.SIGKILL), f"{name} ended with {code}: {self.said()}"

    def _may_begin_again(self, one: Running) -> bool:
        path = one.member.folder / SAID
        said = path.read_text("utf-8") if path.exists() else ""
        if not said.splitlines()[-1].startswith("StoreError: "):
            return False
        return any(
            upset.since - _BEGINNING < one.began < (upset.until or time.time())
            or upset.kind == NO_ROOM
            or (
                one.member.part == "coordinator" and "standing by" in said
            )  # it opens the store when it takes over
            for upset in self.upsets
            if upset.pids is None
        )

    def finish(self, seconds: float = PATIENT) -> dict[str, Any]:
        """The answer, once nobody is made to end any more; and the machines are told to leave."""
        end = time.monotonic() + seconds
        while (name := self.answered()) is None:
            self.check_alive()
            assert time.monotonic() < end, f"no answer in {seconds} s\n{self.said()}\n{self.stands()}"
            time.sleep(0.01)
        self.leave(end + 30)
        answer: dict[str, Any] = json.loads((self.members[name].member.folder / ANSWER).read_text("utf-8"))
        return answer

    def leave(self, end: float) -> None:
        """All end of themselves: coordinators have nothing left to do, workers drain."""
        for one in self.members.values():
            if one.member.part == "coordinator":
                one.process.join(max(0.0, end - time.monotonic()))
        young = {name for name, one in self.members.items() if time.time() - one.began < _BEGINNING}
        for one in self.members.values():
            if one.member.part == "worker" and one.process.is_alive():
                os.kill(one.pid, signal.SIGTERM)  # which the young ones may not listen to yet
        for name, one in self.members.items():
            one.process.join(max(0.0, end - time.monotonic()))
            fine = {0, -signal.SIGKILL} | ({-signal.SIGTERM} if name in young else set())
            assert one.process.exitcode in fine, f"{name}: {one.process.exitcode}\n{self.said()}"

    def said(self) -> str:
        """What the processes said."""
        told = []
        for name, one in self.members.items():
            path = one.member.folder / SAID
            if path.exists():
                told.append(
                    f"--- {name} (pid {one.process.pid}, {one.process.exitcode})\n{path.read_text()[-3_000:]}"
                )
        return "\n".join(told)

    def stands(self) -> str:
        """What is under way, for whoever looks for what went wrong."""
        with self.server() as server:
            claims = server.execute(
                "SELECT ref, state, holder, epoch, until - clock_timestamp() FROM swarm.claims"
            ).fetchall()
            queue = server.execute("SELECT payload, status, execute_after FROM swarm_queue.pgqueuer").fetchall()
        return f"claims {claims[:20]}\nqueue {queue[:20]}\nupsets {self.upsets}"

    async def submit(self, refs: Sequence[str]) -> None:
        """As a coordinator would."""
        engine = PostgresEngine(self.url, 1)
        try:
            await engine.submit([f"{self.job.run}/{ref}" for ref in refs])
        finally:
            await engine.close()

    def claimed_by(self, name: str) -> list[str]:
        """The slices that a worker has a lease of, which lasts."""
        return [
            ref
            for (ref,) in self.ask(
                f"SELECT ref FROM swarm.claims WHERE holder LIKE '%-{self.members[name].pid}-%' "
                "AND state = 'claimed' AND until > clock_timestamp()"
            )
        ]

    def until_claimed(self, name: str) -> None:
        """Until a worker is at something."""
        end = time.monotonic() + PATIENT
        while not self.ask("SELECT to_regclass('swarm.claims')")[0][0] or not self.claimed_by(name):
            assert time.monotonic() < end, self.said()
            time.sleep(0.01)

    def under_way(self) -> list[str]:
        """The slices that are offered and not settled."""
        return [ref for (ref,) in self.ask("SELECT ref FROM swarm.claims")]

    def server(self) -> psycopg.Connection:
        return psycopg.connect(self.url, autocommit=True)

    def ask(self, sql: str) -> list[tuple[Any, ...]]:
        with self.server() as server:
            return server.execute(sql).fetchall()  # type: ignore[call-overload, unused-ignore]

    # What is promised

    def check(self, answer: dict[str, Any], whole: Undisturbed) -> Figures:
        """Hold what came of it to what Swarm promises, but for what its tools did."""
        for name in _SAME:
            assert answer[name] == whole.answer[name], name
        assert _in_any_order(answer) == _in_any_order(whole.answer)
        contents = set(self.requests.bodies)
        assert contents == whole.asked, f"{len(contents - whole.asked)} new, {len(whole.asked - contents)} missing"
        return self.check_calls()

    def check_calls(self) -> Figures:
        """Of any run."""
        calls = {key: tuple(rest) for key, *rest in self.ask(_CALLS)}
        sent = self._sent()
        again = self._finished_again(calls, sent)
        assert not again, f"{len(again)} calls that were finished were sent again: {again[:3]}"
        repeated = self._repeated(sent)
        counts = Counter(content for _, content in self.requests.came)
        for content, times in counts.items():
            assert times <= calls[sent[content][0][2]][1], (
                f"{content} came {times} times, and less is accounted for"
            )
        for key, (tries, outcomes, replies, _) in calls.items():  # a try may be begun twice where the server dies
            assert 1 <= outcomes <= tries, f"call {key}: {tries} tries, {outcomes} outcomes"
            assert replies <= 1, f"call {key} has {replies} replies"
        self._check_bill()
        end = journalled(self.url)
        assert end.flying == 0
        assert not self.under_way(), "claims are left"
        return Figures(
            upsets=dict(Counter(upset.kind for upset in self.upsets)),
            requests=len(self.requests.came),
            repeated=sum(repeated),
            repeated_at_most=max(repeated, default=0),
            finished_again=len(again),
            spent_tokens=end.tokens,
            billed_tokens=self._billed(len(self.requests.came)),
            seconds=time.monotonic() - self._began,
        )

    def _sent(self) -> dict[str, list[tuple[float, int, str]]]:
        """When each content was sent, by whom, and for which call."""
        sent: dict[str, list[tuple[float, int, str]]] = {}
        for line in (self.job.folder / SENT).read_text().splitlines():
            at, pid, content, *call = line.split()
            assert call, f"sent for no call: {line}"
            sent.setdefault(content, []).append((float(at), int(pid), call[0]))
        return sent

    def _finished_again(
        self, calls: dict[str, tuple[Any, ...]], sent: dict[str, list[tuple[float, int, str]]]
    ) -> list[str]:
        """Contents that came once their reply was committed."""
        found = []
        for (_, content), at in zip(self.requests.came, self.requests.at, strict=True):
            known = calls[sent[content][0][2]][3]
            if known is not None and float(known) < at:
                found.append(
                    f"{content} came {at - float(known):.3f} s after its reply was known: {sent[content]}"
                )
        return found

    def _repeated(self, sent: dict[str, list[tuple[float, int, str]]]) -> list[int]:
        """For each upset, how many of the requests in flight then came again later."""
        repeated = [0] * len(self.upsets)
        for content, tries in sent.items():
            if content in self.requests.failed:
                continue  # it is tried again by design
            for (before, pid, _), (after, *_) in itertools.pairwise(sorted(tries)):
                hit = [n for n, upset in enumerate(self.upsets) if upset.hits(pid, before, after)]
                assert hit, (
                    f"{content} was sent again for no reason, first by {pid} at {before} and again at {after}: "
                    f"{self.upsets}\n{self.said()}"
                )
                repeated[hit[0]] += 1
        return repeated

    def _check_bill(self) -> None:
        """At no moment is less counted as spent, with what may have been, than the server can have billed."""
        for upset in self.upsets:
            if upset.journal is not None:
                assert upset.journal.tokens >= self._billed(upset.came), upset
        assert journalled(self.url).tokens >= self._billed(len(self.requests.came))

    def _billed(self, came: int) -> int:
        """All that the server can have billed for the first requests."""
        return sum(
            self._tokens(content)
            for _, content in self.requests.came[:came]
            if content not in self.requests.failed
        )

    def _tokens(self, content: str) -> int:
        thought = self._mind.think(CHAT, content, self.requests.bodies[content])
        text = self.requests.texts.get(content)
        return thought.tokens + (thought.text_tokens if text is None else o200k(text))

    async def replay(self) -> dict[str, Any]:
        """The run again, from its journal alone."""
        answer = await replay(self.job.run, self.url)
        return {"graph": answer.graph, "text": answer.text}


def _signal(process: BaseProcess, number: int) -> None:
    """To all that belongs to a process."""
    with suppress(ProcessLookupError):
        try:
            os.killpg(process.pid or 0, number)
        except ProcessLookupError:
            os.kill(process.pid or 0, number)  # it has no group of its own yet
