"""Answers with no language model behind: sentences of what was sent, cited, or plainly nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from swarm.models.extractive import Extractive
from swarm.serve.fold import Folding, folding
from swarm.serve.own import NO_QUESTION, NOTHING, Own
from swarm.serve.wire import WIRES
from swarm.task import Limits
from swarm.tokens import Exact

FACT = "The passcode of the Meridian vault is 48213."
ASKS = "What is the passcode of the Meridian vault?"
FILLING = "\n\n".join(f"On day {at} the ship lay in the harbour and nobody went ashore." for at in range(3_000))


@pytest.fixture
async def fold(tmp_path: Path) -> AsyncIterator[Folding]:
    async with folding(store=tmp_path / "s.db", model=Extractive(), window=8_000, counter=Exact()) as one:
        yield one


async def asked(fold: Folding, *messages: tuple[str, Any]) -> Own:
    body = {"model": "any", "messages": [{"role": role, "content": content} for role, content in messages]}
    request = WIRES["chat"].parse(body, fold.count)
    made = await fold.answer(request, "anna", Limits())
    at = 0
    for text, citations in made.pieces:
        for one in citations:
            assert at <= one.start < one.end <= at + len(text)
            assert made.text[one.start : one.end].startswith("[")
            part = request.turns[one.turn].parts[one.part]
            assert (part.text or "")[one.quote_start : one.quote_end] == one.quote
        at += len(text)
    return made


async def test_a_long_request_is_answered_in_its_own_words(fold: Folding) -> None:
    half = len(FILLING) // 2
    made = await asked(fold, ("user", f"{FILLING[:half]}\n\n{FACT}\n\n{FILLING[half:]}\n\n{ASKS}"))
    assert made.pieces[0][0].startswith(FACT)
    assert FACT in made.citations[0].quote
    assert made.told["status"] == "answered"


async def test_a_small_request_of_one_line_is_answered(fold: Folding) -> None:
    made = await asked(fold, ("user", f"{FACT} {ASKS}"))
    assert made.text.startswith(FACT)
    assert made.citations


async def test_what_was_said_before_is_material_and_the_model_s_own_words_are_not(fold: Folding) -> None:
    made = await asked(
        fold,
        ("user", f"Remember this. {FACT}"),
        ("assistant", "The passcode of the Meridian vault is 99999."),
        ("user", ASKS),
    )
    assert "48213" in made.text
    assert "99999" not in made.text


async def test_the_question_is_no_evidence_for_itself(fold: Folding) -> None:
    made = await asked(fold, ("user", ASKS))
    assert (made.text, made.citations) == (NOTHING, ())
    assert made.told["status"] == "no_evidence"


async def test_questions_of_before_are_no_evidence_either(fold: Folding) -> None:
    made = await asked(
        fold,
        ("user", f"{FACT} What is the passcode of the Meridian vault, please?"),
        ("assistant", "48213"),
        ("user", "What is the passcode of the Meridian vault, again?"),
        ("assistant", "48213"),
        ("user", ASKS),
    )
    assert [one.quote for one in made.citations] == [FACT]


async def test_what_nothing_answers_is_said_plainly(fold: Folding) -> None:
    made = await asked(
        fold, ("user", FILLING), ("assistant", "Yes?"), ("user", "Who painted the town hall of Gent?")
    )
    assert (made.text, made.citations, made.told["status"]) == (NOTHING, (), "no_evidence")


async def test_nothing_asked_is_said_too(fold: Folding) -> None:
    assert (await asked(fold, ("user", ""))).text == NO_QUESTION
    assert (await asked(fold)).text == NO_QUESTION


async def test_parts_and_results_of_tools_can_be_cited(fold: Folding) -> None:
    made = await asked(fold, ("user", [{"type": "text", "text": FACT}, {"type": "text", "text": ASKS}]))
    assert (made.citations[0].turn, made.citations[0].part) == (0, 0)


async def test_the_same_again_is_the_same(fold: Folding) -> None:
    first = await asked(fold, ("user", f"{FACT} {ASKS}"))
    assert (await asked(fold, ("user", f"{FACT} {ASKS}"))).pieces == first.pieces
