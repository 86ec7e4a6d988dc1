"""Runs from outside: how each stands, at work and when it is over, and that forgetting leaves nothing behind."""

import asyncio
import os
import subprocess
import time
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from swarm import history
from swarm.errors import StoreError, UsageError
from swarm.models.scripted import Scripted
from swarm.prompts.typed import JudgePrompt, Prompt, ReadPrompt
from swarm.run import Swarm
from swarm.store.journal import Entry, Intent
from swarm.store.opening import open_store
from swarm.task import Answer, Limits, Task
from swarm.testing.postgres import LocalPostgres

RARE = "quixotryzzy"


def write(folder: Path, *words: str) -> Path:
    folder.mkdir(exist_ok=True)
    for number, word in enumerate(words):
        (folder / f"{number}.txt").write_text(f"The key of house {number} lies under the {word}.\n" * 3)
    return folder


def reading(prompt: Prompt[Any]) -> Any:
    match prompt:
        case ReadPrompt():
            quote = prompt.passages[0].text.splitlines()[0]
            return {"findings": [{"claim": quote, "quote": quote, "relevance": 0.9}]}
        case JudgePrompt():
            return {"verdict": "answer"}
    shown = getattr(prompt, "shown", ())
    statements = [{"text": item.finding.claim, "findings": [item.label]} for item in shown]
    return {"queries": [], "reading": "", "answerable": True, "statements": statements, "pairs": []}


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "store.db"


async def ask(
    store: Path | str, folder: Path, run: str, question: str = "Where are the keys?", **limits: Any
) -> Answer:
    task = Task(
        questions=(question,), paths=(str(folder),), slicing="source", output="table", limits=Limits(**limits)
    )
    return await Swarm(Scripted(reading, name="mine"), store=store).run(task, run_id=run)


async def test_runs_are_listed_with_status_progress_and_cost_the_newest_first(store: Path, tmp_path: Path) -> None:
    await ask(store, write(tmp_path / "a", "stone", "mat"), "20260101-000000-aaaaaa")
    await ask(store, write(tmp_path / "b", "roof", "well", "oak"), "20260102-000000-bbbbbb", calls=3)
    second, first = history.runs(store)
    assert (first.id, first.status, first.why) == ("20260101-000000-aaaaaa", "answered", None)
    assert (first.slices_done, first.slices_planned, first.usage.calls) == (2, 2, 2)
    assert first.asked == "table: Where are the keys?"
    assert (first.model, first.reader) == ("mine", "mine")
    assert (second.status, second.slices_done, second.slices_planned) == ("partial", 1, 3)
    assert second.why == "the limit of 3 calls is reached"
    assert time.time() - 60 < second.begun <= second.last <= time.time()
    assert [run.id for run in history.runs(store, limit=1)] == [second.id]


async def test_a_run_at_work_is_running_and_one_whose_process_died_is_interrupted(
    store: Path, tmp_path: Path
) -> None:
    folder = write(tmp_path / "a", "stone", "mat")
    await ask(store, folder, "over", calls=3)
    with open_store(store) as opened:
        session = Entry(kind="session", key="1", body={"model": "m", "reader": "m", "limits": asdict(Limits())})
        task = Entry(kind="task", key="", body={"task": asdict(Task(questions=("Why?",), paths=("a",)))})
        for run in ("lost", "beside"):
            opened.journal.hold(run)
            await opened.journal.append(run, task, session)
        by_id = {run.id: run for run in history.runs(store)}
        assert by_id["lost"].status == by_id["beside"].status == "running"
        assert by_id["over"].status == "partial"
    by_id = {run.id: run for run in history.runs(store)}
    assert by_id["lost"].status == "interrupted"


async def test_a_run_is_found_by_its_beginning_and_by_last(store: Path, tmp_path: Path) -> None:
    folder = write(tmp_path / "a", "stone")
    for run in ("20260101-000000-aaaaaa", "20260101-000000-ab0000", "20260102-000000-000000"):
        await ask(store, folder, run)
    assert history.find("20260102", store) == "20260102-000000-000000"
    assert history.find("last", store) == "20260102-000000-000000"
    assert history.find("20260101-000000-aa", store) == "20260101-000000-aaaaaa"
    with pytest.raises(UsageError, match=r"2 runs begin with 20260101 \(20260101-000000-ab0000, 2026"):
        history.find("20260101", store)
    with pytest.raises(StoreError, match=r"store.db holds no run 1999: check the id"):
        history.find("1999", store)
    with pytest.raises(StoreError, match="does not exist"):
        history.find("last", tmp_path / "nowhere.db")


async def test_a_run_is_shown_with_its_sessions_limits_failures_and_answer(store: Path, tmp_path: Path) -> None:
    folder = write(tmp_path / "a", "stone", "mat", "roof")
    await ask(store, folder, "one", calls=3)
    last = await ask(store, folder, "one", calls=30)
    told = history.show("one", store)
    assert [session.limits.calls for session in told.sessions] == [3, 30]
    assert told.answer == last
    assert (told.run.status, told.failures, told.in_doubt) == ("answered", (), 0)


async def test_failures_and_calls_in_doubt_are_told(store: Path, tmp_path: Path) -> None:
    def failing(prompt: Prompt[Any]) -> Any:
        if isinstance(prompt, ReadPrompt) and "mat" in prompt.passages[0].text:
            return "this is no JSON"
        return reading(prompt)

    folder = write(tmp_path / "a", "stone", "mat")
    task = Task(questions=("Where?",), paths=(str(folder),), slicing="source", output="table")
    await Swarm(Scripted(failing, name="mine"), store=store).run(task, run_id="one")
    with open_store(store) as opened:
        intent = Intent(run="one", key="ab" * 16, model="mine", kind="read", tokens=10, cost_usd=0.5)
        await opened.journal.begin_call(intent)
        await opened.journal.settle_lost("one")
    told = history.show("one", store)
    ((_, reason),) = told.failures
    assert "not valid" in reason
    assert told.in_doubt == 1
    assert told.run.usage.cost_usd == 0.5


async def test_listing_a_run_of_a_hundred_thousand_slices_takes_no_time(store: Path) -> None:
    with open_store(store) as opened:
        task = Entry(kind="task", key="", body={"task": asdict(Task(questions=("Why?",), paths=("a",)))})
        slices = [[0, 900, "", [[0, n * 4_000, n * 4_000 + 4_000]]] for n in range(100_000)]
        plan = Entry(kind="plan", key="1", body={"slices": slices})
        reports = [Entry(kind="report", key=f"{n:032x}", body={"slice": f"{n:032x}"}) for n in range(50_000)]
        await opened.journal.append("big", task, plan, *reports)
    began = time.perf_counter()
    (run,) = history.runs(store)
    assert time.perf_counter() - began < 10.0
    assert (run.slices_done, run.slices_planned) == (50_000, 100_000)


# Forgetting


def on_disk(store: Path, word: str) -> bool:
    """Whether a word stands anywhere in the store's files."""
    files = [path for path in store.parent.iterdir() if path.name.startswith(store.name)]
    return any(word.encode() in path.read_bytes() for path in files)


async def test_what_is_forgotten_is_gone_from_the_file_with_the_text_that_only_it_read(
    store: Path, tmp_path: Path
) -> None:
    shared = write(tmp_path / "shared", "stone")
    await ask(store, shared, "stays")
    own = write(tmp_path / "own", RARE, *(f"{RARE}{n}" for n in range(40)))
    (own / "too.txt").write_text((shared / "0.txt").read_text())
    (own / "picture.bin").write_bytes(b"\0\1\2" * 100)
    for path in own.iterdir():
        os.utime(path, (1e9, 1e9))  # long enough ago for its stamp to be trusted, and remembered
    await ask(store, own, "goes", question=f"Where is {RARE}?")
    assert on_disk(store, RARE[:-1])
    assert on_disk(store, "own/too.txt")
    gone = await history.forget("goes", store)
    assert (gone.run, gone.sources, gone.kept) == ("goes", 41, 1)
    assert gone.chars == sum(
        len(path.read_text()) for path in own.iterdir() if path.name not in ("too.txt", "picture.bin")
    )
    assert gone.calls == 42
    assert gone.bytes > 0
    assert not on_disk(store, RARE[:-1]), "not even as a word of an index, which has the stem"
    assert not on_disk(store, "own/")
    (left,) = history.runs(store)
    assert left.id == "stays"
    again = await ask(store, shared, "anew")
    assert again.status == "answered"


async def test_a_run_of_an_older_version_keeps_all_text_since_it_does_not_tell_what_it_reads(
    store: Path, tmp_path: Path
) -> None:
    await ask(store, write(tmp_path / "a", "stone"), "goes")
    with open_store(store) as opened:
        await opened.journal.append("old", Entry(kind="report", key="x", body={"slice": "x", "question": ""}))
    gone = await history.forget("goes", store)
    assert (gone.sources, gone.kept) == (0, 1)


async def test_nothing_is_forgotten_while_somebody_is_at_work(store: Path, tmp_path: Path) -> None:
    await ask(store, write(tmp_path / "a", "stone"), "one")
    with open_store(store), pytest.raises(StoreError, match="in use"):
        await history.forget("one", store)
    assert len(history.runs(store)) == 1


def test_an_answer_that_another_version_wrote_is_left_out(store: Path) -> None:
    async def write() -> None:
        with open_store(store) as opened:
            task = Entry(kind="task", key="", body={"task": asdict(Task(questions=("Why?",), paths=("a",)))})
            answer = Entry(kind="answer", key="0:x", body={"status": "answered", "stopped": None})
            await opened.journal.append("old", task, answer)

    asyncio.run(write())
    told = history.show("old", store)
    assert (told.run.status, told.answer, told.sessions) == ("answered", None, ())


def test_what_a_digest_is_about_is_told_by_its_paths(store: Path, tmp_path: Path) -> None:
    run = asyncio.run(ask(store, write(tmp_path / "a", "stone"), "one"))
    assert run.status == "answered"
    (told,) = history.runs(store)
    assert told.task is not None
    digest = replace(told, task=replace(told.task, output="digest", questions=(), paths=("a", "b")))
    assert digest.asked == "digest: a, b"


# In a database


@pytest.fixture
def url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.chdir(tmp_path)  # the file that goes with the database is under the current folder
    server = LocalPostgres()
    try:
        server.__enter__()
    except (LookupError, OSError, subprocess.SubprocessError, ImportError) as error:
        pytest.skip(str(error))
    yield server.database()
    server.__exit__(None, None, None)


async def test_runs_in_a_database_are_listed_shown_and_forgotten_alike(url: str, tmp_path: Path) -> None:
    shared, own = write(tmp_path / "shared", "stone"), write(tmp_path / "own", RARE)
    for folder, run in ((shared, "stays"), (own, "goes")):
        await ask(url, folder, run)
    assert [run.id for run in history.runs(url)] == ["goes", "stays"]
    told = history.show("goes", url)
    assert (told.run.status, told.run.slices_done, told.run.slices_planned) == ("answered", 1, 1)
    gone = await history.forget("goes", url)
    assert (gone.sources, gone.kept) == (1, 0)
    assert [run.id for run in history.runs(url)] == ["stays"]
    beside = [path for path in (tmp_path / ".swarm").iterdir() if path.is_file()]
    assert not any(RARE[:-1].encode() in path.read_bytes() for path in beside)


async def test_a_run_in_a_database_that_is_at_work_is_running_and_cannot_be_forgotten(
    url: str, tmp_path: Path
) -> None:
    await ask(url, write(tmp_path / "a", "stone"), "one")
    with open_store(url) as opened:
        opened.journal.hold("one")
        session = Entry(kind="session", key="2", body={"model": "m", "reader": "m", "limits": asdict(Limits())})
        await opened.journal.append("one", session)
        assert history.runs(url)[0].status == "running"
        with pytest.raises(StoreError):
            await history.forget("one", url)
    assert history.runs(url)[0].status == "interrupted"
