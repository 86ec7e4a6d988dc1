"""A recorded run answers a test again: with what was said then, or with one clear line."""

import asyncio
from pathlib import Path

import pytest

from swarm.errors import ModelError, Rejected
from swarm.models.registry import connect
from swarm.run import Swarm
from swarm.task import Task
from swarm.testing.provider import Provider
from swarm.testing.recorded import Recorded


@pytest.fixture
def minutes(tmp_path: Path) -> Path:
    path = tmp_path / "minutes.md"
    lines = [f"The toll of bridge {n} was set at {n + 2} pence in 18{n:02}." for n in range(60)]
    path.write_text("\n\n".join(lines))
    return path


def task(minutes: Path) -> Task:
    return Task(questions=("What was the toll of bridge 7?",), paths=(str(minutes),))


def recorded(minutes: Path, tmp_path: Path) -> Path:
    store = tmp_path / "recorded.db"
    with Provider(window=6_000) as provider:
        model = connect("openai:any", base_url=provider.openai_url, window=6_000)
        asyncio.run(Swarm(model, store=store).run(task(minutes), run_id="recorded"))
    return store


async def test_the_same_task_is_answered_with_what_was_said_then(minutes: Path, tmp_path: Path) -> None:
    store = await asyncio.to_thread(recorded, minutes, tmp_path)
    answer = await Swarm(Recorded(store), store=tmp_path / "store.db").run(task(minutes))
    assert answer.status == "answered"
    assert "9 pence" in answer.text
    assert answer.usage.input_tokens > 0
    assert answer.usage.cost_usd == 0


async def test_what_was_not_asked_then_is_one_clear_line(minutes: Path, tmp_path: Path) -> None:
    store = await asyncio.to_thread(recorded, minutes, tmp_path)
    minutes.write_text("Nothing of that is left.")
    with pytest.raises(Rejected, match="the recorded run holds no reply to this plan prompt"):
        await Swarm(Recorded(store, "recorded"), store=tmp_path / "store.db").run(task(minutes))
    with pytest.raises(ModelError, match="holds no recorded run other"):
        Recorded(store, "other")
