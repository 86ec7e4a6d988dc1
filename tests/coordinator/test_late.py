"""Slices whose model takes too long: one that has a limit of seconds fails, one that is late is asked twice."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from swarm.limits import hedged
from swarm.models.base import Completion
from swarm.models.scripted import Scripted
from swarm.playback import replay
from swarm.prompts.typed import Prompt, ReadPrompt
from swarm.run import Swarm
from swarm.task import Limits, Task

FILES = 30


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    folder = tmp_path / "corpus"
    folder.mkdir()
    for number in range(FILES):
        (folder / f"house-{number:02}.md").write_text(f"House {number} stands by the river.", "utf-8")
    return folder


def saying(prompt: Prompt[Any]) -> Any:
    if isinstance(prompt, ReadPrompt):
        line = prompt.passages[0].text.strip()
        return {"findings": [{"claim": line, "quote": line, "relevance": 0.5}]}
    match prompt.kind:
        case "judge":
            return {"verdict": "answer"}
        case "answer":
            return {"answerable": True, "statements": [{"text": "Houses.", "findings": ["F1"]}]}
    return {"queries": [], "reading": ""}


class Stuck(Scripted):
    """Never answers the first call about house 7."""

    remote = True

    def __init__(self) -> None:
        super().__init__(saying)
        self.about = 0

    async def call(self, prompt: Prompt[Any], *, max_output: int) -> Completion:
        if isinstance(prompt, ReadPrompt) and "House 7 " in prompt.passages[0].text:
            self.about += 1
            if self.about == 1:
                await asyncio.Event().wait()
        return await super().call(prompt, max_output=max_output)


def ask(corpus: Path, **limits: Any) -> Task:
    return Task(
        questions=("Which houses stand by the river?",),
        paths=(str(corpus),),
        slicing="source",
        limits=Limits(rounds=1, **limits),
    )


async def test_a_slice_that_takes_longer_than_its_seconds_fails_while_its_call_is_on_its_way(
    corpus: Path, tmp_path: Path
) -> None:
    store, model = tmp_path / "store.db", Stuck()
    first = await Swarm(model, store=store).run(ask(corpus, each_slice=Limits(wall_seconds=1.0)))
    assert [failure.reason for failure in first.failures] == ["the slice took longer than 1 seconds"]
    assert first.stopped is None
    assert first.findings == FILES - 1
    assert first.usage.calls == len(model.calls) + 1  # the one that was given up may have been billed
    assert (await replay(first.run_id, store)).graph == first.graph
    second = await Swarm(model, store=store).resume(first.run_id)
    assert second.complete
    assert second.findings == FILES
    assert (await replay(first.run_id, store)).graph == second.graph


async def test_a_reader_that_is_late_is_asked_twice_and_the_run_comes_out_the_same_from_its_journal(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hedged, "FLOOR_SECONDS", 0.01)
    monkeypatch.setattr(hedged, "_LOOK_SECONDS", 0.01)
    store, model = tmp_path / "store.db", Stuck()
    answer = await Swarm(model, store=store, concurrency=4).run(ask(corpus))
    assert model.about == 2
    assert answer.complete
    assert answer.findings == FILES
    assert answer.usage.calls == len(model.calls) + 1
    again = await replay(answer.run_id, store)
    assert (again.graph, again.text, again.citations) == (answer.graph, answer.text, answer.citations)
    asked = len(model.calls)
    other = await Swarm(model, store=store, concurrency=4).run(ask(corpus))
    assert other.graph == answer.graph
    assert len(model.calls) == asked
