"""One thing at a time befalls machines that work a run: frozen, cut off, misled by the queue, slow, without room.
Each time nothing that was finished is sent again, and all comes out as if nothing had been.

Leases last 1.5 s here. The provider is SIMULATED: what it says comes from the prompt itself.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from swarm.testing.faults import Arrival, log_normal
from swarm.testing.provider import Provider
from tests.kill.acting import Acting
from tests.kill.chaos import Case, Watched, acting, reading, wait
from tests.kill.cluster import Cluster
from tests.kill.member import LEASE_SECONDS, SILENT_SECONDS
from tests.kill.victim import SAID

pytestmark = pytest.mark.soak
_SLICES = 90

Begin = Callable[[Case], Watched]


@pytest.fixture(scope="module")
def read(busy: Provider, tmp_path_factory: pytest.TempPathFactory) -> Case:
    return reading(tmp_path_factory.mktemp("reading"), busy, _SLICES, 0.3)


@pytest.fixture
async def acted(busy: Provider, tmp_path_factory: pytest.TempPathFactory) -> Case:
    return await acting(tmp_path_factory.mktemp("acting"), busy, 6, 0.2)


@pytest.fixture
def begun(cluster: Cluster, busy: Provider, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Begin]:
    """Of a case, a fleet that is to be begun; it ends with the test."""
    made: list[Watched] = []
    monkeypatch.chdir(tmp_path)

    def begin(case: Case) -> Watched:
        made.append(case.fleet(tmp_path / f"fleet {len(made)}", busy, cluster).__enter__())
        return made[-1]

    yield begin
    for fleet in made:
        fleet.__exit__(None, None, None)


def written(fleet: Watched) -> list[tuple[object, ...]]:
    """How much the journal holds, and how often it was changed."""
    return fleet.ask(
        "SELECT (SELECT count(*) FROM swarm.records), (SELECT max(seq) FROM swarm.records), "
        "(SELECT sum(tries) FROM swarm.calls), (SELECT count(*) FROM swarm.outcomes)"
    )


def until(holds: Callable[[], bool], seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.01)


async def test_a_worker_frozen_past_its_lease_writes_nothing_and_sends_nothing_when_it_wakes(
    read: Case, begun: Begin
) -> None:
    fleet = begun(read).begin()
    assert fleet.wait_for(10)
    fleet.until_claimed("worker 1")
    upset = fleet.freeze("worker 1")
    until(lambda: fleet.answered() is not None)
    before, came = written(fleet), len(fleet.requests.came)
    fleet.thaw("worker 1", upset)
    await asyncio.sleep(2 * LEASE_SECONDS)
    assert (written(fleet), len(fleet.requests.came)) == (before, came)
    figures = await fleet.come_out()
    assert 0 < figures.repeated <= 4


async def test_workers_that_freeze_and_wake_while_others_work_on_do_no_harm(
    read: Case, acted: Case, begun: Begin
) -> None:
    for case in (read, acted):
        fleet = begun(case).begin()
        assert fleet.wait_for(5)
        for name in ("worker 0", "worker 2"):
            upset = fleet.freeze(name)
            if not wait(fleet, LEASE_SECONDS * 1.5):
                pytest.fail("it was done before")
            fleet.thaw(name, upset)
            wait(fleet, 0.5)
        await fleet.come_out()


async def test_a_coordinator_frozen_until_another_took_over_does_no_harm_when_it_wakes(
    read: Case, begun: Begin
) -> None:
    fleet = begun(read).begin(coordinators=2)
    assert fleet.wait_for(10)
    first = fleet.coordinating()
    assert first is not None
    upset = fleet.freeze(first)
    until(lambda: fleet.coordinating() not in (first, None))
    second = fleet.coordinating()
    wait(fleet, 0.5)
    fleet.thaw(first, upset)
    await fleet.come_out()
    said = (fleet.members[first].member.folder / SAID).read_text("utf-8")
    assert "was taken over by another process" in said
    assert second == fleet.answered() or fleet.members[second or ""].process.exitcode == 0


async def test_a_coordinator_that_was_frozen_takes_nothing_from_those_who_work_for_another_by_now(
    begun: Begin, busy: Provider, tmp_path: Path
) -> None:
    case = reading(tmp_path, busy, 12, 0.1)
    fleet = begun(case)
    busy.latency = lambda arrival: 6 * SILENT_SECONDS if b" ground corn in the year" in arrival.body else 0.1
    fleet.begin(coordinators=2)
    assert fleet.wait_for(12)
    first = fleet.coordinating()
    assert first is not None
    upset = fleet.freeze(first)
    until(lambda: fleet.coordinating() not in (first, None))
    wait(fleet, 1.0)
    fleet.thaw(first, upset)
    figures = await fleet.come_out()
    assert figures.repeated == 0


@pytest.mark.parametrize("broken", [False, True], ids=["late", "broken"])
async def test_a_worker_cut_off_from_the_store_past_its_lease(read: Case, begun: Begin, broken: bool) -> None:
    fleet = begun(read).begin()
    assert fleet.wait_for(10)
    fleet.until_claimed("worker 0")
    upset = fleet.cut("worker 0")
    wait(fleet, 3 * LEASE_SECONDS)
    assert not fleet.claimed_by("worker 0"), "its leases are over"
    fleet.mend("worker 0", upset, broken=broken)
    await fleet.come_out()


@pytest.mark.parametrize("broken", [False, True], ids=["late", "broken"])
async def test_a_coordinator_cut_off_from_the_store_is_taken_over_from(
    read: Case, begun: Begin, broken: bool
) -> None:
    fleet = begun(read).begin(coordinators=2)
    assert fleet.wait_for(10)
    first = fleet.coordinating()
    assert first is not None
    upset = fleet.cut(first)
    until(lambda: fleet.coordinating() not in (first, None))
    wait(fleet, 0.5)
    fleet.mend(first, upset, broken=broken)
    await fleet.come_out()


async def test_the_only_coordinator_cut_off_for_a_while_goes_on(read: Case, begun: Begin) -> None:
    fleet = begun(read).begin()
    assert fleet.wait_for(10)
    upset = fleet.cut("coordinator 0")
    wait(fleet, SILENT_SECONDS)
    fleet.mend("coordinator 0", upset, broken=False)
    await fleet.come_out()


async def test_what_is_delivered_twice_and_in_any_order_is_worked_once(
    read: Case, acted: Case, begun: Begin
) -> None:
    for case in (read, acted):
        dice = random.Random(7)
        fleet = begun(case).begin()
        known: set[str] = set()
        assert fleet.wait_for(1)
        while fleet.answered() is None:
            known |= set(fleet.under_way())
            several = [*known, *dice.sample(sorted(known), len(known) // 2)]
            dice.shuffle(several)
            await fleet.submit(several)
            await asyncio.sleep(0.1)
        figures = await fleet.come_out()
        assert figures.repeated == 0


async def test_a_truncated_queue_loses_nothing(read: Case, begun: Begin) -> None:
    fleet = begun(read).begin(workers=2)
    for requests in (5, 20, 40):
        assert fleet.wait_for(requests)
        with fleet.server() as server:
            server.execute("TRUNCATE swarm_queue.pgqueuer")
    figures = await fleet.come_out()
    assert figures.repeated == 0


async def test_of_two_coordinators_one_is_refused(read: Case, begun: Begin) -> None:
    fleet = begun(read).begin()
    assert fleet.wait_for(10)
    refused = fleet.start("coordinator", "coordinator 1", hasty=True)
    refused.process.join(60)
    assert refused.process.exitcode == 1
    said = (refused.member.folder / SAID).read_text("utf-8")
    assert said.startswith("StoreInUse: run run is in use by another process")
    del fleet.members["coordinator 1"]
    figures = await fleet.come_out()
    assert figures.repeated == 0


async def test_a_slice_longer_than_ten_heartbeats_is_worked_once(read: Case, begun: Begin, busy: Provider) -> None:
    fleet = begun(read)
    usual = log_normal(0.1)

    def latency(arrival: Arrival) -> float:
        return 6 * LEASE_SECONDS if b"Mill 40 ground" in arrival.body else usual(arrival)

    busy.latency = latency
    fleet.begin()
    figures = await fleet.come_out()
    assert figures.repeated == 0
    assert figures.seconds > 6 * LEASE_SECONDS


async def test_an_event_loop_that_is_blocked_past_its_lease_loses_nothing(acted: Case, begun: Begin) -> None:
    assert isinstance(acted.job, Acting)
    fleet = begun(replace(acted, job=replace(acted.job, blocks=4 * LEASE_SECONDS)))
    fleet.begin()
    figures = await fleet.come_out()
    assert figures.repeated == 0


async def test_a_worker_that_is_drained_finishes_what_it_is_at(read: Case, begun: Begin) -> None:
    fleet = begun(read).begin()
    assert fleet.wait_for(15)
    fleet.until_claimed("worker 1")
    drained = fleet.members["worker 1"]
    os.kill(drained.pid, signal.SIGTERM)
    drained.process.join(30)
    assert drained.process.exitcode == 0
    assert fleet.answered() is None, "the others go on"
    figures = await fleet.come_out()
    assert figures.repeated == 0
