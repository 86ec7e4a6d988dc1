"""A task whose output is the graph: everything is read and merged, and nobody plans, judges or writes."""

import asyncio
from pathlib import Path

from swarm.coordinator.records import corpus_of
from swarm.knowledge import open_knowledge
from swarm.models.scripted import Scripted
from swarm.playback import replay
from swarm.prompts.typed import Prompt, ReadPrompt
from swarm.run import Swarm
from swarm.source import Corpus
from swarm.sources.kept import keep
from swarm.store.library import Library
from swarm.store.shared import shared_store
from swarm.task import Task

TEXT = "The mill stands in Kessoway.\n\nAnn Smith owns the mill.\n"


def reader() -> Scripted:
    def answer(prompt: Prompt[object]) -> object:
        assert isinstance(prompt, ReadPrompt), f"nobody asks a {prompt.kind}"
        assert "not read again" in prompt.reading
        text = "".join(passage.text for passage in prompt.passages)
        lines = [line for line in text.splitlines() if line]
        found = [{"claim": line, "quote": line, "relevance": 0.5} for line in lines]
        return {"findings": found, "summary": "", "open_questions": []}

    return Scripted(answer)


async def test_readers_alone_are_asked_and_the_graph_is_the_result(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text(TEXT)
    model, store = reader(), tmp_path / "store.db"
    task = Task(questions=("Who owns the mill?",), paths=(str(tmp_path / "a.md"),), output="graph")
    answer = await Swarm(model, store=store).run(task, run_id="run")
    assert (answer.status, answer.text, answer.citations, answer.complete) == ("answered", "", (), True)
    assert (answer.findings, answer.coverage.chars_unread, answer.coverage.chars_read) == (2, 0, len(TEXT))
    again = await Swarm(model, store=store).run(task, run_id="run")
    assert again == answer
    await replay("run", store)
    with open_knowledge("run", store) as known:
        assert {one.claim for one in known.findings()} == {line for line in TEXT.splitlines() if line}


async def test_text_that_the_store_holds_is_read_without_a_file(tmp_path: Path) -> None:
    store, task = tmp_path / "store.db", Task(questions=(), paths=(), output="graph")
    with shared_store(store) as opened:
        source = await asyncio.to_thread(keep, Library(opened.store.database), TEXT, "message 1")
        answer = await Swarm(reader(), store=store).read(task, Corpus(sources=(source,)), run_id="run")
        assert (answer.findings, answer.coverage.chars_unread) == (2, 0)
        known = corpus_of(opened.store.journal, "run")
        assert known is not None
        assert known.sources == (source,)
    await replay("run", store)


async def test_nothing_found_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text(TEXT)
    empty = Scripted(lambda _: {"findings": [], "summary": "", "open_questions": []})
    task = Task(questions=(), paths=(str(tmp_path / "a.md"),), output="graph")
    answer = await Swarm(empty, store=tmp_path / "store.db").run(task)
    assert answer.complete
    assert answer.findings == 0
