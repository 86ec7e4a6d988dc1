"""A run whose slices are worked by a worker comes to what it comes to in one process, and can be replayed.

The provider is SIMULATED: what it says comes from the request itself.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from swarm.playback import replay
from swarm.run import Swarm
from swarm.store.opening import open_store
from swarm.task import Answer
from swarm.testing.faults import Plan
from swarm.testing.provider import Provider
from tests.kill import acting, eventful, working
from tests.kill.victim import RUN, Job
from tests.remote.conftest import Embedded
from tests.remote.conftest import working as worker_of

SAME = (
    "status", "text", "short", "statements", "cells", "findings", "rejected_quotes", "coverage", "slices",
    "rounds", "failures", "stopped", "limit", "graph",
)  # fmt: skip
ELSEWHERE = {"posture", "placed"}
"""What is recorded only where slices are worked by others."""


@dataclass(frozen=True)
class Case:
    make: Callable[[Path, str], Job]
    provider: Provider
    plan: Plan | None = None


def case(kind: str, folder: Path) -> Case:
    match kind:
        case "read":
            corpus = eventful.write_corpus(folder / "c")
            return Case(lambda at, store: eventful.job_of(at, store, corpus), Provider(), eventful.plan())
        case "votes and results":
            return Case(lambda at, store: working.work_of(at, store, 4, 3), Provider(mind=working.mind))
        case "tools, handoffs and code":
            return Case(lambda at, store: acting.acting_of(at, store, 3), Provider(hands=acting.hands))
    return Case(lambda at, store: acting.acting_of(at, store, 2, planned=True), Provider(hands=acting.hands))


async def come_to(job: Job, provider: Provider, *, elsewhere: bool) -> Answer:
    engine = Embedded(4)
    swarm = Swarm(
        job.model,
        store=job.store,
        base_url=provider.openai_url,
        window=job.window,
        concurrency=job.concurrency,
        engine=engine if elsewhere else "local",
    )
    if not elsewhere:
        return await swarm.run(job.task, run_id=RUN, plan=job.plan)
    async with worker_of(job.store, engine, job.plan) as worker:
        answer = await swarm.run(job.task, run_id=RUN, plan=job.plan)
        assert worker.count.done
    return answer


def kinds(store: str) -> list[str]:
    with open_store(store, read_only=True) as opened:
        assert not opened.claims.standings(RUN), "nothing is under way any more"
        return sorted(one.kind for one in opened.journal.history(RUN) if one.kind not in ELSEWHERE)


@pytest.mark.parametrize("kind", ["read", "votes and results", "tools, handoffs and code", "a planner with tools"])
async def test_what_is_worked_elsewhere_comes_to_the_same(kind: str, tmp_path: Path) -> None:
    made = case(kind, tmp_path)
    came, recorded = {}, {}
    with made.provider as provider:
        for where in ("here", "elsewhere"):
            (tmp_path / where).mkdir()
            provider.reset()
            provider.plan = made.plan
            job = made.make(tmp_path / where, str(tmp_path / where / "swarm.db"))
            came[where] = await come_to(job, provider, elsewhere=where == "elsewhere")
            recorded[where] = kinds(job.store)
    for name in SAME:
        assert getattr(came["elsewhere"], name) == getattr(came["here"], name), name
    assert came["elsewhere"].usage.calls == came["here"].usage.calls
    assert recorded["elsewhere"] == recorded["here"]
    again = await replay(RUN, tmp_path / "elsewhere" / "swarm.db")
    assert again.graph == came["here"].graph
