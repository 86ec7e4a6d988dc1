from collections.abc import Iterator
from pathlib import Path

import pytest

from swarm.models.base import Completion
from swarm.store.database import Database
from swarm.store.journal import Journal
from swarm.task import Usage


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    database = Database.open(tmp_path / "store.db")
    yield Journal(database, clock=lambda: 1.0)
    database.close()


async def test_records_are_told_in_the_order_in_which_they_were_written(journal: Journal) -> None:
    for key in "cab":
        await journal.append("run", "report", key, {"n": key})
    await journal.append("other", "report", "z", {})
    assert [record.key for record in journal.records("run", "report")] == ["c", "a", "b"]


async def test_a_record_is_written_once_and_never_changed(journal: Journal) -> None:
    await journal.append("run", "report", "a", {"n": 1})
    await journal.append("run", "report", "a", {"n": 2})
    record = journal.record("run", "report", "a")
    assert record is not None
    assert record.body == {"n": 1}
    assert record.at == 1.0


async def test_a_call_in_flight_has_no_reply_and_a_finished_one_keeps_its_first(journal: Journal) -> None:
    await journal.begin_call("run", "k", {"model": "m"})
    assert journal.finished_call("k") is None
    await journal.finish_call("k", Completion(text="one", usage=Usage(calls=1, input_tokens=5)))
    await journal.finish_call("k", Completion(text="two", usage=Usage(calls=1, input_tokens=7)))
    assert journal.finished_call("k") == Completion(text="one", usage=Usage(calls=1, input_tokens=5))


async def test_what_a_run_spent_is_the_sum_of_its_finished_calls(journal: Journal) -> None:
    for key, run in [("a", "run"), ("b", "run"), ("c", "other"), ("d", "run")]:
        await journal.begin_call(run, key, {})
        if key != "d":
            usage = Usage(calls=1, output_tokens=3, cost_usd=0.5)
            await journal.finish_call(key, Completion(text="", usage=usage))
    assert journal.spent("run") == Usage(calls=2, output_tokens=6, cost_usd=1.0)


async def test_the_journal_is_there_after_the_store_was_closed(tmp_path: Path) -> None:
    path = tmp_path / "again.db"
    database = Database.open(path)
    await Journal(database).append("run", "task", "", {"text": "naïve – “quoted”"})
    database.close()
    database = Database.open(path)
    record = Journal(database).record("run", "task", "")
    assert record is not None
    assert record.body == {"text": "naïve – “quoted”"}
    database.close()
