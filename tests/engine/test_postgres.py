"""What only a server can do to an engine: serve many processes, restart, lose tables, cut connections."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from swarm.engine import postgres as module
from swarm.engine.postgres import PostgresEngine
from swarm.errors import StoreError
from swarm.testing.conformance import running
from swarm.testing.conformance.engine import PATIENT, Hand, serving, until, used
from swarm.testing.postgres import LocalPostgres

CUT = (
    "SELECT count(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity "
    "WHERE datname = current_database() AND pid <> pg_backend_pid()"
)
QUEUE, LOG = "swarm_queue.pgqueuer", "swarm_queue.pgqueuer_log"
HOLDER = """
import asyncio
from swarm.engine.postgres import PostgresEngine

async def hold(ref):
    print(ref, flush=True)
    await asyncio.Event().wait()

asyncio.run(PostgresEngine(url, 2, heartbeat_seconds=0.5).serve(hold))
"""


@pytest.fixture
def only_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """It never looks by itself for what waits."""
    monkeypatch.setattr(module, "_LOOK_SECONDS", 3_600.0)


@pytest.fixture
def restless(monkeypatch: pytest.MonkeyPatch) -> None:
    """It looks by itself all the time."""
    monkeypatch.setattr(module, "_LOOK_SECONDS", 0.1)


@pytest.fixture
def never_told(monkeypatch: pytest.MonkeyPatch, restless: None) -> None:
    """No notification reaches it."""

    async def deaf(_: PostgresEngine) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(PostgresEngine, "_listen", deaf)


def tell(url: str, sql: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(sql)  # type: ignore[call-overload, unused-ignore]
        return cursor.fetchall() if cursor.description else []


def count(url: str, table: str) -> int:
    return int(tell(url, f"SELECT count(*) FROM {table}")[0][0])


@contextlib.contextmanager
def shut(url: str) -> Iterator[None]:
    """Nobody gets into the database."""
    name = url.partition("@/")[2].partition("?")[0]
    other = url.replace(f"@/{name}?", "@/postgres?")
    tell(other, f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
    tell(other, f"SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = '{name}'")
    try:
        yield
    finally:
        tell(other, f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")


# ---- several processes


async def test_two_share_the_work_and_each_reference_is_served_once(url: str) -> None:
    refs = [str(number) for number in range(100)]
    first, second = Hand(*refs), Hand(*refs)
    async with (
        used(lambda places: PostgresEngine(url, places)) as one,
        used(lambda _: PostgresEngine(url, 3)) as two,
    ):
        await asyncio.gather(one.submit(refs), two.submit(refs), one.submit(refs[:50]))
        async with serving(one, first), serving(two, second):
            await until(lambda: len(first.at) == 2 and len(second.at) == 3)
            first.let_go(*refs)
            second.let_go(*refs)
            await until(lambda: len(first.done) + len(second.done) == 100)
            await until(lambda: count(url, QUEUE) == 0)
    assert sorted(first.given + second.given) == sorted(refs)


async def test_what_a_killed_process_was_at_is_delivered_to_another(url: str) -> None:
    hand = Hand()
    async with used(lambda places: PostgresEngine(url, places, heartbeat_seconds=0.5)) as engine:
        await engine.submit(["a", "b", "c"])
        with running(f"url = {url!r}", HOLDER) as process:
            assert process.stdout is not None
            held = [await asyncio.to_thread(process.stdout.readline) for _ in range(2)]
            process.kill()
        async with serving(engine, hand):
            await until(lambda: len(hand.done) == 3)
    assert sorted(hand.given) == ["a", "b", "c"]
    assert {line.strip() for line in held} == {*hand.given[1:]}  # a time-out later


async def test_what_was_silent_for_too_long_is_served_twice_and_nothing_else_comes_of_it(url: str) -> None:
    first, second = Hand("a"), Hand("a")
    async with used(lambda n: PostgresEngine(url, n), 1) as one, used(lambda n: PostgresEngine(url, n)) as two:
        await one.submit(["a"])
        async with serving(one, first):
            await until(lambda: first.at == ["a"])
            tell(url, f"UPDATE {QUEUE} SET heartbeat = now() - interval '1 hour'")
            async with serving(two, second):
                await until(lambda: second.at == ["a"])
                first.let_go("a")
                await until(lambda: count(url, QUEUE) == 0)
                second.let_go("a")
                await until(lambda: second.done == ["a"])
                await two.submit(["last"])
                await until(lambda: "last" in first.done + second.done)


@pytest.mark.usefixtures("only_told")
async def test_what_is_late_to_tell_that_it_lives_does_not_serve_its_own_twice(url: str) -> None:
    hand = Hand("a", "b")
    async with used(lambda _: PostgresEngine(url, 3)) as engine:
        await engine.submit(["a"])
        async with serving(engine, hand):
            await until(lambda: hand.at == ["a"])
            tell(url, f"UPDATE {QUEUE} SET heartbeat = now() - interval '1 hour'")
            await engine.submit(["b"])
            await until(lambda: "b" in hand.at)
            assert hand.given == ["a", "b"]
            hand.let_go("a", "b")
            await until(lambda: count(url, QUEUE) == 0)


# ---- being told


@pytest.mark.usefixtures("only_told")
async def test_what_is_submitted_is_delivered_at_once(url: str) -> None:
    hand = Hand()
    async with used(lambda places: PostgresEngine(url, places)) as engine, serving(engine, hand):
        await engine.submit(["a"])
        await until(lambda: hand.done == ["a"])
        await engine.submit(["b"])
        await until(lambda: hand.done == ["a", "b"])


@pytest.mark.usefixtures("only_told")
async def test_what_another_let_go_is_delivered_at_once(url: str) -> None:
    first, second = Hand("a"), Hand("b")
    async with used(lambda _: PostgresEngine(url, 1)) as one, used(lambda n: PostgresEngine(url, n)) as two:
        await one.submit(["a"])
        task = asyncio.create_task(one.serve(first))
        await until(lambda: first.at == ["a"])
        async with serving(two, second):
            await one.submit(["b"])
            await until(lambda: second.at == ["b"])
            task.cancel()
            await until(lambda: second.done == ["a"])
            assert task.cancelled()


@pytest.mark.usefixtures("never_told")
async def test_without_notifications_it_looks_by_itself(url: str) -> None:
    hand = Hand(fails=1)
    async with used(lambda places: PostgresEngine(url, places)) as engine, serving(engine, hand):
        await engine.submit(["a"])
        await until(lambda: hand.done == ["a"])


# ---- what happens to a server


@pytest.fixture
def lonely(postgres: LocalPostgres) -> Iterator[LocalPostgres]:
    """A server of one's own: one that has made many databases takes long to come back from a crash."""
    with LocalPostgres() as server:
        yield server


@pytest.mark.usefixtures("restless")
async def test_a_server_that_crashes_loses_nothing(lonely: LocalPostgres) -> None:
    refs, url = [str(number) for number in range(40)], lonely.url
    hand = Hand(*refs[:2])
    async with used(lambda _: PostgresEngine(url, 3, patience_seconds=10 * PATIENT)) as engine:
        await engine.submit(refs[:20])
        async with serving(engine, hand):
            await until(lambda: len(hand.done) > 5)
            restarting = asyncio.create_task(asyncio.to_thread(lonely.restart, crash=True))
            submitting = asyncio.create_task(engine.submit(refs[20:]))
            hand.let_go(*refs[:2])  # they end while it is gone
            await restarting
            await submitting
            await until(lambda: {*hand.done} == {*refs})
            await until(lambda: count(url, QUEUE) == 0)


@pytest.mark.usefixtures("restless")
async def test_connections_that_are_cut_take_no_place_from_what_is_served(url: str) -> None:
    hand = Hand("a")
    async with used(lambda places: PostgresEngine(url, places)) as engine:
        await engine.submit(["a"])
        async with serving(engine, hand):
            await until(lambda: hand.at == ["a"])
            for number in range(3):
                tell(url, CUT)
                await engine.submit([str(number)])
                await until(lambda number=number: str(number) in hand.done)  # type: ignore[misc]
            hand.let_go("a")
            await until(lambda: count(url, QUEUE) == 0)
    assert sorted(hand.given) == ["0", "1", "2", "a"]


@pytest.mark.parametrize(
    "loss", [f"TRUNCATE {QUEUE}", "DROP SCHEMA swarm_queue CASCADE", f"DROP TABLE {QUEUE} CASCADE"]
)
async def test_what_is_submitted_again_after_the_queue_was_lost_is_delivered(url: str, loss: str) -> None:
    hand = Hand("a")
    async with used(lambda _: PostgresEngine(url, 1)) as engine:
        await engine.submit(["a", "b", "c"])
        async with serving(engine, hand):
            await until(lambda: hand.at == ["a"])
            tell(url, loss)
            hand.let_go("a")
            await until(lambda: hand.done == ["a"])
            await engine.submit(["b", "c"])
            await until(lambda: {"b", "c"} <= {*hand.done})
            await until(lambda: count(url, QUEUE) == 0)


@pytest.mark.usefixtures("restless")
async def test_a_server_that_stays_away_ends_it_with_one_line(url: str) -> None:
    hand = Hand("a")
    known = url.replace("postgres@", "postgres:geheim@")
    async with used(lambda places: PostgresEngine(known, places, patience_seconds=0.2)) as engine:
        await engine.submit(["a"])
        before = asyncio.all_tasks()
        task = asyncio.create_task(engine.serve(hand))
        await until(lambda: hand.at == ["a"])
        with shut(url):
            with pytest.raises(StoreError, match="cannot be reached any more") as caught:
                async with asyncio.timeout(PATIENT):
                    await task
            with pytest.raises(StoreError, match="cannot be reached any more"):
                await engine.submit(["b"])
        assert "geheim" not in str(caught.value)
        assert "\n" not in str(caught.value)
        assert hand.at == []
        assert asyncio.all_tasks() == before
        await engine.submit(["c"])  # it is back


async def test_a_server_that_is_not_there_is_said_at_once(postgres: LocalPostgres) -> None:
    engine = PostgresEngine(postgres.url.replace("postgres@", "postgres:geheim@") + "/nowhere", 1)
    for use in (engine.submit(["a"]), engine.cancel(["a"]), engine.serve(Hand())):
        with pytest.raises(StoreError) as caught:
            async with asyncio.timeout(PATIENT):
                await use
        assert "geheim" not in str(caught.value)
        assert "\n" not in str(caught.value)
    await engine.close()


async def test_who_has_closed_it_cannot_use_it(url: str) -> None:
    engine = PostgresEngine(url, 1)
    await engine.submit(["a"])
    await engine.close()
    with pytest.raises(StoreError, match="closed"):
        await engine.submit(["b"])


# ---- what it costs, and what it keeps


async def test_taking_a_few_does_not_read_all_that_waits(url: str) -> None:
    async def plan(queries: Any) -> list[Any]:
        taking = queries.qbq.build_dequeue_query(
            batch_size=8, entrypoints=["slice"], concurrency_limits=[0], queue_manager_id=uuid4(),
            global_concurrency_limit=None, heartbeat_timeout=timedelta(seconds=30),
        )  # fmt: skip
        (row,) = await queries.driver.fetch(f"EXPLAIN (ANALYZE, FORMAT JSON) {taking.sql}", *taking.args)
        return [node["Actual Rows"] for node in nodes(row["QUERY PLAN"][0]["Plan"])]

    engine = PostgresEngine(url, 2)
    async with used(lambda _: engine):
        await engine.submit([str(number) for number in range(1_000)])
        assert max(await engine._do(plan)) == 8


def nodes(plan: dict[str, Any]) -> list[dict[str, Any]]:
    return [plan, *[node for inner in plan.get("Plans", ()) for node in nodes(inner)]]


async def test_its_log_does_not_grow(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_LOGGED", 5)
    hand = Hand()
    beating = PostgresEngine(url, 2, heartbeat_seconds=0.1)
    async with used(lambda _: beating) as engine, serving(engine, hand):
        for start in range(0, 60, 20):
            await engine.submit([str(number) for number in range(start, start + 20)])
            await until(lambda start=start: len(hand.done) == start + 20)  # type: ignore[misc]
            await until(lambda: count(url, LOG) < 15)
    async with used(lambda places: PostgresEngine(url, places)) as engine:
        await engine.submit([str(number) for number in range(20)])
        await engine.cancel([str(number) for number in range(20)])
        assert count(url, LOG) >= 20
        async with serving(engine, hand):
            await until(lambda: count(url, LOG) == 0)
    assert count(url, "swarm_queue.pgqueuer_statistics") == 0


async def test_somebody_who_reads_its_log_holds_nothing_up(url: str) -> None:
    hand = Hand()
    async with used(lambda places: PostgresEngine(url, places)) as engine:
        await engine.submit(["a"])
        with psycopg.connect(url) as connection:
            connection.execute(f"SELECT count(*) FROM {LOG}")  # type: ignore[call-overload, unused-ignore]
            async with serving(engine, hand):
                await until(lambda: hand.done == ["a"])


async def test_a_failure_is_logged_once_in_one_line(url: str, caplog: pytest.LogCaptureFixture) -> None:
    hand = Hand(fails=1)
    with caplog.at_level(logging.DEBUG):
        async with used(lambda places: PostgresEngine(url, places)) as engine, serving(engine, hand):
            await engine.submit(["run/a"])
            await until(lambda: hand.done == ["run/a"])
            tell(url, CUT)
            await engine.submit(["run/b"])
            await until(lambda: "run/b" in hand.done)
    said = [record for record in caplog.records if record.name != "asyncio"]
    assert {record.name for record in said} == {"swarm.engine"}
    (warned,) = [record for record in said if record.levelno >= logging.WARNING]
    assert "Told: run/a" in warned.getMessage()
    assert "Traceback" not in caplog.text


def test_the_environment_has_no_say_in_where_the_queue_is(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("QUEUE_TABLE", "CHANNEL", "PGQUEUER_PREFIX", "PGQUEUER_SCHEMA", "DURABILITY"):
        monkeypatch.setenv(name, "other")
    with fresh_settings():
        ours = module._settings()
        assert (ours.qualified.queue_table, ours.channel) == (QUEUE, "swarm_queue")


@contextlib.contextmanager
def fresh_settings() -> Iterator[None]:
    module._settings.cache_clear()
    yield
    module._settings.cache_clear()


@pytest.mark.soak
async def test_ten_thousand_are_each_served_once_by_four(url: str) -> None:
    refs = [f"run/{number}" for number in range(10_000)]
    hand = Hand()
    async with contextlib.AsyncExitStack() as stack:
        engines = [await stack.enter_async_context(used(lambda _: PostgresEngine(url, 16))) for _ in range(4)]
        await engines[0].submit(refs[:5_000])
        for engine in engines:
            await stack.enter_async_context(serving(engine, hand))
        for start in range(5_000, 10_000, 250):
            await engines[start % 4].submit(refs[start : start + 250])
        await until(lambda: len(hand.done) >= 10_000)
        await until(lambda: count(url, QUEUE) == 0)
    assert sorted(hand.given) == sorted(refs)
