"""An index beside the library: what it finds is read, recorded and asked for once; what it fails at costs its
hits."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from swarm.coordinator import indexed
from swarm.errors import IndexFailed, UsageError
from swarm.index import Entry, Hit, OpenAIEmbeddings, SqliteIndex
from swarm.models.scripted import Scripted
from swarm.orders import Order
from swarm.playback import replay
from swarm.program import Program, Role
from swarm.prompts.acting import REPORT, ActPrompt
from swarm.prompts.typed import AnswerPrompt, JudgePrompt, Prompt, ReadPrompt, WorkPrompt
from swarm.run import Swarm
from swarm.store.opening import open_store
from swarm.task import Answer, Task
from swarm.testing.vectors import VectorServer

QUESTION, FOLLOW_UP = "What is known of the cellar?", "Where does the feline rest?"
CONCEPTS = ({"cat", "feline"}, {"naps", "rest", "rests"}, {"cellar", "vault"})
FILLER = "The accounts of the year were closed and the ledgers were put away for good. "


def by_concept(texts: Sequence[str]) -> list[list[float]]:
    """What a model of meaning would say of three words, whichever way they are said."""
    words = [text.lower().replace(".", " ").replace("?", " ").split() for text in texts]
    return [[float(any(word in concept for word in said)) for concept in CONCEPTS] for said in words]


class Died(BaseException):
    """As a process that is killed: nothing catches it."""


class Watched:
    """An index that counts what it is asked, and fails as it is told."""

    name = "watched"

    def __init__(self, store: Path) -> None:
        self.index = SqliteIndex(store, embed=by_concept)
        self.added: list[str] = []
        self.removed: list[str] = []
        self.asked: list[str] = []
        self.before: Callable[[str], Any] = lambda _: None

    async def add(self, space: str, items: Sequence[Entry]) -> None:
        await self._before("add")
        self.added += [entry.text for entry in items]
        await self.index.add(space, items)

    async def remove(self, space: str, ids: Sequence[str]) -> None:
        self.removed += ids
        await self.index.remove(space, ids)

    async def search(self, space: str, query: str, limit: int) -> list[Hit]:
        await self._before("check" if query == indexed.WORD else "search")
        self.asked += [query] if query in (QUESTION, FOLLOW_UP) else []
        self.space = space
        return await self.index.search(space, query, limit)

    async def clear(self, space: str) -> None:
        await self.index.clear(space)

    async def close(self) -> None:
        await self.index.close()

    async def _before(self, what: str) -> None:
        if asyncio.iscoroutine(came := self.before(what)):
            await came


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "corpus"
    folder.mkdir()
    for number in range(6):
        (folder / f"year-{number}.md").write_text(
            "\n\n".join([FILLER * 6 + f"Page {n} of {number}." for n in range(5)]), "utf-8"
        )
    (folder / "house.md").write_text(f"{FILLER * 6}\n\nThe cat naps on the boiler.\n\n{FILLER * 6}", "utf-8")
    return folder


@pytest.fixture
async def watched(tmp_path: Path) -> Any:
    made = Watched(tmp_path / "index.db")
    yield made
    await made.close()


def saying(prompt: Prompt[Any]) -> Any:
    match prompt:
        case ReadPrompt():
            text = "".join(passage.text for passage in prompt.passages)
            line = "The cat naps on the boiler."
            found = prompt.question == FOLLOW_UP and line in text
            return {"findings": [{"claim": line, "quote": line, "relevance": 0.9}] if found else []}
        case JudgePrompt() if not prompt.asked:
            return {"verdict": "follow_up", "follow_ups": [FOLLOW_UP]}
        case JudgePrompt():
            return {"verdict": "answer"}
        case AnswerPrompt():
            statements = [{"text": one.finding.claim, "findings": [one.label]} for one in prompt.shown]
            return {"answerable": bool(statements), "statements": statements}
    return {"queries": [], "reading": ""}


async def run(folder: Path, index: Any, model: Any = None, **more: Any) -> Answer:
    swarm = Swarm(model or Scripted(saying, window=6_000), store=folder.parent / "store.db", index=index)
    return await swarm.run(Task(questions=(QUESTION,), paths=(str(folder),)), **more)


def records(folder: Path, run_id: str) -> list[dict[str, Any]]:
    with open_store(folder.parent / "store.db", read_only=True) as store:
        return [record.body for record in store.journal.records(run_id, "found")]


async def test_a_follow_up_reads_what_only_the_index_finds(folder: Path, watched: Watched) -> None:
    without = await run(folder, None)
    assert "boiler" not in without.text
    answer = await run(folder, watched)
    assert "The cat naps on the boiler." in answer.text
    assert answer.complete
    assert [body["question"] for body in records(folder, answer.run_id)] == [FOLLOW_UP]


async def test_a_replay_and_a_run_that_goes_on_ask_nobody(folder: Path, watched: Watched) -> None:
    answer = await run(folder, watched, run_id="run")
    asked = list(watched.asked)
    watched.before = lambda what: pytest.fail(f"the index was asked to {what}")
    again = await replay("run", folder.parent / "store.db")
    assert (again.text, again.graph) == (answer.text, answer.graph)
    assert (await run(folder, watched, run_id="run")).text == answer.text
    assert watched.asked == asked


async def test_one_killed_after_it_asked_goes_on_with_what_was_said(folder: Path, watched: Watched) -> None:
    def dying(prompt: Prompt[Any]) -> Any:
        if isinstance(prompt, ReadPrompt) and prompt.question == FOLLOW_UP:
            raise Died
        return saying(prompt)

    with pytest.raises((Died, BaseExceptionGroup)):
        await run(folder, watched, Scripted(dying, window=6_000), run_id="run")
    assert watched.asked.count(FOLLOW_UP) == 1
    answer = await run(folder, watched, run_id="run")
    assert "boiler" in answer.text
    assert watched.asked.count(FOLLOW_UP) == 1
    assert (await replay("run", folder.parent / "store.db")).text == answer.text


@pytest.mark.parametrize("what", ["search", "add"])
async def test_an_index_that_fails_costs_its_hits_and_not_the_run(
    folder: Path, watched: Watched, what: str, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(now: str) -> None:
        if now == what:
            raise IndexFailed("it is gone")

    watched.before = fail
    answer = await run(folder, watched)
    assert answer.complete
    (body,) = records(folder, answer.run_id)
    assert body["hits"] == []
    assert body["failed"]
    assert len([one for one in caplog.records if "index" in one.getMessage()]) == 1
    assert (await replay(answer.run_id, folder.parent / "store.db")).text == answer.text


@pytest.mark.parametrize("error", [IndexFailed("the endpoint is gone"), OSError("no route")])
async def test_embeddings_that_fail_cost_what_they_would_propose(folder: Path, error: Exception) -> None:
    def down(_texts: Sequence[str]) -> list[list[float]]:
        raise error

    def reading(prompt: Prompt[Any]) -> Any:
        if isinstance(prompt, ReadPrompt):
            quotes = [passage.text[:40] for passage in prompt.passages]
            return {"findings": [{"claim": f"{q} {n}", "quote": q, "relevance": 1} for n, q in enumerate(quotes)]}
        return saying(prompt)

    model, store = Scripted(reading, window=6_000), folder.parent / "store.db"
    answer = await Swarm(model, store=store, embed=down).run(Task(questions=(QUESTION,), paths=(str(folder),)))
    assert answer.findings > 1
    assert (await replay(answer.run_id, store)).graph == answer.graph


async def test_a_run_whose_follow_up_finds_nothing_replays(folder: Path) -> None:
    answer = await run(folder, None)
    assert (await replay(answer.run_id, folder.parent / "store.db")).graph == answer.graph


async def test_an_index_that_hangs_is_not_waited_for(
    folder: Path, watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(indexed, "_CHECK_SECONDS", 0.05)
    watched.before = lambda what: asyncio.Event().wait() if what != "add" else None
    answer = await run(folder, watched)
    assert answer.complete
    assert watched.added == []


async def test_one_that_is_used_wrongly_says_so_before_anything_is_spent(folder: Path, watched: Watched) -> None:
    def fail(what: str) -> None:
        if what == "check":
            raise UsageError("no such key")

    watched.before = fail
    model = Scripted(saying, window=6_000)
    with pytest.raises(UsageError, match="no such key"):
        await run(folder, watched, model)
    assert model.calls == []


async def test_a_key_that_an_embedding_is_refused_is_told_before_anything_is_spent(folder: Path) -> None:
    model = Scripted(saying, window=6_000)
    with VectorServer(key="sk-right") as server:
        embed = OpenAIEmbeddings("any", base_url=server.openai_url, api_key="sk-wrong-secret")
        async with SqliteIndex(folder.parent / "index.db", embed=embed) as index:
            with embed, pytest.raises(UsageError, match="check the key") as caught:
                await run(folder, index, model)
    assert model.calls == []
    assert "wrong-secret" not in str(caught.value)


async def test_what_is_no_index_is_told(folder: Path) -> None:
    with pytest.raises(UsageError, match=r"swarm\.index"):
        await run(folder, "postgresql://me@host/db")


async def test_only_what_is_new_is_added(folder: Path, watched: Watched) -> None:
    await run(folder, watched)
    first = len(watched.added)
    assert first > 6
    await run(folder, watched)
    assert len(watched.added) == first
    (folder / "house.md").write_text("The feline rests in the vault now.", "utf-8")
    (folder / "year-0.md").unlink()
    await run(folder, watched)
    assert watched.added[first:] == ["The feline rests in the vault now."]
    assert len(watched.removed) >= 2
    hits = await watched.index.search(watched.space, "cat", 50)
    texts = {entry.partition(":")[0] for entry in watched.removed}
    assert not [hit for hit in hits if hit.id.partition(":")[0] in texts]


async def test_what_was_cut_off_is_gone_on_with(
    folder: Path, watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(indexed, "_BATCH", 5)
    begun = 0

    def cut(what: str) -> None:
        nonlocal begun
        begun += what == "add"
        if begun == 4:
            raise IndexFailed("cut off")

    watched.before = cut
    await run(folder, watched)
    first = list(watched.added)
    assert len(first) == 15
    watched.before = lambda _: None
    assert "boiler" in (await run(folder, watched)).text
    again = watched.added[len(first) :]
    twice = [text for text in again if text in first]
    assert len(again) > 10
    assert len(twice) <= 10, "a source is begun again where it was left in the middle"


async def test_one_that_was_emptied_meanwhile_is_filled_again(folder: Path, watched: Watched) -> None:
    await run(folder, watched)
    first = len(watched.added)
    await watched.clear(watched.space)
    assert "boiler" in (await run(folder, watched)).text
    assert len(watched.added) == 2 * first


async def test_what_others_put_into_the_space_is_no_passage(folder: Path, watched: Watched) -> None:
    await run(folder, watched)
    real = next(hit.id for hit in await watched.index.search(watched.space, "accounts", 1)).partition(":")[0]
    nowhere = [
        "0-5",
        "5-2",
        "7-7",
        "90000000-90000009",
        "0-²",
        f"{10**18}-{10**19}",
        f"{'9' * 5_000}-1",
        f"0-{'9' * 5_000}",
    ]
    strange = ["", "x", "a:b-c", "nobody:0-5", f"{'0' * 40}:1-2", *[f"{real}:{place}" for place in nowhere]]
    await watched.index.add(watched.space, [Entry(id_, "The feline rests in the cellar.") for id_ in strange])
    assert "The cat naps on the boiler." in (await run(folder, watched)).text


async def test_the_offline_model_is_given_what_the_index_finds(folder: Path, watched: Watched) -> None:
    swarm = Swarm(store=folder.parent / "store.db", index=watched, window=4_000)
    answer = await swarm.run(Task(questions=(FOLLOW_UP,), paths=(str(folder),)))
    bodies = records(folder, answer.run_id)
    assert bodies[0]["hits"]
    assert (await replay(answer.run_id, folder.parent / "store.db")).text == answer.text


async def test_a_sub_agent_that_searches_the_material_finds_what_the_index_does(
    folder: Path, watched: Watched
) -> None:
    seen: list[str] = []

    def act(prompt: ActPrompt) -> dict[str, Any]:
        if not prompt.turns:
            given = json.dumps({"words": FOLLOW_UP})
            return {"says": "", "calls": [{"id": "c", "name": "search_sources", "arguments": given}]}
        seen.append(prompt.turns[0].results[0].text)
        said = {"status": "done", "result": "on the boiler", "summary": "It rests on the boiler."}
        return {"says": "", "calls": [{"id": "r", "name": REPORT, "arguments": json.dumps(said)}]}

    plan = Program(
        orders=lambda: [Order(name=name, objective=f"find it, {name}") for name in ("one", "two")],
        roles=(Role(tools=("search_sources",)),),
        answer=lambda results: results["one"],
    )
    swarm = Swarm(Scripted({"act": act}), store=folder.parent / "store.db", index=watched)
    task = Task(questions=("Find the cat",), paths=(str(folder),), mode="work")
    answer = await swarm.run(task, run_id="run", plan=plan)
    assert len(seen) == 2
    assert all("house.md:" in text and "The cat naps on the boiler." in text for text in seen)
    assert len(records(folder, "run")) == 1
    watched.before = lambda what: pytest.fail(f"the index was asked to {what}")
    again = await replay("run", folder.parent / "store.db")
    assert (again.text, again.graph) == (answer.text, answer.graph)


async def test_a_successor_is_shown_what_the_index_finds(folder: Path, watched: Watched) -> None:
    shown: list[str] = []

    def work(prompt: WorkPrompt) -> dict[str, Any]:
        shown.append("".join(passage.text for passage in prompt.passages))
        if len(shown) == 1:
            return {"status": "continue", "notes": "Look further.", "look_up": [FOLLOW_UP]}
        return {"status": "done", "result": "on the boiler", "summary": "It rests on the boiler."}

    plan = Program(
        orders=lambda: [Order(name="one", objective="find it")],
        roles=(Role(legs=3),),
        answer=lambda results: results["one"],
    )
    swarm = Swarm(Scripted({"work": work}), store=folder.parent / "store.db", index=watched)
    task = Task(questions=("Find the cat",), paths=(str(folder),), mode="work")
    answer = await swarm.run(task, run_id="run", plan=plan)
    assert "The cat naps on the boiler." in shown[1]
    watched.before = lambda what: pytest.fail(f"the index was asked to {what}")
    again = await replay("run", folder.parent / "store.db")
    assert (again.text, again.graph) == (answer.text, answer.graph)


async def test_nothing_is_added_before_something_is_asked(folder: Path, watched: Watched) -> None:
    def enough(prompt: Prompt[Any]) -> Any:
        return {"verdict": "answer"} if isinstance(prompt, JudgePrompt) else saying(prompt)

    await run(folder, watched, Scripted(enough, window=6_000))
    assert watched.added == watched.asked == []
