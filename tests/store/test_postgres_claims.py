"""What only a server can do to claims: serve many processes, break connections, and find one that is frozen in the
middle of writing."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from swarm.errors import StaleLease, StoreError, StoreInUse
from swarm.store import postgres_asks, postgres_claims, postgres_link, postgres_pages
from swarm.store.claims import Lease
from swarm.store.database import Database
from swarm.store.opening import Store
from swarm.store.postgres import PostgresJournal
from swarm.store.postgres_rows import Rows, insert
from swarm.task import Usage
from swarm.testing.conformance import call_key, entry, intent, reply
from swarm.testing.conformance.claims import LONG, OVER, is_refused
from swarm.testing.postgres import LocalPostgres

CUT = (
    "SELECT count(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity "
    "WHERE datname = current_database() AND pid <> pg_backend_pid()"
)


@pytest.fixture
def url(emptied_url: str) -> str:
    return emptied_url


@pytest.fixture
def beside(tmp_path: Path) -> Iterator[Database]:
    with contextlib.closing(Database.open(tmp_path / "beside.db")) as database:
        yield database


@pytest.fixture
def opened(url: str, beside: Database) -> Iterator[Callable[[], Store]]:
    """A store, once more each time: to the server, another machine."""
    with contextlib.ExitStack() as stack:
        yield lambda: stack.enter_context(Store(PostgresJournal.open(url, beside), beside, url))


@pytest.fixture
def coordinator(opened: Callable[[], Store]) -> Store:
    store = opened()
    store.journal.hold("run")
    return store


@pytest.fixture
def worker(opened: Callable[[], Store], coordinator: Store) -> Store:
    return opened()


async def lease_of(offered: Store, claiming: Store, ref: str = "a", seconds: float = LONG) -> Lease:
    await offered.claims.offer("run", {ref: b""})
    lease = await claiming.claims.claim("run", ref, "worker", seconds)
    assert lease is not None
    return lease


@contextlib.contextmanager
def halfway(url: str, lease: Lease, key: str) -> Iterator[psycopg.Connection]:
    """Somebody who has written a record under a lease, and is in the middle of the transaction."""
    record = ("report", key.encode(), 0.0, b"{}")
    with psycopg.connect(url, options="-csearch_path=swarm") as connection:
        connection.execute("SELECT 1")  # begins the transaction, in which what follows is a part
        assert insert(connection, [(None, Rows(run=lease.run, lease=lease, records=[record]))]) == [None]
        yield connection


def tell(url: str, sql: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(url, autocommit=True, options="-csearch_path=swarm") as connection:
        cursor = connection.execute(sql)  # type: ignore[call-overload, unused-ignore]
        return cursor.fetchall() if cursor.description else []


# ---- who writes


async def test_machines_write_under_leases_to_a_run_that_another_holds(
    coordinator: Store, worker: Store, opened: Callable[[], Store]
) -> None:
    third = opened()
    leases = [await lease_of(coordinator, one, ref) for one, ref in ((worker, "a"), (third, "b"))]
    for store, lease in zip((worker, third), leases, strict=True):
        journal = store.journal.under(lease)
        await journal.append("run", entry(lease.ref))
        await journal.begin_call(intent("run", lease.epoch))
        await journal.finish_call("run", call_key(lease.epoch), reply("x"))
        with pytest.raises(StoreInUse):
            await store.journal.append("run", entry("c"))
    assert await third.journal.under(leases[1]).finished_call(call_key(leases[0].epoch)) == reply("x")
    await coordinator.journal.append("run", entry("d"))
    assert coordinator.journal.keys("run", "report") == ["a", "b", "d"]
    assert coordinator.journal.spent("run").calls == 2


async def test_who_was_taken_over_from_offers_and_withdraws_nothing_more(
    coordinator: Store, opened: Callable[[], Store]
) -> None:
    before = coordinator.journal.hold("run")
    await coordinator.claims.offer("run", {"a": b""}, hold=before)
    coordinator.journal.close()
    other = opened()
    while True:
        with contextlib.suppress(StoreInUse):  # the server has not noticed yet
            now = other.journal.hold("run")
            break
    assert now > before
    with pytest.raises(StoreInUse, match="was taken over by another process"):
        await coordinator.claims.offer("run", {"b": b""}, hold=before)
    with pytest.raises(StoreInUse, match="was taken over by another process"):
        await coordinator.claims.withdraw("run", ["a"], hold=before)
    await other.claims.offer("run", {"c": b""}, hold=now)
    assert [one.ref for one in other.claims.standings("run")] == ["a", "c"]
    await other.claims.withdraw("run", ["a", "c"], hold=now)
    assert not other.claims.standings("run")


async def test_a_lease_says_nothing_of_other_runs(coordinator: Store, worker: Store) -> None:
    lease = await lease_of(coordinator, worker)
    coordinator.journal.hold("other")
    with pytest.raises(StoreInUse):
        await worker.journal.under(lease).append("other", entry("a"))


async def test_nobody_takes_a_slice_while_something_is_written_under_its_lease_which_then_is_there(
    url: str, coordinator: Store, worker: Store
) -> None:
    lease = await lease_of(coordinator, worker)
    with halfway(url, lease, "theirs") as connection:
        assert coordinator.claims.renew([lease], OVER) == {lease.epoch}, "that waits for nobody"
        assert await coordinator.claims.claim("run", "a", "another", LONG) is None
        withdrawn = asyncio.create_task(coordinator.claims.withdraw("run", ["a"]))
        await asyncio.to_thread(until_waiting, url)
        assert not withdrawn.done()
        connection.commit()
        await withdrawn
    assert coordinator.journal.keys("run", "report") == ["theirs"]


def until_waiting(url: str) -> None:
    sql = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    while tell(url, sql) == [(0,)]:
        pass


async def test_who_is_frozen_in_the_middle_of_writing_is_ended_and_another_takes_the_slice(
    url: str, coordinator: Store, worker: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    lease = await lease_of(coordinator, worker)
    with halfway(url, lease, "theirs") as connection:
        coordinator.claims.renew([lease], OVER)
        assert await coordinator.claims.claim("run", "a", "another", LONG) is None
        assert tell(url, f"SELECT 1 FROM pg_stat_activity WHERE pid = {connection.info.backend_pid}")
        monkeypatch.setattr(postgres_asks, "STUCK_SECONDS", 0.0)
        assert await coordinator.claims.claim("run", "a", "another", LONG) is None
        with pytest.raises(psycopg.OperationalError):
            connection.commit()
        taken = await coordinator.claims.claim("run", "a", "another", LONG)
        assert taken is not None
        assert taken.epoch > lease.epoch
    assert coordinator.journal.keys("run", "report") == []


async def test_a_withdrawal_waits_for_nobody_who_is_frozen(
    url: str, coordinator: Store, worker: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_asks, "STUCK_SECONDS", 0.0)
    monkeypatch.setattr(postgres_asks, "_LOCKED", "SET LOCAL lock_timeout = 20")
    lease, other = await lease_of(coordinator, worker), await lease_of(coordinator, worker, "b")
    with pytest.raises(psycopg.OperationalError), halfway(url, lease, "theirs"):
        await asyncio.gather(coordinator.claims.withdraw("run", ["a"]), coordinator.claims.withdraw("run", ["b"]))
    assert coordinator.claims.standings("run") == []
    assert await is_refused(worker.journal.under(other).append("run", entry("b")))
    assert coordinator.journal.keys("run", "report") == []


def test_who_is_frozen_within_a_transaction_is_ended_by_the_server(url: str, coordinator: Store) -> None:
    link = coordinator.journal._writing  # type: ignore[attr-defined]
    shown = link.run(lambda connection: connection.execute("SHOW idle_in_transaction_session_timeout").fetchone())
    assert shown == ("10s",)


# ---- pages


async def test_a_page_is_not_told_before_what_has_a_lower_number_is_there(
    url: str, coordinator: Store, worker: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    lease = await lease_of(coordinator, worker)
    await coordinator.journal.append("run", entry("first"))
    first = coordinator.journal.since("run", 0)
    with halfway(url, lease, "theirs") as connection, monkeypatch.context() as patch:
        await coordinator.journal.append("run", entry("after"))
        await coordinator.journal.append("other", entry("elsewhere"))
        patch.setattr(postgres_pages, "WAIT_SECONDS", 0.02)
        assert worker.journal.since("run", first[-1].seq) == []
        assert coordinator.journal.since("run", 0, limit=1) == first, "which nothing more can come before"
        assert len(coordinator.journal.since("other", 0)) == 1
        connection.commit()
    assert [one.key for one in worker.journal.since("run", first[-1].seq)] == ["theirs", "after"]


async def test_a_page_waits_for_who_is_about_to_come_to_an_end_and_for_nobody_who_began_later(
    url: str, coordinator: Store, worker: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_pages, "WAIT_SECONDS", 60.0)
    lease = await lease_of(coordinator, worker)
    asked = threading.Event()
    read = coordinator.journal._pages._read  # type: ignore[attr-defined]

    def reading(sql: str, parameters: Any) -> Any:
        rows = read(sql, parameters)
        if "pg_locks" in sql:
            asked.set()
        return rows

    monkeypatch.setattr(coordinator.journal._pages, "_read", reading)  # type: ignore[attr-defined]
    with halfway(url, lease, "theirs") as connection:
        await coordinator.journal.append("run", entry("after"))
        page = asyncio.create_task(asyncio.to_thread(coordinator.journal.since, "run", 0))
        await asyncio.to_thread(asked.wait, 60.0)
        with halfway(url, lease, "later"):
            connection.commit()
            assert [one.key for one in await page] == ["theirs", "after"]


async def test_a_follower_misses_nothing_of_what_machines_write_at_once(
    coordinator: Store, opened: Callable[[], Store]
) -> None:
    stores, each = [opened() for _ in range(3)], 40
    seen: list[str] = []
    ended = threading.Event()

    def work(store: Store, lease: Lease) -> None:
        for number in range(each):
            store.journal.under(lease).append_sync("run", entry(f"{lease.ref} {number}"))

    def follow() -> None:
        last, over = 0, False
        while not over:
            over = ended.is_set()
            while page := coordinator.journal.since("run", last):
                seen.extend(one.key for one in page)
                last = page[-1].seq

    leases = [await lease_of(coordinator, store, str(number)) for number, store in enumerate(stores)]
    following = asyncio.create_task(asyncio.to_thread(follow))
    await asyncio.gather(*[asyncio.to_thread(work, *one) for one in zip(stores, leases, strict=True)])
    ended.set()
    await following
    assert seen == coordinator.journal.keys("run", "report")
    assert len(seen) == 3 * each


# ---- connections that break


def breaking(work: Callable[..., Any]) -> Callable[..., Any]:
    """What comes to its end, and breaks the connection before that is told; once."""
    left = [1]

    def once(connection: psycopg.Connection, *arguments: Any) -> Any:
        came = work(connection, *arguments)
        if left and left.pop():
            connection.close()
            raise psycopg.OperationalError("the connection broke before the answer came")
        return came

    return once


async def test_what_is_asked_again_because_no_answer_came_is_done_once(
    coordinator: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    claims = coordinator.claims

    def break_next() -> None:
        monkeypatch.setattr(postgres_claims, "do", breaking(postgres_asks.do))

    break_next()
    await claims.offer("run", {"a": b"", "b": b""})
    break_next()
    lease = await claims.claim("run", "a", "worker", LONG)
    assert lease is not None
    assert claims.standings("run")[0].epoch == lease.epoch
    other = await claims.claim("run", "b", "worker", LONG)
    assert other is not None
    assert other.epoch == lease.epoch + 1
    break_next()
    await claims.hand_in(lease, b"done")
    assert [one.outcome for one in claims.handed("run")] == [b"done"]
    await coordinator.journal.under(other).begin_call(intent("run", 1))
    break_next()
    await claims.let_go(other)
    break_next()
    await claims.withdraw("run", ["a", "b"])
    assert coordinator.journal.spent("run").calls == 1
    assert claims.standings("run") == []


@pytest.mark.soak
async def test_a_server_that_crashes_is_waited_for_and_gives_no_slice_to_two_and_one_that_stays_away_is_told(
    beside: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    refs = [str(number) for number in range(40)]
    done: list[str] = []
    underway = asyncio.Event()

    async def work(store: Store, holder: str, ref: str) -> None:
        lease = await store.claims.claim("run", ref, holder, LONG)
        if lease is None:
            return
        await store.journal.under(lease).append("run", entry(f"{ref} {holder}"))
        assert await asyncio.to_thread(store.claims.renew, [lease], LONG) == {lease.epoch}
        await store.claims.hand_in(lease, holder.encode())
        done.append(ref)
        underway.set()

    async def all_of(store: Store, holder: str) -> None:
        for start in range(0, len(refs), 5):
            await asyncio.gather(*[work(store, holder, ref) for ref in refs[start : start + 5]])

    async def crash(server: LocalPostgres) -> None:
        await underway.wait()
        await asyncio.to_thread(server.restart, crash=True)

    with contextlib.ExitStack() as stack:
        with LocalPostgres() as server:
            url = server.database()
            one, two = [
                stack.enter_context(Store(PostgresJournal.open(url, beside), beside, url)) for _ in range(2)
            ]
            await two.claims.offer("run", dict.fromkeys(refs, b""))
            with two.claims.watch("run") as watch:
                await asyncio.gather(crash(server), all_of(one, "one"), all_of(two, "two"))
                assert await asyncio.to_thread(watch.wait, LONG)
            assert sorted(done) == sorted(refs)
            handed = {one.ref: one.outcome.decode() for one in two.claims.handed("run")}
            written = sorted(two.journal.keys("run", "report"))
            assert written == sorted(f"{ref} {handed[ref]}" for ref in refs)
        monkeypatch.setattr(postgres_link, "PATIENCE_SECONDS", 0.2)
        lease = Lease(run="run", ref="a", epoch=1, body=b"")
        for asked in (
            two.claims.claim("run", "a", "worker", LONG),
            asyncio.to_thread(two.claims.renew, [lease], LONG),
        ):
            with pytest.raises(StoreError, match="cannot be reached any more"):
                await asked
        two.claims.close()
        two.claims.close()
        with pytest.raises(StoreError, match="closed"):
            await two.claims.offer("run", {"a": b""})


async def test_a_watch_whose_connection_breaks_says_that_something_may_have_been(
    url: str, coordinator: Store, worker: Store
) -> None:
    lease = await lease_of(coordinator, worker)
    with coordinator.claims.watch("run") as watch:
        while watch.wait(0.0):
            pass
        tell(url, CUT)
        await worker.claims.hand_in(lease, b"")
        assert await asyncio.to_thread(watch.wait, LONG)


# ---- at once


async def test_one_that_the_server_refuses_does_not_spoil_those_beside_it(coordinator: Store) -> None:
    came = await asyncio.gather(
        coordinator.claims.offer("run", {"a": b""}),
        coordinator.claims.offer("run", {"nul \0": b""}),
        coordinator.claims.hand_in(Lease(run="run", ref="a", epoch=99, body=b""), b""),
        coordinator.claims.offer("run", {"b": b""}),
        return_exceptions=True,
    )
    assert [type(one) for one in came] == [type(None), StoreError, StaleLease, type(None)]
    assert [one.ref for one in coordinator.claims.standings("run")] == ["a", "b"]


async def test_machines_that_change_the_same_slices_at_once_do_not_lock_each_other(
    coordinator: Store, worker: Store
) -> None:
    refs = [str(number) for number in range(100)]

    async def work(store: Store, order: list[str]) -> int:
        leases = [await asyncio.gather(*[store.claims.claim("run", ref, "x", LONG) for ref in order])]
        mine = [lease for lease in leases[0] if lease is not None]
        await asyncio.gather(
            asyncio.to_thread(store.claims.renew, mine[::-1], LONG),
            *[store.claims.let_go(lease) for lease in mine[::2]],
            *[store.claims.hand_in(lease, b"") for lease in mine[1::2]],
        )
        return len(mine)

    await coordinator.claims.offer("run", dict.fromkeys(refs, b""))
    counts = await asyncio.gather(work(coordinator, refs), work(worker, refs[::-1]))
    assert sum(counts) >= len(refs)
    await asyncio.gather(*[store.claims.withdraw("run", refs) for store in (coordinator, worker)])
    assert coordinator.journal.spent("run") == Usage()
    assert coordinator.claims.runs() == []
