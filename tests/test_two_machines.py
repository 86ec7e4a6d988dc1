"""Two machines, which are two folders here, and one database: what was read on the one is shown, played again and
worked on at the other, where none of the files are."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from swarm import history
from swarm.coordinator.records import corpus_of
from swarm.errors import SourceError
from swarm.inspect.data.source import source as page_of
from swarm.inspect.look import Look
from swarm.inspect.opened import open_run
from swarm.inspect.report.write import write_report
from swarm.inspect.why.way import why
from swarm.knowledge import open_knowledge
from swarm.models.scripted import Scripted
from swarm.playback import replay
from swarm.prompts.typed import JudgePrompt, Prompt, ReadPrompt
from swarm.run import Swarm
from swarm.source import Span
from swarm.store.opening import Store, open_store
from swarm.store.published import head_name
from swarm.task import Answer, Limits, Task
from swarm.testing.postgres import LocalPostgres

KEEPERS = 8
Machine = Callable[[str], Path]


class Reader:
    """A model that quotes a line of each passage it reads, and notes which it read."""

    def __init__(self) -> None:
        self.read: list[str] = []

    def __call__(self, prompt: Prompt[Any]) -> Any:
        match prompt:
            case ReadPrompt():
                quote = next(line for line in prompt.passages[0].text.splitlines() if line.startswith("The key"))
                self.read.append(quote)
                return {"findings": [{"claim": quote, "quote": quote, "relevance": 0.9}]}
            case JudgePrompt():
                return {"verdict": "answer"}
        shown = getattr(prompt, "shown", ())
        statements = [{"text": item.finding.claim, "findings": [item.label]} for item in shown]
        return {"queries": [], "reading": "", "answerable": True, "statements": statements, "pairs": []}


@pytest.fixture
def url(postgres: LocalPostgres) -> str:
    return postgres.database()


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    """Go to a machine: the current folder is one of its own."""

    def go(name: str) -> Path:
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        monkeypatch.chdir(folder)
        return folder

    return go


def write(folder: Path, first: int = 0) -> Path:
    """Keepers' files, and the key of each on its third line."""
    folder.mkdir()
    for number in range(first, first + KEEPERS):
        text = f"House {number}.\r\n\r\nThe key of house {number} lies under café {number}.\r\n"
        (folder / f"{number}.txt").write_bytes(text.encode())
    return folder


async def ask(url: str, run: str, reader: Reader, folder: str = "in", **limits: Any) -> Answer:
    task = Task(
        questions=("Where are the keys?",), paths=(folder,), slicing="source", output="table",
        limits=Limits(**limits),
    )  # fmt: skip
    return await Swarm(Scripted(reader, name="mine"), store=url, concurrency=1).run(task, run_id=run)


def lost(folder: Path) -> None:
    """A machine with all that is on it."""
    shutil.rmtree(folder)


async def test_a_run_is_shown_where_none_of_its_files_are(url: str, machine: Machine, tmp_path: Path) -> None:
    here = machine("a")
    write(here / "in")
    answer = await ask(url, "keys", Reader())
    assert len(answer.citations) == KEEPERS
    machine("b")
    lost(here)
    shown = history.show("keys", url).answer
    assert shown is not None
    assert shown.citations == answer.citations
    with open_run("keys", url) as opened:
        assert opened.graph.fingerprint() == answer.graph
        for cited in answer.citations:
            span = Span(cited.source_id, cited.start, cited.end)
            assert opened.library.text(span) == cited.quote
            assert opened.place(span) == f"{cited.source}:3"
        told = page_of(Look(opened), answer.citations[0].source_id)
        assert told["text"].startswith("House 0.\r\n\r\nThe key")
        (quote,) = why(opened, answer.citations[1].quote).findings[0].quotes
        assert (quote.held, quote.where) == (True, "in/1.txt:3")
        with (tmp_path / "report.html").open("wb") as out:
            assert not write_report(opened, out).left_out
        corpus = corpus_of(opened.journal, "keys")
        assert corpus is not None
        assert len(opened.library.lacking(corpus.sources)) == KEEPERS, "only looked into"
    with open_knowledge("keys", url) as known:
        assert known.fingerprint == answer.graph
        (where, _, text), *_ = known.open(known.findings(1)[0].id).evidence
        assert (where.line, text.startswith("The key of house")) == (3, True)


async def test_a_run_is_played_again_where_none_of_its_files_are(url: str, machine: Machine) -> None:
    here = machine("a")
    write(here / "in")
    answer = await ask(url, "keys", Reader())
    machine("b")
    lost(here)
    again = await replay("keys", url)
    assert (again.citations, again.graph) == (answer.citations, answer.graph)


async def test_a_run_goes_on_where_none_of_its_files_are(url: str, machine: Machine) -> None:
    here, reader = machine("a"), Reader()
    write(here / "in")
    first = await ask(url, "keys", reader, calls=4)
    assert not first.complete
    machine("b")
    lost(here)
    second = await Swarm(Scripted(reader, name="mine"), store=url, concurrency=1).resume(
        "keys", limits=Limits(calls=99)
    )
    assert second.complete
    assert len(second.citations) == KEEPERS
    assert len(reader.read) == len(set(reader.read)) == KEEPERS, "nothing was read twice"


async def test_what_is_neither_here_nor_there_is_one_clear_line_and_the_files_will_do(
    url: str, machine: Machine
) -> None:
    here, reader = machine("a"), Reader()
    write(here / "in")
    await ask(url, "keys", reader, calls=4)
    with open_store(url) as store:
        names = names_of(store)
        store.blobs.drop(names)
    there = machine("b")
    with pytest.raises(SourceError, match="does not hold the text with which the run began, and in does not"):
        await Swarm(Scripted(reader, name="mine"), store=url).resume("keys")
    shutil.copytree(here / "in", there / "in")
    answer = await Swarm(Scripted(reader, name="mine"), store=url).resume("keys", limits=Limits(calls=99))
    assert len(answer.citations) == KEEPERS
    with open_store(url) as store:
        assert not store.blobs.missing(names), "and is there for the next"


async def test_damaged_text_is_read_from_its_file_and_sent_anew(url: str, machine: Machine) -> None:
    here, reader = machine("a"), Reader()
    write(here / "in")
    await ask(url, "keys", reader, calls=4)
    with open_store(url) as store:
        names = names_of(store)
        sound = store.blobs.get(names)
        store.blobs.drop(names[:1])
        store.blobs.put({names[0]: sound[names[0]][:-9]})
    there = machine("b")
    shutil.copytree(here / "in", there / "in")
    await Swarm(Scripted(reader, name="mine"), store=url).resume("keys", limits=Limits(calls=99))
    with open_store(url) as store:
        assert store.blobs.get(names) == sound


async def test_a_run_that_is_forgotten_takes_its_texts_from_the_server(url: str, machine: Machine) -> None:
    here = machine("a")
    write(here / "shared")
    write(here / "own", first=100)
    await ask(url, "stays", Reader(), "shared")
    await ask(url, "goes", Reader(), ".")
    with open_store(url) as store:
        kept, gone = names_of(store, "stays"), names_of(store, "goes")
        assert len(gone) == 2 * len(kept) == 2 * KEEPERS
        assert not store.blobs.missing(gone)
    machine("b")
    await history.forget("goes", url)
    with open_store(url) as store:
        assert store.blobs.missing(gone) == set(gone) - set(kept)


async def test_text_that_was_handed_over_is_not_sent_to_the_server(url: str, machine: Machine) -> None:
    here = machine("a")
    write(here / "in")
    await ask(url, "keys", Reader())
    with open_store(url) as store:
        corpus, names = corpus_of(store.journal, "keys"), names_of(store)
        store.blobs.drop(names)
    assert corpus is not None
    task = Task(questions=("Where?",), paths=(), slicing="source", output="table")
    await Swarm(Scripted(Reader(), name="mine"), store=url).read(task, corpus, run_id="handed")
    with open_store(url) as store:
        assert store.blobs.missing(names) == set(names)


def names_of(store: Store, run: str = "keys") -> list[str]:
    """What the texts of a run are called among the blobs."""
    corpus = corpus_of(store.journal, run)
    assert corpus is not None
    return [head_name(source.id) for source in corpus.sources]
