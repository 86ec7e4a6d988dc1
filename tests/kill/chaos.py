"""Runs to be upset: what each of them is, what it comes to when nobody upsets it, and how it is held to that."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from swarm.errors import ReplayDiffers
from swarm.testing.faults import Plan, log_normal
from swarm.testing.provider import Provider
from swarm.testing.seen import Hands
from tests.kill import eventful
from tests.kill.acting import acting_of, hands
from tests.kill.cluster import Cluster
from tests.kill.conftest import job_of, write_corpus
from tests.kill.fleet import Figures, Fleet
from tests.kill.uses import SAME, Held, Life, check_uses, marks_in, once
from tests.kill.victim import Job, warm
from tests.kill.watch import Trial, Undisturbed

PLACES = 4
"""Slices that a worker works at once."""
_CALLS_AT_ONCE = 12
KINDS = {"worker": 4, "coordinator": 3, "both": 2, "server": 2}
"""What is killed, and how often each in comparison."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """A run. `seconds` is what its calls take, half of them longer; `tools` tells whether it uses any."""

    name: str
    job: Job
    seconds: float
    plan: Callable[[], Plan] | None = None
    hands: Hands | None = None
    whole: Undisturbed | None = None
    done: tuple[dict[str, Any], Held] | None = None
    """What comes of work with tools."""

    @property
    def requests(self) -> int:
        """When nobody upsets it."""
        if self.whole is not None:
            return self.whole.requests
        assert self.done is not None
        return self.done[1].replies

    def fleet(self, folder: Path, provider: Provider, cluster: Cluster) -> Watched:
        folder.mkdir()
        provider.latency, provider.hands = log_normal(self.seconds), self.hands
        return Watched(self, replace(self.job, folder=folder), provider, cluster)


class Watched(Fleet):
    """A fleet at a case."""

    def __init__(self, case: Case, job: Job, provider: Provider, cluster: Cluster) -> None:
        plan = None if case.plan is None else case.plan()
        super().__init__(job, provider, cluster, plan, places=PLACES, hands=case.hands)
        self.case = case
        self._lives: list[Life] = []
        if case.done is not None:
            self.on_upset = self._live

    def _live(self) -> None:
        if self.ask("SELECT to_regclass('swarm.records')") == [(None,)]:
            return
        held = Held.by(self.url)
        self._lives.append(Life(held=held, lines=len(marks_in(self.job.folder))))

    async def come_out(self) -> Figures:
        """Have it finished, and hold what came of it to what Swarm promises."""
        answer = self.finish()
        if self.case.whole is not None:
            figures = self.check(answer, self.case.whole)
        else:
            assert self.case.done is not None
            figures = self._check_work(answer, *self.case.done)
        try:
            again = await self.replay()
        except ReplayDiffers:
            history = self.ask("SELECT seq, kind, convert_from(key, 'utf8'), body FROM swarm.records ORDER BY seq")
            (self.job.folder / "history.txt").write_text("\n".join(map(str, history)), "utf-8")
            raise
        assert again == {name: answer[name] for name in again}
        return figures

    def _check_work(self, answer: dict[str, Any], whole: dict[str, Any], undisturbed: Held) -> Figures:
        assert {name: answer[name] for name in SAME} == {name: whole[name] for name in SAME}
        figures = self.check_calls()
        held = Held.by(self.url)
        assert (held.replies, held.calls) == (undisturbed.replies, undisturbed.calls), self.said()
        lived_through = sum(not upset.kind.startswith("kill") or "server" in upset.kind for upset in self.upsets)
        marks = marks_in(self.job.folder)
        check_uses(marks, self._lives, held, len(self.upsets), 1 + lived_through)
        return figures


def reading(folder: Path, provider: Provider, slices: int, seconds: float) -> Case:
    """Many small sources, each a slice."""
    corpus = write_corpus(folder / "c", slices)
    job = replace(job_of(folder, str(folder / "swarm.db"), corpus), concurrency=_CALLS_AT_ONCE)
    return _read(Case(name="reading", job=job, seconds=seconds), provider)


def eventful_reading(folder: Path, provider: Provider, seconds: float) -> Case:
    """A few, with which everything happens."""
    corpus = eventful.write_corpus(folder / "c")
    job = replace(eventful.job_of(folder, str(folder / "swarm.db"), corpus), concurrency=_CALLS_AT_ONCE)
    return _read(Case(name="eventful", job=job, seconds=seconds, plan=eventful.plan), provider)


def _read(case: Case, provider: Provider) -> Case:
    provider.latency, provider.hands = log_normal(min(case.seconds, 0.05)), None
    warm()
    return replace(case, whole=Trial(case.job, provider, case.plan() if case.plan else None).undisturbed())


async def acting(folder: Path, provider: Provider, pieces: int, seconds: float, *, planned: bool = False) -> Case:
    """Work with tools."""
    provider.latency, provider.hands = log_normal(min(seconds, 0.05)), hands
    warm()
    done = await once(folder / "whole", provider, pieces, planned=planned)
    job = replace(acting_of(folder, "", pieces, planned=planned), concurrency=_CALLS_AT_ONCE)
    return Case(name="planned" if planned else "acting", job=job, seconds=seconds, hands=hands, done=done)


def kill_at_random(fleet: Watched, kills: int, dice: random.Random) -> None:
    """Kill so often, spread over what there is to ask, unless the run is over before; a machine that was killed is
    there again a little later, and every other time it is a new one."""
    step = fleet.case.requests / (kills + 1)
    for _ in range(kills):
        if not fleet.wait_for(len(fleet.requests.came) + round(dice.uniform(0.0, 2.0) * step)):
            return
        if not wait(fleet, dice.uniform(0.0, 0.3)):
            return
        kind = dice.choices(list(KINDS), list(KINDS.values()))[0]
        if kind == "server":
            fleet.kill_server(dice.uniform(0.0, 1.0))
            continue
        names = []
        if kind in ("worker", "both"):
            names.append(dice.choice(fleet.of("worker")))
        if kind in ("coordinator", "both"):
            names.append(fleet.coordinating() or dice.choice(fleet.of("coordinator")))
        if not fleet.kill(*names):
            return
        time.sleep(dice.choice((0.0, dice.uniform(0.0, 1.0))))
        for name in names:
            fleet.start(fleet.members[name].member.part, name, anew=bool(dice.randrange(2)))


def wait(fleet: Fleet, seconds: float) -> bool:
    """So long; False where the run is over."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if fleet.answered() is not None:
            return False
        fleet.check_alive()
        time.sleep(0.01)
    return True
