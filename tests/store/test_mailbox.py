"""A mailbox holds what was asked of a run until the run has it, whatever else lies in it, and whoever asks."""

from __future__ import annotations

import json
import logging
import os
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import asdict, replace
from pathlib import Path

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swarm.errors import StoreError, UsageError
from swarm.store.journal import Entry
from swarm.store.mailbox import AT_ONCE, LONGEST, MOST_BYTES, FileMailbox, Mailbox, from_bytes, request, to_bytes
from swarm.store.opening import open_mailbox, open_store
from swarm.testing.postgres import LocalPostgres

RUN = "20261127-101500-abc123"
POST = """
import sys
from contextlib import closing
from swarm.store.mailbox import request
from swarm.store.opening import open_mailbox

with closing(open_mailbox(sys.argv[1])) as mailbox:
    for number in range(int(sys.argv[3])):
        mailbox.post(sys.argv[2], request("steer", text=f"{sys.argv[4]} {number}"))
"""


@pytest.fixture(params=["file", "server"])
def where(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A store that holds the run."""
    monkeypatch.chdir(tmp_path)
    if request.param == "file":
        where = str(tmp_path / "store.db")
    else:
        postgres: LocalPostgres = request.getfixturevalue("postgres")
        where = postgres.database()
    with open_store(where) as store:
        store.journal.append_sync(RUN, Entry(kind="task", key="", body={}))
    return where


@pytest.fixture
def mailbox(where: str) -> Iterator[Mailbox]:
    with closing(open_mailbox(where)) as mailbox:
        yield mailbox


@pytest.fixture
def files(tmp_path: Path) -> FileMailbox:
    return FileMailbox(tmp_path / "store.db")


@pytest.fixture
def warned(caplog: pytest.LogCaptureFixture) -> Callable[[], list[str]]:
    """What went to the log as a warning since."""
    caplog.set_level(logging.WARNING)

    def lines() -> list[str]:
        return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]

    return lines


def test_requests_come_as_they_were_asked_in_order_until_they_are_removed(mailbox: Mailbox) -> None:
    assert mailbox.waiting(RUN) == []
    asked = [
        request("steer", text="Mind the gap — “here” \U0001f480."),
        request("pause", session=3),
        request("cancel", slice_="s1"),
    ]
    for one in reversed(asked):
        mailbox.post(RUN, one)
    assert mailbox.waiting(RUN) == asked
    assert mailbox.holds(RUN, asked[1].id)
    mailbox.remove(RUN, asked[1].id)
    mailbox.remove(RUN, asked[1].id)
    assert not mailbox.holds(RUN, asked[1].id)
    assert mailbox.waiting(RUN) == [asked[0], asked[2]]
    mailbox.clear(RUN)
    assert mailbox.waiting(RUN) == []


def test_what_is_posted_twice_is_there_once(mailbox: Mailbox) -> None:
    one = request("steer", text="Mind the gap.")
    mailbox.post(RUN, one)
    mailbox.post(RUN, one)
    assert mailbox.waiting(RUN) == [one]


def test_runs_get_what_was_meant_for_them(mailbox: Mailbox, where: str) -> None:
    others = ["../../outside", ".hidden", "a/b", "ünïcode", "x" * 300, "CON", ""]
    with open_store(where) as store:
        for other in others:
            store.journal.append_sync(other, Entry(kind="task", key="", body={}))
    asked = {run: request("steer", text=f"for {run!r}") for run in [RUN, *others]}
    for run, one in asked.items():
        mailbox.post(run, one)
    assert {run: mailbox.waiting(run) for run in asked} == {run: [one] for run, one in asked.items()}


def test_so_many_are_taken_in_one_look_and_the_rest_in_the_next(mailbox: Mailbox) -> None:
    asked = [request("steer", text=str(number)) for number in range(AT_ONCE + 5)]
    for one in asked:
        mailbox.post(RUN, one)
    assert mailbox.waiting(RUN) == asked[:AT_ONCE]
    for one in asked[:AT_ONCE]:
        mailbox.remove(RUN, one.id)
    assert mailbox.waiting(RUN) == asked[AT_ONCE:]


def test_many_processes_may_ask_at_once_and_nothing_is_lost(where: str) -> None:
    posting = [
        subprocess.Popen([sys.executable, "-c", POST, where, RUN, "20", str(number)]) for number in range(4)
    ]
    seen: list[str] = []
    with closing(open_mailbox(where)) as mailbox:
        over = False
        while not over:
            over = all(process.poll() is not None for process in posting)
            while waiting := mailbox.waiting(RUN):
                seen += [one.text for one in waiting]
                for one in waiting:
                    mailbox.remove(RUN, one.id)
    assert [process.wait(20) for process in posting] == [0] * 4
    assert sorted(seen) == sorted(f"{who} {number}" for who in range(4) for number in range(20))
    for who in range(4):
        own = [text for text in seen if text.startswith(f"{who} ")]
        assert own == [f"{who} {number}" for number in range(20)], "each in the order in which it was asked"


# Files


def test_nobody_else_may_read_what_was_asked(files: FileMailbox, tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        files.post(RUN, request("steer", text="Mind the gap."))
    finally:
        os.umask(before)
    modes = {path: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "store.db.mail").rglob("*")}
    assert sorted(modes.values()) == [0o600, 0o700]
    assert stat.S_IMODE((tmp_path / "store.db.mail").stat().st_mode) == 0o700


@pytest.mark.parametrize(
    "garbage",
    [
        b"",
        b"{",
        b"\xff\xfe\x00garbage",
        b"null",
        b"[]" * 10,
        b'{"id": 1}',
        b"[" * 60_000,
        b"x" * (MOST_BYTES + 1),
        b'{"id": "ID", "what": "explode"}',
        b'{"id": "ID", "what": "steer", "text": ""}',
        b'{"id": "0000000000000000000-00000000", "what": "pause"}',
        b'{"id": "ID", "what": "steer", "text": "' + b"x" * (LONGEST + 1) + b'"}',
    ],
)
def test_what_is_no_request_is_set_aside_with_one_line_and_holds_nothing_up(
    files: FileMailbox, tmp_path: Path, warned: Callable[[], list[str]], garbage: bytes
) -> None:
    good, broken = request("pause"), request("stop")
    files.post(RUN, good)
    folder = tmp_path / "store.db.mail" / RUN
    (folder / f"{broken.id}.json").write_bytes(garbage.replace(b"ID", broken.id.encode()))
    assert files.waiting(RUN) == [good]
    assert files.waiting(RUN) == [good]
    (line,) = warned()
    assert "set aside what is no request" in line
    assert (folder / f"{broken.id}.json.aside").exists()


def test_whatever_lies_in_the_folder_is_no_reason_to_fail(
    files: FileMailbox, tmp_path: Path, warned: Callable[[], list[str]]
) -> None:
    good = request("pause")
    files.post(RUN, good)
    folder = tmp_path / "store.db.mail" / RUN
    (folder / "a folder.json").mkdir()
    os.mkfifo(folder / "pipe.json")
    secret = tmp_path / "secret.json"
    secret.write_bytes(to_bytes(replace(good, id="0" * 19 + "-" + "0" * 8)))
    (folder / f"{'0' * 19}-{'0' * 8}.json").symlink_to(secret)
    (folder / "notes.txt").write_text("mine")
    (folder / ("x" * 250)).write_text("a long name")
    (folder / "half.json.new").write_text("{")  # whoever wrote it died
    assert files.waiting(RUN) == [good]
    assert files.waiting(RUN) == [good]
    assert len(warned()) == 5
    files.clear(RUN)
    assert files.waiting(RUN) == []
    assert secret.exists()


def test_empty_folders_go_and_full_ones_stay(files: FileMailbox, tmp_path: Path) -> None:
    one = request("pause")
    files.post(RUN, one)
    files.post("other", one)
    files.remove(RUN, one.id)
    files.close()
    assert [path.name for path in (tmp_path / "store.db.mail").iterdir()] == ["other"]
    files.remove("other", one.id)
    files.close()
    files.close()
    assert not (tmp_path / "store.db.mail").exists()
    files.post(RUN, one)
    assert files.waiting(RUN) == [one]


def test_a_mailbox_in_whose_place_something_else_stands_is_one_line(files: FileMailbox, tmp_path: Path) -> None:
    (tmp_path / "store.db.mail").write_text("in the way")
    with pytest.raises(StoreError, match=r"store\.db\.mail/\S+ cannot be written \(.*\): see to it"):
        files.post(RUN, request("pause"))
    with pytest.raises(StoreError, match="cannot be read"):
        files.waiting(RUN)


# A server


def test_a_run_that_the_server_does_not_hold_is_one_line(postgres: LocalPostgres, tmp_path: Path) -> None:
    with closing(open_mailbox(postgres.database())) as mailbox:
        assert mailbox.waiting("nobody") == []
        with pytest.raises(StoreError, match="holds no run nobody"):
            mailbox.post("nobody", request("pause"))


def test_rows_that_are_no_requests_are_set_aside_and_a_lost_connection_is_made_again(
    postgres: LocalPostgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, warned: Callable[[], list[str]]
) -> None:
    monkeypatch.chdir(tmp_path)
    url = postgres.database()
    with open_store(url) as store:
        store.journal.append_sync(RUN, Entry(kind="task", key="", body={}))
        with closing(open_mailbox(url)) as mailbox:
            good = request("pause")
            mailbox.post(RUN, good)
            with psycopg.connect(url, autocommit=True) as connection:
                for id_, body in (("0", b"\xff"), (request("stop").id, to_bytes(good)), ("1", b"x" * 100_000)):
                    connection.execute(
                        "INSERT INTO swarm.requests (id, run, body) SELECT %s, num, %s FROM swarm.runs",
                        (id_, body),
                    )
                connection.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                    "WHERE application_name LIKE 'swarm-mail%'"
                )
            assert mailbox.waiting(RUN) == [good]
            assert mailbox.waiting(RUN) == [good]
    assert len(warned()) == 3


async def test_a_run_that_is_forgotten_leaves_no_row_behind(
    postgres: LocalPostgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    url = postgres.database()
    with open_store(url) as store, closing(open_mailbox(url)) as mailbox:
        store.journal.append_sync(RUN, Entry(kind="task", key="", body={}))
        mailbox.post(RUN, request("pause"))
        await store.journal.forget(RUN)
    with psycopg.connect(url) as connection:
        assert connection.execute("SELECT count(*) FROM swarm.requests").fetchone() == (0,)


# Requests


@given(st.text(max_size=LONGEST))
def test_any_text_that_is_accepted_comes_through_as_it_was_accepted(text: str) -> None:
    try:
        asked = request("steer", text=text)
    except UsageError:
        return
    assert from_bytes(to_bytes(asked), asked.id) == asked
    assert asked.text.encode()
    assert not {*map(chr, range(32))} - {"\t", "\n"} & {*asked.text}


@settings(max_examples=200)
@given(st.binary(max_size=200) | st.text(max_size=100).map(str.encode))
def test_bytes_are_a_request_or_a_value_error(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        from_bytes(data, request("pause").id)


@pytest.mark.parametrize("name", [field for field in asdict(request("pause")) if field != "id"])
def test_a_field_of_another_type_is_refused(name: str) -> None:
    asked = request("pause")
    with pytest.raises(ValueError, match=r"\w"):
        from_bytes(json.dumps({**asdict(asked), name: ["x"]}).encode(), asked.id)


def test_ids_sort_by_the_time_of_asking() -> None:
    ids = [request("pause").id for _ in range(100)]
    assert sorted(ids) == sorted(set(ids))
    assert [id_[:19] for id_ in ids] == sorted(id_[:19] for id_ in ids)
