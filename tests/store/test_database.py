import asyncio
import signal
import stat
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib import resources
from pathlib import Path

import apsw
import pytest

from swarm.errors import StoreError
from swarm.store.database import APPLICATION_ID, Database
from swarm.store.sqlite import SqliteJournal

INSERT = "INSERT INTO records (run, kind, key, at, body) VALUES (1, 'k', ?, 0, '{}')"

WRITER = """
import asyncio, sys
from pathlib import Path
from swarm.store.database import Database

async def main():
    database = Database.open(Path(sys.argv[1]))
    async def write(n):
        for i in range(100_000):
            await database.write(lambda c: c.execute(
                "INSERT INTO records (run, kind, key, at, body) VALUES (1, ?, ?, 0, '{}')", (str(n), str(i))))
            print(n, i, flush=True)
    await asyncio.gather(*[write(n) for n in range(8)])

asyncio.run(main())
"""


def rows(database: Database) -> int:
    return int(database.read("SELECT count(*) FROM records")[0][0])


async def test_a_write_that_returned_survives_kill_9(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    process = subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    told = [process.stdout.readline() for _ in range(200)]
    process.send_signal(signal.SIGKILL)
    told += process.stdout.readlines()
    process.wait()
    process.stdout.close()
    database = Database.open(path)
    kept = {(kind, key) for kind, key in database.read("SELECT kind, key FROM records")}
    database.close()
    acknowledged = {tuple(line.split()) for line in told if line.endswith("\n")}
    assert len(acknowledged) >= 200
    assert acknowledged <= kept


async def test_a_change_that_fails_is_undone_alone(tmp_path: Path) -> None:
    database = Database.open(tmp_path / "store.db")

    def broken(connection: apsw.Connection) -> None:
        connection.execute(INSERT, ("lost",))
        raise LookupError("no")

    results = await asyncio.gather(
        database.write(lambda c: c.execute(INSERT, ("a",)) and None),
        database.write(broken),
        database.write(lambda c: c.execute(INSERT, ("b",)) and None),
        return_exceptions=True,
    )
    assert isinstance(results[1], LookupError)
    assert database.read("SELECT key FROM records ORDER BY key") == [("a",), ("b",)]
    database.close()


class Sheet:
    """Gathers rows that the changes of one transaction add, and writes them when it is closed."""

    def __init__(self, connection: apsw.Connection) -> None:
        self.connection, self.keys = connection, list[str]()

    def close(self) -> None:
        self.connection.executemany(INSERT, [(key,) for key in self.keys])


async def test_what_changes_share_is_written_once_and_without_those_that_were_undone(tmp_path: Path) -> None:
    database = Database.open(tmp_path / "swarm.db")
    sheets: list[Sheet] = []

    def add(key: str) -> Callable[[apsw.Connection], None]:
        def change(connection: apsw.Connection) -> None:
            sheet = database.shared("sheet", lambda: Sheet(connection))
            sheet.keys.append(key)
            sheets.append(sheet)
            if key == "bad":
                raise ValueError(key)

        return change

    await asyncio.gather(*[database.write(add(str(number))) for number in range(5)])
    assert len(set(map(id, sheets))) == 1
    came = await asyncio.gather(*[database.write(add(key)) for key in ("a", "bad", "b")], return_exceptions=True)
    assert [type(one) for one in came] == [type(None), ValueError, type(None)]
    assert [key for (key,) in database.read("SELECT key FROM records ORDER BY seq")] == [*"01234", "a", "b"]
    database.close()


def test_a_store_is_private_to_its_user(tmp_path: Path) -> None:
    Database.open(tmp_path / "new" / "store.db").close()
    assert stat.S_IMODE((tmp_path / "new" / "store.db").stat().st_mode) == 0o600


def test_a_second_opener_is_told_that_the_store_is_in_use(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    database = Database.open(path)
    with pytest.raises(StoreError, match="in use by another process"):
        Database.open(path)
    database.close()
    Database.open(path).close()


def test_a_store_of_a_newer_version_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    Database.open(path).close()
    with apsw.Connection(str(path)) as connection:
        connection.execute("PRAGMA user_version = 999")
    with pytest.raises(StoreError, match="newer version of Swarm"):
        Database.open(path)
    assert apsw.Connection(str(path)).pragma("user_version") == 999


def test_what_is_not_a_store_is_refused_and_left_alone(tmp_path: Path) -> None:
    text = tmp_path / "notes.txt"
    text.write_text("These are notes, and no database at all.\n" * 100)
    with pytest.raises(StoreError, match="not a Swarm store"):
        Database.open(text)
    assert text.read_text().startswith("These are notes")
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]
    short = tmp_path / "short.txt"
    short.write_text("x")
    for opening in (Database.open, Database.look):
        with pytest.raises(StoreError, match="not a Swarm store"):
            opening(short)
    assert short.read_text() == "x"
    other = tmp_path / "other.db"
    apsw.Connection(str(other)).execute("CREATE TABLE t (x)")
    with pytest.raises(StoreError, match="another program"):
        Database.open(other)


def test_a_folder_that_cannot_be_made_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot be written"):
        Database.open(tmp_path / "file" / "store.db")


def version_2(path: Path) -> None:
    """A store as version 2 left it, with a run of two calls, one of which was on its way."""
    connection = apsw.Connection(str(path))
    folder = resources.files("swarm.store") / "schema"
    for name in ("0001.sql", "0002.sql"):
        connection.execute((folder / name).read_text("utf-8"))
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.execute("PRAGMA user_version = 2")
    records = [("task", "", '{"n": 1}'), ("report", "s1", '{"n": 2}'), ("answer", "f00d", '{"n": 3}')]
    for kind, key, body in records:
        sql = "INSERT INTO records (run, kind, key, at, body) VALUES ('old', ?, ?, 7, ?)"
        connection.execute(sql, (kind, key, body))
    about = '{"model":"m","kind":"read","tokens":9,"attempt":0}'
    usage = '{"calls":1,"input_tokens":5,"output_tokens":3,"cached_tokens":0,"cost_usd":0.25}'
    for number, reply in enumerate(("said", None)):
        connection.execute(
            "INSERT INTO calls (key, run, about, begun, reply, usage, finished) VALUES (?, 'old', ?, 8, ?, ?, ?)",
            (f"{number:032x}", about, reply, usage if reply else None, 9 if reply else None),
        )
    connection.close()


async def test_a_store_of_an_older_version_is_upgraded_with_all_that_it_holds(tmp_path: Path) -> None:
    path = tmp_path / "old.db"
    version_2(path)
    database = Database.open(path)
    journal = SqliteJournal(database)
    assert [(record.kind, record.body["n"], record.at) for record in journal.history("old")] == [
        ("task", 1, 7.0), ("report", 2, 7.0), ("answer", 3, 7.0),
    ]  # fmt: skip
    finished = await journal.finished_call(f"{0:032x}")
    assert finished is not None
    assert (finished.text, finished.usage.output_tokens) == ("said", 3)
    assert await journal.finished_call(f"{1:032x}") is None
    assert journal.spent("old").cost_usd == 0.25
    assert (await journal.settle_lost("old")).input_tokens == 9
    database.close()


def test_one_that_is_only_looked_into_is_upgraded_too_unless_it_is_at_work(tmp_path: Path) -> None:
    path = tmp_path / "old.db"
    version_2(path)
    database = Database.look(path)
    assert not database.locked()
    with pytest.raises(StoreError, match="to be read only"):
        database.write_sync(lambda connection: None)
    database.close()
    writing = Database.open(path)
    looking = Database.look(path)
    assert looking.locked()
    assert rows(looking) == 3
    looking.close()
    writing.close()


def test_one_that_is_just_being_closed_is_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    Database.open(path).close()
    closing = apsw.Connection(str(path))
    closing.pragma("locking_mode", "EXCLUSIVE")  # as whoever closes a store has it for a moment
    closing.execute("BEGIN IMMEDIATE; UPDATE runs SET id = id; COMMIT")
    with ThreadPoolExecutor() as threads:
        looking = threads.submit(Database.look, path)
        with pytest.raises(TimeoutError):
            looking.result(timeout=0.1)
        closing.close()
        looking.result(timeout=60).close()


def test_a_store_that_cannot_be_read_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"none\.db does not exist: name the store"):
        Database.look(tmp_path / "none.db")
    with pytest.raises(StoreError, match=r"cannot be read \(Is a directory\): name another --store"):
        Database.look(tmp_path)


def test_a_store_is_closed_when_a_thread_that_reads_it_is_done(tmp_path: Path) -> None:
    database = Database.open(tmp_path / "store.db")
    long = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 300000) SELECT max(i) FROM n"
    with ThreadPoolExecutor() as threads:
        reading = threads.submit(database.read, long)
        while not database._reading.locked() and not reading.done():
            pass
        database.close()
        assert reading.result(timeout=60) == [(300_000,)]
