"""A worker keeps its leases while it lives, and stops what it has lost."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from swarm.errors import StaleLease
from swarm.remote import heart
from swarm.remote.heart import Heart, Held
from swarm.store.claims import Lease
from swarm.store.machines import Machine
from swarm.store.opening import Store, open_store

ME = Machine(id="me", host="here", pid=1, version="0", places=2, started=0.0)


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Store]:
    monkeypatch.setattr(heart, "LEASE_SECONDS", 0.3)
    with open_store(tmp_path / "swarm.db") as opened:
        yield opened


@asynccontextmanager
async def beating(store: Store, on_drain: object = lambda: None) -> AsyncIterator[Heart]:
    made = Heart(store.claims, store.machines, lambda: ME, on_drain)  # type: ignore[arg-type]
    with made.beating():
        yield made


async def claimed(store: Store) -> Lease:
    await store.claims.offer("run", {"slice": b"{}"})
    lease = await store.claims.claim("run", "slice", "me", heart.LEASE_SECONDS)
    assert lease is not None
    return lease


async def test_a_lease_lasts_as_long_as_its_worker_lives_though_the_loop_is_blocked(store: Store) -> None:
    async with beating(store) as made:
        with made.holding(await claimed(store), time.monotonic()) as held:
            time.sleep(4 * heart.LEASE_SECONDS)  # noqa: ASYNC251 - that is what is tried
            assert await store.claims.claim("run", "slice", "other", 9) is None
            await held.sure()


async def test_a_slice_that_is_anothers_by_now_is_cancelled_and_sends_nothing(store: Store) -> None:
    lost: list[Held] = []

    async def work(made: Heart, lease: Lease) -> None:
        with made.holding(lease, time.monotonic()) as held:
            lost.append(held)
            await asyncio.sleep(60)

    async with beating(store) as made:
        lease = await claimed(store)
        task = asyncio.create_task(work(made, lease))
        await asyncio.sleep(0)
        await store.claims.withdraw("run", ["slice"])
        with pytest.raises(asyncio.CancelledError):
            await task
        with pytest.raises(StaleLease):
            await lost[0].sure()
    assert lost[0].lost


async def test_whoever_is_not_sure_of_a_lease_waits_until_it_is_renewed(store: Store) -> None:
    async with beating(store) as made:
        with made.holding(await claimed(store), time.monotonic() - 9) as held:
            assert time.monotonic() > held.until
            await held.sure()
            assert time.monotonic() < held.until


async def test_all_see_what_it_is_at_and_may_ask_it_to_drain(store: Store) -> None:
    drained = asyncio.Event()
    async with beating(store, drained.set) as made:
        with made.holding(await claimed(store), time.monotonic()):
            while not any(one.doing for one in store.machines.seen()):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            (seen,) = store.machines.seen()
            assert [(doing.run, doing.ref) for doing in seen.doing] == [("run", "slice")]
            store.machines.drain(["here"])
            await drained.wait()
