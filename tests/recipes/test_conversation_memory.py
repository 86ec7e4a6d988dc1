"""The recipe `conversation_memory`: conversations in files, asked with and without a language model."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from swarm import RecipeError, Swarm
from swarm.models.registry import connect
from swarm.recipe import load, shipped
from swarm.testing.provider import Provider

RECIPE = load(shipped()["conversation_memory"])
FILLER = "We talked about the weather, the garden, the neighbours and what to cook on Sunday. "


@pytest.fixture
def chat(tmp_path: Path) -> Path:
    turns = [
        {"role": "user", "name": "Anna", "content": f"{FILLER} Turn {n}.", "at": f"2026-04-{n:02}"}
        for n in range(1, 29)
    ]
    turns[3]["content"] = "I adopted a dog called Rex."
    turns.append({"role": "user", "name": "Anna", "content": "I moved to Lisbon.", "at": "2026-06-01"})
    file = tmp_path / "anna.jsonl"
    file.write_text("\n".join(json.dumps(turn) for turn in turns))
    return file


def swarm_in(folder: Path, model: str = "extractive", **more: object) -> Swarm:
    return Swarm(connect(model, **more) if more else model, store=folder / "swarm.db")  # type: ignore[arg-type]


async def test_without_a_model_the_answer_is_quoted_from_what_was_said(
    chat: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    answer = await RECIPE.run(swarm_in(tmp_path), [str(chat)], question="Which dog did Anna adopt?", tokens=400)
    assert answer is not None
    assert "Rex" in answer.text
    assert any("dog called Rex" in citation.quote for citation in answer.citations)
    assert "29 new messages, 0 known already" in capsys.readouterr().out
    again = await RECIPE.run(swarm_in(tmp_path), [str(chat)], question="Where does Anna live?", tokens=400)
    assert again is not None
    assert "Lisbon" in again.text
    assert "0 new messages, 29 known already" in capsys.readouterr().out


async def test_with_a_model_one_window_is_asked_however_long_the_conversation(chat: Path, tmp_path: Path) -> None:
    with Provider(window=16_000) as provider:
        model = connect("openai:simulated", base_url=provider.openai_url, window=16_000)
        swarm = Swarm(model, store=tmp_path / "swarm.db")
        answer = await RECIPE.run(swarm, [str(chat)], question="Which dog did Anna adopt?", tokens=400)
        assert answer is not None
        assert "Rex" in answer.text
        sent = [str(request) for request in provider.requests]
        assert sent
        assert all(text.count(FILLER.strip()) < 28 for text in sent), "the conversation is never sent whole"


async def test_it_has_the_conversation_read_once(
    chat: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with Provider(window=16_000) as provider:
        told, asked = [], []
        for _ in range(2):
            model = connect("openai:simulated", base_url=provider.openai_url, window=16_000)
            await RECIPE.run(Swarm(model, store=tmp_path / "swarm.db"), [str(chat)], name="read", read=True)
            told.append(capsys.readouterr().out)
            asked.append(len(provider.requests))
    assert ["nothing is unread" in one for one in told] == [False, True]
    assert asked[0] == asked[1] > 0, "what was read is not paid again"


async def test_without_a_question_it_shows_the_memory_and_mirrors_it(
    chat: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    done = await RECIPE.run(swarm_in(tmp_path), [str(chat.parent)], name="anna", mirror=tmp_path / "notes")
    assert done is None
    out = capsys.readouterr().out
    assert "pages written" in out
    assert "I moved to Lisbon." in out
    assert (tmp_path / "notes/messages/2026/2026-06-01.md").exists()
    assert await RECIPE.run(swarm_in(tmp_path), [], name="nobody", question="Where?") is None
    assert "nothing in the memory bears on it" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("paths", "options", "complaint"),
    [
        ([], {}, "nothing is named"),
        (["none.json"], {}, "no file of a conversation"),
        ([], {"name": "anna", "tokens": 3}, "--tokens 3"),
    ],
)
async def test_a_mistake_is_one_line(
    tmp_path: Path, paths: list[str], options: dict[str, object], complaint: str
) -> None:
    with pytest.raises(RecipeError, match=complaint):
        await RECIPE.run(swarm_in(tmp_path), paths, **options)
