"""A run comes out the same from its journal, with nobody asked; where it does not, the first record is named."""

import json
import re
from pathlib import Path
from typing import Any

import apsw
import pytest

from swarm.errors import PromptTooLong, ReplayDiffers, StoreError, Unavailable
from swarm.events import SliceFinished
from swarm.knowledge import open_knowledge
from swarm.limits import attempts
from swarm.models.scripted import Scripted
from swarm.playback import replay
from swarm.prompts.typed import AnswerPrompt, ConsolidatePrompt, JudgePrompt, Prompt, ReadPrompt
from swarm.run import Swarm
from swarm.task import Answer, Limits, Task

PROSE = "the miller ground corn by the river until winter froze the wheel and all was still".split()
KEY = re.compile(r"The key of house \d+ (?:is not|lies) under stone \d+\.")


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    folder = tmp_path / "corpus"
    folder.mkdir()
    for number in range(8):
        lines = [
            " ".join(PROSE[(line + n) % len(PROSE)] for n in range(30)).capitalize() + "." for line in range(30)
        ]
        lines.insert(10, f"The key of house {number} lies under stone {number * 7 + 3}.")
        lines.insert(20, f"The key of house {number - 1} is not under stone {number * 7 - 4}.")
        (folder / f"house-{number}.md").write_text("\n\n".join(lines), "utf-8")
    return folder


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attempts, "ATTEMPTS", 2)
    monkeypatch.setattr(attempts, "_FIRST_WAIT_SECONDS", 0.0)


def saying(prompt: Prompt[Any]) -> Any:
    match prompt:
        case ReadPrompt():
            lines = KEY.findall("".join(passage.text for passage in prompt.passages))
            return {"findings": [{"claim": line, "quote": line, "relevance": 0.9} for line in lines]}
        case JudgePrompt() if not prompt.asked:
            return {"verdict": "follow_up", "follow_ups": ["Where does the key of house 3 lie?"]}
        case JudgePrompt():
            return {"verdict": "answer"}
        case AnswerPrompt() | ConsolidatePrompt():
            statements = [{"text": one.finding.claim, "findings": [one.label]} for one in prompt.shown]
            return {"answerable": bool(statements), "statements": statements[:40]}
        case _ if prompt.kind == "compare":
            pairs = range(1, len(prompt.shown) // 2 + 1)
            return {"pairs": [{"pair": n, "verdict": "contradicts", "later": None, "reason": ""} for n in pairs]}
    return {"queries": ["key"], "reading": "look for keys"}


def ask(corpus: Path, **changes: Any) -> Task:
    return Task(questions=("Where does each key lie?",), paths=(str(corpus),), **changes)


async def plays(answer: Answer, store: Path) -> None:
    again = await replay(answer.run_id, store)
    assert (again.graph, again.text, again.citations) == (answer.graph, answer.text, answer.citations)
    assert again.coverage == answer.coverage


@pytest.mark.parametrize(
    "task",
    [
        {},
        {"output": "digest", "words": 60},
        {"output": "table", "slicing": "source"},
        {"limits": Limits(rounds=1)},
    ],
    ids=["answer", "digest", "table", "one round"],
)
@pytest.mark.parametrize("concurrency", [1, 8])
async def test_a_run_comes_out_the_same(corpus: Path, tmp_path: Path, task: Any, concurrency: int) -> None:
    store = tmp_path / "store.db"
    swarm = Swarm(Scripted(saying, window=3_000), store=store, concurrency=concurrency)
    await plays(await swarm.run(ask(corpus, **task)), store)


async def test_a_run_of_the_offline_model_comes_out_the_same(corpus: Path, tmp_path: Path) -> None:
    store = tmp_path / "store.db"
    await plays(await Swarm(store=store, window=4_000).run(ask(corpus)), store)


@pytest.mark.parametrize("tokens", [9_000, 14_000, 30_000])
async def test_so_does_one_that_a_limit_stopped_and_that_went_on(
    corpus: Path, tmp_path: Path, tokens: int
) -> None:
    store = tmp_path / "store.db"
    first = await Swarm(Scripted(saying, window=3_000), store=store).run(ask(corpus, limits=Limits(tokens=tokens)))
    assert first.stopped is not None
    await plays(first, store)
    second = await Swarm(Scripted(saying, window=3_000), store=store).resume(first.run_id, limits=Limits())
    assert second.complete
    await plays(second, store)


async def test_so_does_one_that_was_stopped_by_hand(corpus: Path, tmp_path: Path) -> None:
    store = tmp_path / "store.db"
    swarm = Swarm(Scripted(saying, window=3_000), store=store, concurrency=3)
    async with swarm.stream(ask(corpus), run_id="run") as stream:
        async for event in stream:
            if isinstance(event, SliceFinished):
                swarm.stop()
    await plays(event.answer, store)  # type: ignore[union-attr]
    await plays(await Swarm(Scripted(saying, window=3_000), store=store).resume("run"), store)


async def test_so_does_one_with_slices_that_were_split_and_slices_that_failed(
    corpus: Path, tmp_path: Path
) -> None:
    store = tmp_path / "store.db"
    down = True

    def unwilling(prompt: Prompt[Any]) -> Any:
        if isinstance(prompt, ReadPrompt) and prompt.tokens > 700:
            return PromptTooLong("prompt is too long", tokens=prompt.tokens, limit=700)
        if down and isinstance(prompt, ReadPrompt) and "house 3" in "".join(p.text for p in prompt.passages):
            return Unavailable("the server is overloaded")
        return saying(prompt)

    first = await Swarm(Scripted(unwilling, window=4_000), store=store).run(ask(corpus))
    assert first.failures
    await plays(first, store)
    down = False
    second = await Swarm(Scripted(unwilling, window=4_000), store=store).resume(first.run_id)
    assert not second.failures
    await plays(second, store)


@pytest.mark.parametrize("output", ["answer", "digest"])
async def test_so_does_one_whose_provider_was_down_at_the_end(corpus: Path, tmp_path: Path, output: Any) -> None:
    store = tmp_path / "store.db"
    down = True

    def tired(prompt: Prompt[Any]) -> Any:
        last = isinstance(prompt, (JudgePrompt, AnswerPrompt)) or getattr(prompt, "final", False)
        return Unavailable("the server is down") if down and last else saying(prompt)

    first = await Swarm(Scripted(tired, window=3_000), store=store).run(ask(corpus, output=output))
    assert first.stopped == "the server is down"
    await plays(first, store)
    down = False
    second = await Swarm(Scripted(tired, window=3_000), store=store).resume(first.run_id)
    assert second.complete
    await plays(second, store)


async def test_so_does_one_from_which_a_source_was_removed_on_the_way(corpus: Path, tmp_path: Path) -> None:
    store = tmp_path / "store.db"
    swarm = Swarm(Scripted(saying, window=3_000), store=store, concurrency=1)
    async with swarm.stream(ask(corpus), run_id="run") as stream:
        async for event in stream:
            if isinstance(event, SliceFinished):
                swarm.stop()
    with open_knowledge("run", store) as memory:
        memory.unlearn(next(memory.nodes("source")).id)
    await plays(await Swarm(Scripted(saying, window=3_000), store=store).resume("run"), store)


async def test_the_first_record_that_differs_is_named(corpus: Path, tmp_path: Path) -> None:
    store = tmp_path / "store.db"
    answer = await Swarm(Scripted(saying, window=3_000), store=store).run(ask(corpus))
    connection = apsw.Connection(str(store))
    seq, key, body = connection.execute(
        "SELECT seq, key, body FROM records WHERE kind = 'report' AND body LIKE '%house 5 lies%' "
        "ORDER BY seq LIMIT 1"
    ).fetchall()[0]
    changed = json.loads(body)
    changed["findings"][0]["relevance"] = 0.1
    connection.execute("UPDATE records SET body = ? WHERE seq = ?", (json.dumps(changed), seq))
    connection.close()
    with pytest.raises(ReplayDiffers, match=f"record {seq} .report {key}. came out otherwise") as caught:
        await replay(answer.run_id, store)
    assert caught.value.record == seq


async def test_a_reply_that_is_missing_is_told_with_what_follows(corpus: Path, tmp_path: Path) -> None:
    store = tmp_path / "store.db"
    answer = await Swarm(Scripted(saying, window=3_000), store=store).run(ask(corpus))
    connection = apsw.Connection(str(store))
    connection.execute("DELETE FROM outcomes WHERE call = (SELECT min(seq) FROM calls WHERE kind = 'judge')")
    connection.close()
    with pytest.raises(ReplayDiffers, match=r"asks a judge prompt .* goes on with record \d+ \(decision"):
        await replay(answer.run_id, store)


async def test_what_cannot_be_played_is_one_clear_line(corpus: Path, tmp_path: Path) -> None:
    store = tmp_path / "store.db"
    await Swarm(Scripted(saying, window=3_000), store=store).run(ask(corpus), run_id="run")
    with pytest.raises(StoreError, match="holds no run another"):
        await replay("another", store)
    with pytest.raises(StoreError, match="does not exist"):
        await replay("run", tmp_path / "none.db")
