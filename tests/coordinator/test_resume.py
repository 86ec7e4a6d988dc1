"""A run goes on from what is durable: nothing is asked again, and it comes to what an undisturbed one comes to."""

import asyncio
import json
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from langgraph.checkpoint.memory import InMemorySaver

from swarm.coordinator import machine
from swarm.errors import PromptTooLong, SourceError, StoreError, Unavailable
from swarm.events import Resumed, SliceFinished, SliceSplit
from swarm.limits import attempts
from swarm.models.scripted import Scripted
from swarm.playback import replay
from swarm.prompts.replies import ReadFinding, ReadReply
from swarm.prompts.typed import AnswerPrompt, JudgePrompt, Prompt, ReadPrompt
from swarm.run import Swarm
from swarm.store.opening import open_store
from swarm.store.sqlite import SqliteJournal
from swarm.task import Answer, Limits, Task

PROSE = "the miller ground corn by the river until winter froze the wheel and all was still".split()


def write_corpus(folder: Path, files: int = 8) -> Path:
    folder.mkdir()
    for number in range(files):
        lines = [
            " ".join(PROSE[(line + n) % len(PROSE)] for n in range(30)).capitalize() + "." for line in range(30)
        ]
        lines.insert(15, f"The key of house {number} lies under stone {number * 7 + 3}.")
        (folder / f"house-{number}.md").write_text("\n\n".join(lines), "utf-8")
    (folder / "well.md").write_text("Stone 10 stands beside the old well of Marlow.", "utf-8")
    return folder


def curious(prompt: Prompt[Any]) -> Any:
    """A model that reads every key, and asks on once."""
    match prompt:
        case ReadPrompt():
            text = "".join(passage.text for passage in prompt.passages)
            lines = re.findall(r"The key of house \d+ lies under stone \d+\.|Stone 10 stands [\w ]+\.", text)
            return ReadReply(findings=[ReadFinding(claim=line, quote=line, relevance=0.9) for line in lines])
        case JudgePrompt() if not prompt.asked:
            return {"verdict": "follow_up", "follow_ups": ["Where does stone 10 stand beside?"]}
        case JudgePrompt():
            return {"verdict": "answer"}
        case AnswerPrompt():
            statements = [{"text": one.finding.claim, "findings": [one.label]} for one in prompt.shown]
            return {"answerable": bool(statements), "statements": statements}
    return {"queries": ["key"], "reading": "look for keys"}


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    return write_corpus(tmp_path / "corpus")


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attempts, "ATTEMPTS", 2)
    monkeypatch.setattr(attempts, "_FIRST_WAIT_SECONDS", 0.0)


def model(**changes: Any) -> Scripted:
    return Scripted(curious, **({"window": 3_000} | changes))


def ask(corpus: Path, **changes: Any) -> Task:
    return Task(questions=("Where does each key lie?",), paths=(str(corpus),), **changes)


def asked(*models: Scripted) -> list[str]:
    """What was sent, one text for each call."""
    return [json.dumps(prompt.identity(), sort_keys=True) for one in models for prompt in one.calls]


async def undisturbed(corpus: Path, tmp_path: Path) -> tuple[Answer, list[str]]:
    one = model()
    return await Swarm(one, store=tmp_path / "undisturbed.db").run(ask(corpus)), asked(one)


async def interrupted(corpus: Path, store: Path, after: int, **settings: Any) -> tuple[str, Scripted]:
    """A run that was cancelled after some slices, as when its process ends."""
    one = model()
    seen = 0
    async with Swarm(one, store=store, concurrency=2, **settings).stream(ask(corpus), run_id="run") as stream:
        async for event in stream:
            seen += isinstance(event, SliceFinished)
            if seen == after:
                break
    return "run", one


@pytest.mark.parametrize("after", [1, 4, 9])
async def test_it_comes_to_the_same_graph_and_answer_and_asks_nothing_twice(
    corpus: Path, tmp_path: Path, after: int
) -> None:
    whole, sent = await undisturbed(corpus, tmp_path)
    run, before = await interrupted(corpus, tmp_path / "store.db", after)
    rest = model()
    answer = await Swarm(rest, store=tmp_path / "store.db", concurrency=7).resume(run)
    assert (answer.graph, answer.text) == (whole.graph, whole.text)
    assert answer.rounds == whole.rounds == 2
    assert sorted(set(asked(before, rest))) == sorted(sent)
    assert len(asked(before, rest)) <= len(sent) + 2  # those that were on their way


async def test_it_tells_how_much_is_done_and_reads_only_the_rest(corpus: Path, tmp_path: Path) -> None:
    run, _ = await interrupted(corpus, tmp_path / "store.db", 4)
    swarm = Swarm(model(), store=tmp_path / "store.db")
    async with swarm.stream(swarm.task_of(run), run_id=run) as stream:
        events = [event async for event in stream]
    (resumed,) = [event for event in events if isinstance(event, Resumed)]
    assert 4 <= resumed.done < resumed.slices
    worked = sum(isinstance(event, SliceFinished) for event in events)
    assert worked == events[-1].answer.slices - resumed.done  # type: ignore[union-attr]


async def test_a_finished_run_gives_its_answer_again_and_opens_no_session(corpus: Path, tmp_path: Path) -> None:
    first = await Swarm(model(), store=tmp_path / "store.db").run(ask(corpus))
    again = model()
    second = await Swarm(again, store=tmp_path / "store.db").resume(first.run_id)
    assert second == first
    assert again.calls == []
    with open_store(tmp_path / "store.db") as store:
        assert store.journal.keys(first.run_id, "session") == ["1"]


async def test_limits_change_on_the_way_and_the_journal_tells(corpus: Path, tmp_path: Path) -> None:
    whole, _ = await undisturbed(corpus, tmp_path)
    store = tmp_path / "store.db"
    first = await Swarm(model(), store=store).run(ask(corpus, limits=Limits(tokens=14_000)))
    assert (first.status, first.limit) == ("partial", "tokens")
    assert first.usage.tokens <= 14_000
    second = await Swarm(model(), store=store).resume(first.run_id)
    assert second.limit == "tokens", "the limits hold on until they are changed"
    third = await Swarm(model(), store=store).resume(first.run_id, limits=Limits())
    assert (third.status, third.graph) == ("answered", whole.graph)
    with open_store(store) as opened:
        told = [record.body["limits"]["tokens"] for record in opened.journal.records(first.run_id, "session")]
    assert told == [14_000, 14_000, None]


async def test_another_model_does_what_is_left(corpus: Path, tmp_path: Path) -> None:
    whole, _ = await undisturbed(corpus, tmp_path)
    run, _ = await interrupted(corpus, tmp_path / "store.db", 4)
    narrower = model(name="other", window=2_000)
    answer = await Swarm(narrower, store=tmp_path / "store.db").resume(run)
    assert answer.status == "answered"
    assert {statement.text for statement in answer.statements} == {one.text for one in whole.statements}
    assert answer.coverage.chars_unread == 0
    read = sum(isinstance(prompt, ReadPrompt) for prompt in narrower.calls)
    assert read > 0


async def test_the_text_is_what_it_was_when_the_run_began(corpus: Path, tmp_path: Path) -> None:
    whole, _ = await undisturbed(corpus, tmp_path)
    run, _ = await interrupted(corpus, tmp_path / "store.db", 2)
    for path in corpus.iterdir():
        path.write_text("Nothing is left.")
    answer = await Swarm(model(), store=tmp_path / "store.db").resume(run)
    assert (answer.graph, answer.text) == (whole.graph, whole.text)


async def test_a_source_that_the_store_lost_and_that_changed_since_is_told(corpus: Path, tmp_path: Path) -> None:
    run, _ = await interrupted(corpus, tmp_path / "store.db", 2)
    with open_store(tmp_path / "store.db") as store:
        await store.database.write(
            lambda connection: connection.execute("UPDATE sources SET complete = 0") and None
        )
    (corpus / "well.md").write_text("The well is dry.")
    with pytest.raises(SourceError, match=r"well\.md is not what it was when the run began"):
        await Swarm(model(), store=tmp_path / "store.db").resume(run)


async def test_an_id_that_is_taken_by_another_task_is_refused(corpus: Path, tmp_path: Path) -> None:
    swarm = Swarm(model(), store=tmp_path / "store.db")
    await swarm.run(ask(corpus), run_id="mine")
    with pytest.raises(StoreError, match="was asked something else"):
        await swarm.run(replace(ask(corpus), questions=("Who is the miller?",)), run_id="mine")


async def test_what_failed_is_tried_again_and_then_judged_again(corpus: Path, tmp_path: Path) -> None:
    whole, _ = await undisturbed(corpus, tmp_path)
    down = True

    def flaky(prompt: Prompt[Any]) -> Any:
        if down and isinstance(prompt, ReadPrompt) and "house 3" in "".join(p.text for p in prompt.passages):
            return Unavailable("the server is overloaded")
        return curious(prompt)

    one = Scripted(flaky, window=3_000)
    first = await Swarm(one, store=tmp_path / "store.db").run(ask(corpus))
    assert first.failures
    down = False
    second = await Swarm(one, store=tmp_path / "store.db").resume(first.run_id)
    assert second.complete
    assert len(second.statements) == len(whole.statements)


POINTS = ("append", "begin_call", "finish_call")


@pytest.mark.parametrize("number", range(12))
@pytest.mark.parametrize("point", POINTS)
async def test_it_may_end_between_any_two_writes(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, point: str, number: int
) -> None:
    """As if the process died right before the write and right after it, one after another."""
    whole, sent = await undisturbed(corpus, tmp_path)
    original = getattr(SqliteJournal, point)
    written = 0

    async def dying(self: SqliteJournal, *arguments: Any, **more: Any) -> Any:
        nonlocal written
        written += 1
        if written == 2 * number + 1:
            raise KeyError("died before the write")
        result = await original(self, *arguments, **more)
        if written == 2 * number + 2:
            raise KeyError("died after the write")
        return result

    models: list[Scripted] = []
    with monkeypatch.context() as patch:
        patch.setattr(SqliteJournal, point, dying)
        for _ in range(2):
            models.append(model())
            with suppress(KeyError):
                await Swarm(models[-1], store=tmp_path / "store.db", concurrency=1).run(ask(corpus), run_id="run")
    models.append(model())
    answer = await Swarm(models[-1], store=tmp_path / "store.db", concurrency=1).run(ask(corpus), run_id="run")
    assert (answer.graph, answer.text) == (whole.graph, whole.text)
    assert set(asked(*models)) == set(sent)
    assert len(asked(*models)) <= len(sent) + 2
    assert (await replay("run", tmp_path / "store.db")).text == whole.text


@pytest.fixture
def checkpoints(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The machine with a checkpointer, as when it is mounted in a user's own graph."""
    built = machine.machine.__wrapped__()
    saved = built.copy(update={"checkpointer": InMemorySaver()})
    monkeypatch.setattr(machine, "machine", lambda: saved)
    ainvoke = saved.ainvoke

    async def with_thread(state: Any, config: Any, **more: Any) -> Any:
        return await ainvoke(state, {**config, "configurable": {"thread_id": "1"}}, **more)

    object.__setattr__(saved, "ainvoke", with_thread)
    return saved


async def test_an_old_checkpoint_leads_nowhere_but_where_the_journal_leads(
    corpus: Path, tmp_path: Path, checkpoints: Any
) -> None:
    whole, _ = await undisturbed(corpus, tmp_path)
    run, _ = await interrupted(corpus, tmp_path / "store.db", 3)
    rest = model()
    answer = await Swarm(rest, store=tmp_path / "store.db").resume(run)
    assert (answer.graph, answer.text) == (whole.graph, whole.text)
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_slices_in_which_the_search_finds_nothing_are_not_worked(corpus: Path, tmp_path: Path) -> None:
    (corpus / "other.md").write_text("Ships pass by at night. " * 4_000, "utf-8")
    task = Task(questions=("Which stone does Marlow have?",), paths=(str(corpus),))
    async with Swarm(store=tmp_path / "store.db", window=4_000).stream(task, run_id="run") as stream:
        done = [event.slice.id async for event in stream if isinstance(event, SliceFinished)]
    assert len(done) == len(set(done))
    with open_store(tmp_path / "store.db") as store:
        (passed_over,) = store.journal.records("run", "unmatched")
        assert passed_over.body["slices"]
        assert not set(passed_over.body["slices"]) & set(store.journal.keys("run", "report"))
    assert (await replay("run", tmp_path / "store.db")).run_id == "run"


async def test_a_half_that_is_read_closer_and_does_not_fit_is_found_again(corpus: Path, tmp_path: Path) -> None:
    def talkative(prompt: Prompt[Any]) -> Any:
        """Says as much as it may of whole slices, and finds every half of one too long at first."""
        if isinstance(prompt, ReadPrompt) and prompt.question.startswith("Where does each"):
            if 150 < prompt.tokens < 500:
                return PromptTooLong("prompt is too long", tokens=prompt.tokens, limit=2_900)
            words = re.findall(r"\w{3,}", "".join(passage.text for passage in prompt.passages))
            found = [{"claim": f"{word} {n}", "quote": word, "relevance": 0.5} for n, word in enumerate(words)]
            return {"findings": found[: prompt.max_findings if prompt.tokens >= 500 else 1]}
        return curious(prompt)

    whole = await Swarm(Scripted(talkative, window=3_000), store=tmp_path / "whole.db").run(ask(corpus))
    one = Scripted(talkative, window=3_000)
    async with Swarm(one, store=tmp_path / "store.db", concurrency=2).stream(ask(corpus), run_id="run") as stream:
        split = 0
        async for event in stream:
            split += isinstance(event, SliceSplit)
            if split == 12:
                break
    answer = await Swarm(Scripted(talkative, window=3_000), store=tmp_path / "store.db").resume("run")
    assert (answer.graph, answer.slices) == (whole.graph, whole.slices)
    with open_store(tmp_path / "store.db") as store:
        closer, halved = (set(store.journal.keys("run", kind)) for kind in ("closer", "split"))
        assert closer
        assert halved
    assert (await replay("run", tmp_path / "store.db")).graph == whole.graph
