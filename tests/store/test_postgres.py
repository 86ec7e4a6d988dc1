"""What only a server can do to a journal: break connections, restart, serve many processes, know a password."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

import swarm.store.postgres
from swarm.errors import StoreError, StoreInUse
from swarm.store import postgres_link
from swarm.store.database import Database
from swarm.store.postgres import PostgresJournal
from swarm.store.postgres_link import shown
from swarm.task import Usage
from swarm.testing.conformance import call_key, entry, intent, reply, running
from swarm.testing.postgres import LocalPostgres

PATIENT = 120.0  # seconds, for what takes a fraction of one
CUT = (
    "SELECT count(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity "
    "WHERE datname = current_database() AND pid <> pg_backend_pid()"
)
FROZEN = """
import asyncio
from swarm.errors import StoreError
from swarm.store.journal import Entry

async def write():
    for number in range(10_000_000):
        await journal.append("run", Entry(kind="report", key=f"theirs {number}", body={}))
        print("wrote", number, flush=True)

journal.hold("run")
try:
    asyncio.run(write())
except StoreError as error:
    print("refused", error, flush=True)
"""


@pytest.fixture
def url(postgres: LocalPostgres) -> str:
    return postgres.database()


@pytest.fixture
def beside(tmp_path: Path) -> Iterator[Database]:
    with contextlib.closing(Database.open(tmp_path / "beside.db")) as database:
        yield database


@pytest.fixture
def journal(url: str, beside: Database) -> Iterator[PostgresJournal]:
    with contextlib.closing(PostgresJournal.open(url, beside)) as opened:
        yield opened


@pytest.fixture
def second(url: str, beside: Database) -> Iterator[PostgresJournal]:
    """Another journal on the same database: to the server, another process."""
    with contextlib.closing(PostgresJournal.open(url, beside)) as opened:
        yield opened


def tell(url: str, sql: str) -> list[tuple[object, ...]]:
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(sql)  # type: ignore[call-overload, unused-ignore]
        return cursor.fetchall() if cursor.description else []


def program(url: str, tmp_path: Path) -> str:
    return (
        "from pathlib import Path\nfrom swarm.store.database import Database\n"
        "from swarm.store.postgres import PostgresJournal\n"
        f"journal = PostgresJournal.open({url!r}, Database.open(Path({str(tmp_path / 'theirs.db')!r})))\n"
    )


# ---- who writes


async def test_who_is_refused_is_told_the_process_and_the_machine_that_hold_the_run(
    journal: PostgresJournal, second: PostgresJournal
) -> None:
    journal.hold("run")
    with pytest.raises(StoreInUse) as caught:
        second.hold("run")
    host = socket.gethostname()
    assert str(caught.value) == (
        f"run run is in use by another process (pid {os.getpid()}, host {host}): wait for it, or stop it"
    )
    assert second.held("run")


async def test_nothing_is_written_to_a_run_that_another_holds(
    journal: PostgresJournal, second: PostgresJournal
) -> None:
    await journal.append("run", entry("a"))
    for write in (
        second.append("run", entry("b")),
        second.begin_call(intent("run", 1)),
        second.finish_call("run", call_key(1), reply("x")),
        second.settle_lost("run"),
        second.forget("run"),
    ):
        with pytest.raises(StoreInUse, match="in use by another process"):
            await write
    await second.append("other", entry("b"))
    assert [account.run for account in journal.accounts()] == ["run", "other"]
    assert journal.keys("run", "report") == ["a"]


async def test_a_run_that_is_refused_does_not_hold_up_what_is_written_with_it(
    journal: PostgresJournal, second: PostgresJournal
) -> None:
    journal.hold("run")
    came = await asyncio.gather(
        second.append("other", entry("a")),
        second.append("run", entry("b")),
        second.append("other", entry("c")),
        return_exceptions=True,
    )
    assert [type(one) for one in came] == [type(None), StoreInUse, type(None)]
    assert second.keys("other", "report") == ["a", "c"]


async def test_a_forgotten_run_is_free(journal: PostgresJournal, second: PostgresJournal) -> None:
    await journal.append("run", entry("a"))
    await journal.forget("run")
    await second.append("run", entry("b"))
    assert journal.keys("run", "report") == ["b"]


async def test_a_process_that_was_frozen_past_its_connection_writes_nothing_when_it_wakes(
    url: str, journal: PostgresJournal, tmp_path: Path
) -> None:
    with running(program(url, tmp_path), FROZEN) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "wrote 0\n"
        process.send_signal(signal.SIGSTOP)
        tell(url, CUT)
        journal.hold("run")
        await journal.append("run", entry("ours"))
        process.send_signal(signal.SIGCONT)
        told = process.stdout.readlines()
        assert told[-1].startswith("refused run run was taken over by another process (pid ")
    assert journal.latest("run", "report") == journal.record("run", "report", "ours")
    written = [line.split()[1] for line in told if line.startswith("wrote")]
    assert {f"theirs {number}" for number in written} <= set(journal.keys("run", "report"))


# ---- connections that break


async def test_a_broken_connection_is_made_again_and_the_runs_are_still_held(
    url: str, journal: PostgresJournal, second: PostgresJournal
) -> None:
    await journal.append("run", entry("a"))
    tell(url, CUT)
    assert journal.keys("run", "report") == ["a"]
    await journal.append("run", entry("b"))
    tell(url, CUT)
    assert await journal.finished_call(call_key(1)) is None
    await journal.append("run", entry("c"))
    assert journal.keys("run", "report") == ["a", "b", "c"]
    with pytest.raises(StoreInUse):
        second.hold("run")


async def test_a_run_that_another_took_meanwhile_is_lost_even_when_it_is_free_again(
    url: str, beside: Database, journal: PostgresJournal
) -> None:
    await journal.append("run", entry("a"))
    await journal.append("mine", entry("a"))
    tell(url, CUT)
    with contextlib.closing(PostgresJournal.open(url, beside)) as other:
        await other.append("run", entry("b"))
    for _ in range(2):
        with pytest.raises(StoreInUse, match="taken over by another process when the connection was lost"):
            await journal.append("run", entry("c"))
    with pytest.raises(StoreInUse):
        journal.hold("run")
    assert journal.keys("run", "report") == ["a", "b"]
    await journal.append("mine", entry("b"))
    assert not journal.held("run")


async def test_a_connection_of_ours_that_the_server_still_believes_in_is_ended(
    url: str, journal: PostgresJournal
) -> None:
    await journal.append("run", entry("a"))
    (name,) = tell(url, "SELECT application_name FROM pg_stat_activity WHERE application_name LIKE 'swarm %'")
    lock = "SELECT (classid::bigint << 32) | objid::bigint FROM pg_locks WHERE locktype = 'advisory'"
    (held,) = tell(url, lock)
    tell(url, CUT)
    with psycopg.connect(url, autocommit=True, application_name=str(name[0])) as ghost:
        ghost.execute("SELECT pg_advisory_lock(%s)", held)
        await journal.append("run", entry("b"))
        with pytest.raises(psycopg.OperationalError):
            ghost.execute("SELECT 1")
    assert journal.keys("run", "report") == ["a", "b"]


@pytest.mark.parametrize("crash", [False, True])
async def test_a_server_that_restarts_loses_nothing_and_counts_nothing_twice(
    crash: bool, postgres: LocalPostgres, journal: PostgresJournal
) -> None:
    underway, restarted = asyncio.Event(), asyncio.Event()
    acknowledged: list[str] = []

    async def write(worker: int) -> None:
        number = after = 0
        while after < 20:
            key = f"{worker}-{number}"
            await journal.append("run", entry(key))
            await journal.fail_call("run", call_key(worker), key, Usage(calls=1))
            acknowledged.append(key)
            number += 1
            after += restarted.is_set()
            if number == 10:
                underway.set()

    async def restart() -> None:
        await underway.wait()
        await asyncio.to_thread(postgres.restart, crash=crash)
        restarted.set()

    for worker in range(16):
        await journal.begin_call(intent("run", worker))
    await asyncio.wait_for(asyncio.gather(restart(), *[write(worker) for worker in range(16)]), PATIENT)
    assert sorted(journal.keys("run", "report")) == sorted(acknowledged)
    assert journal.spent("run") == Usage(calls=len(acknowledged))


async def test_what_is_sent_again_because_no_answer_came_is_counted_once(
    journal: PostgresJournal, monkeypatch: pytest.MonkeyPatch
) -> None:
    def breaking(work: Callable[..., Any]) -> Callable[..., Any]:
        left = [1]

        def once(connection: psycopg.Connection, *arguments: Any) -> Any:
            came = work(connection, *arguments)
            if left and left.pop():
                connection.execute("COMMIT")
                connection.close()
                raise psycopg.OperationalError("the connection broke before the answer came")
            return came

        return once

    for number in (1, 2, 3):
        await journal.begin_call(intent("run", number))
    for name in ("insert", "settle_lost"):
        monkeypatch.setattr(swarm.store.postgres, name, breaking(getattr(swarm.store.postgres, name)))
    await journal.fail_call("run", call_key(1), "no", Usage(calls=1))
    assert await journal.settle_lost("run") == Usage(calls=2, input_tokens=20, cost_usd=1.0)
    assert journal.spent("run") == Usage(calls=3, input_tokens=20, cost_usd=1.0)


async def test_a_server_that_does_not_come_back_is_one_clear_line(
    monkeypatch: pytest.MonkeyPatch, beside: Database
) -> None:
    monkeypatch.setattr(postgres_link, "PATIENCE_SECONDS", 0.2)
    with LocalPostgres() as server:
        journal = PostgresJournal.open(server.database(), beside)
        await journal.append("run", entry("a"))
    with pytest.raises(StoreError, match=r"cannot be reached any more .*: what was finished is kept"):
        await journal.append("run", entry("b"))
    with pytest.raises(StoreError, match="cannot be reached any more"):
        journal.keys("run", "report")
    journal.close()


async def test_closing_does_not_wait_for_a_server_that_is_gone(beside: Database) -> None:
    with LocalPostgres() as server:
        journal = PostgresJournal.open(server.database(), beside)
    waiting = asyncio.create_task(journal.append("run", entry("a")))
    await asyncio.sleep(0)
    await asyncio.wait_for(asyncio.to_thread(journal.close), PATIENT)
    with pytest.raises(StoreError, match="cannot be reached any more"):
        await waiting
    with pytest.raises(StoreError, match="closed"):
        journal.keys("run", "report")
    with pytest.raises(StoreError, match="closed"):
        await journal.append("run", entry("b"))


# ---- the schema


def test_a_store_of_a_newer_version_is_refused_and_left_alone(url: str, beside: Database) -> None:
    PostgresJournal.open(url, beside).close()
    tell(url, "UPDATE swarm.version SET taken = 999")
    known = len(postgres_link._migrations())
    with pytest.raises(
        StoreError, match=rf"newer version of Swarm \(schema 999, this one knows {known}\): upgrade Swarm"
    ):
        PostgresJournal.open(url, beside)
    assert tell(url, "SELECT taken FROM swarm.version") == [(999,)]


async def test_a_store_of_an_older_version_is_upgraded_and_keeps_its_records(
    url: str, beside: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    with contextlib.closing(PostgresJournal.open(url, beside)) as journal:
        await journal.append("run", entry("a"))
    steps = [*postgres_link._migrations(), "ALTER TABLE records ADD COLUMN more integer"]
    monkeypatch.setattr(postgres_link, "_migrations", lambda: steps)
    with contextlib.closing(PostgresJournal.open(url, beside)) as journal:
        assert journal.keys("run", "report") == ["a"]
    assert tell(url, "SELECT taken, more FROM swarm.version, swarm.records") == [(len(steps), None)]


async def test_a_step_that_fails_is_undone(url: str, beside: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    PostgresJournal.open(url, beside).close()
    steps = [*postgres_link._migrations(), "DROP TABLE swarm.outcomes; SELECT 1 / 0"]
    with monkeypatch.context() as patch:
        patch.setattr(postgres_link, "_migrations", lambda: steps)
        with pytest.raises(StoreError, match="division by zero"):
            PostgresJournal.open(url, beside)
    with contextlib.closing(PostgresJournal.open(url, beside)) as journal:
        assert journal.spent("run") == Usage()


def test_many_may_open_a_new_store_at_once(url: str, beside: Database) -> None:
    opened: list[PostgresJournal] = []
    threads = [
        threading.Thread(target=lambda: opened.append(PostgresJournal.open(url, beside))) for _ in range(12)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(opened) == 12
    for journal in opened:
        journal.close()


def test_a_schema_of_another_program_is_refused(url: str, beside: Database) -> None:
    tell(url, "CREATE SCHEMA swarm")
    PostgresJournal.open(url, beside).close()
    tell(url, "DROP SCHEMA swarm CASCADE; CREATE SCHEMA swarm; CREATE TABLE swarm.bees (id int)")
    with pytest.raises(StoreError, match="another program's"):
        PostgresJournal.open(url, beside)


# ---- what is promised of writes


async def test_commits_are_flushed_whatever_the_database_says(url: str, beside: Database) -> None:
    name = url.partition("@/")[2].partition("?")[0]
    tell(url, f"ALTER DATABASE {name} SET synchronous_commit = off")
    with contextlib.closing(PostgresJournal.open(url, beside)) as journal:
        link = journal._writing
        assert link.run(lambda connection: connection.execute("SHOW synchronous_commit").fetchone()) == ("on",)


async def test_a_record_is_durable_before_what_follows_from_it(journal: PostgresJournal, beside: Database) -> None:
    seen = []

    def broken(_: object) -> None:
        seen.append(journal.keys("run", "report"))
        raise LookupError("no")

    with pytest.raises(LookupError):
        await journal.append("run", entry("a"), also=broken)
    assert seen[0] == ["a"]
    assert journal.keys("run", "report") == ["a"]
    await journal.append("run", also=lambda connection: connection.execute("CREATE TABLE follows (x)") and None)
    assert beside.read("SELECT count(*) FROM follows") == [(0,)]


async def test_one_that_the_server_refuses_does_not_spoil_those_beside_it(journal: PostgresJournal) -> None:
    too_long = os.urandom(20_000).hex()  # for an index
    came = await asyncio.gather(
        journal.append("run", entry("a")),
        journal.append("run", entry(too_long)),
        journal.append("run", entry("b")),
        return_exceptions=True,
    )
    assert [type(one) for one in came] == [type(None), StoreError, type(None)]
    assert journal.keys("run", "report") == ["a", "b"]


async def test_processes_that_ask_the_same_at_once_do_not_lock_each_other(
    journal: PostgresJournal, second: PostgresJournal
) -> None:
    async def call(one: PostgresJournal, run: str, number: int) -> None:
        await one.begin_call(intent(run, number))
        await one.finish_call(run, call_key(number), reply(run))

    await asyncio.gather(
        *[call(journal, "one", number) for number in range(500)],
        *[call(second, "two", number) for number in reversed(range(500))],
    )
    found = await asyncio.gather(*[journal.finished_call(call_key(number)) for number in range(500)])
    assert all(one is not None for one in found)
    assert journal.spent("one").calls == journal.spent("two").calls == 500


# ---- addresses


@pytest.mark.parametrize(
    ("url", "safe"),
    [
        ("postgresql://me:pa55@host:5432/db", "postgresql://me@host:5432/db"),
        ("postgresql://me:p@ss/w:rd@host/db", "postgresql://me@host/db"),
        ("postgresql://me@host/db?sslmode=require", "postgresql://me@host/db?sslmode=require"),
        ("postgresql:///db?user=me&password=pa55&host=/tmp", "postgresql:///db?user=me&password=***&host=/tmp"),
        ("postgresql://host/db?sslpassword=pa55", "postgresql://host/db?sslpassword=***"),
        ("postgresql://host", "postgresql://host"),
    ],
)
def test_an_address_is_shown_without_its_secrets(url: str, safe: str) -> None:
    assert shown(url) == safe


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://me:pa55word@127.0.0.1:1/db",
        "postgresql://me:pa55word%2F@127.0.0.1:nonsense/db",
        "postgresql://me:pa55word@127.0.0.1:1/db?nonsense=1",
        "postgresql://127.0.0.1:1/db?password=pa55word&nonsense",
        "postgresql://127.0.0.1:pa55word?@127.0.0.1:1/db",
    ],
)
def test_a_server_that_is_not_there_is_one_clear_line_without_the_password(url: str, beside: Database) -> None:
    with pytest.raises(StoreError) as caught:
        PostgresJournal.open(url, beside)
    told = str(caught.value)
    assert "pa55word" not in told
    assert "\n" not in told
    assert told.startswith("postgresql://")
    assert told.endswith("see to it, or name another --store")


@pytest.mark.parametrize("password", ["pa55word/1", "1@pa55word", "pa55word:2", "#pa55word"])
def test_a_password_that_would_be_taken_for_a_host_is_not_sent_anywhere(password: str, beside: Database) -> None:
    with pytest.raises(StoreError, match="in its password, write %40 for @") as caught:
        PostgresJournal.open(f"postgresql://me:{password}@127.0.0.1:1/db", beside)
    assert "pa55word" not in str(caught.value)


def test_without_the_extra_it_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch, beside: Database) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(StoreError, match=r"pip install 'swarm-memory\[postgres\]'"):
        PostgresJournal.open("postgresql://127.0.0.1:1/db", beside)
