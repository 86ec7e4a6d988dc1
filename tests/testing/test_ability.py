"""A simulated reader overlooks and misquotes as much as it is set to, and the same each time."""

import pytest

from swarm.testing.ability import Ability, Reader, altered
from swarm.testing.mimic import answer

LINES = [f"The lamp of tower {number} was lit in {1800 + number}." for number in range(2_000)]
TEXT = "\n".join(LINES)
SCHEMA = {"properties": {"findings": {}, "summary": {}, "open_questions": {}}}
PROMPT = (
    "<task>\nWhen was the lamp of the tower lit?\n</task>\nAt most 5000 findings.\n"
    f'<source path="a.txt">\n{TEXT}\n</source>'
)


def read(ability: Ability, seed: str = "", prompt: str = PROMPT) -> list[str]:
    return [finding["quote"] for finding in answer(prompt, SCHEMA, ability, seed)["findings"]]


def test_without_a_setting_everything_is_reported_as_it_stands():
    assert sorted(read(Ability())) == sorted(LINES)


def test_the_share_that_is_reported_is_the_recall():
    assert 0.66 < len(read(Ability(recall=0.7))) / len(LINES) < 0.74
    assert read(Ability(recall=0.0)) == []


def test_a_quote_that_is_made_up_stands_nowhere_and_as_many_are_as_was_set():
    quotes = read(Ability(fabricates=0.3))
    assert len(quotes) == len(LINES)
    assert 0.26 < sum(quote not in PROMPT for quote in quotes) / len(LINES) < 0.34


def test_the_same_reading_repeats_and_another_seed_reads_otherwise():
    ability = Ability(recall=0.5, fabricates=0.1)
    assert read(ability, "1") == read(ability, "1")
    assert read(ability, "1") != read(ability, "2")


def test_the_middle_of_a_long_prompt_is_forgotten_and_of_a_short_one_hardly():
    long = read(Ability(forgets_middle=0.9, long_tokens=10_000))
    third = len(LINES) // 3
    ends = sum(line in long for line in LINES[: third // 2] + LINES[-third // 2 :])
    middle = sum(line in long for line in LINES[third : 2 * third])
    assert middle < ends / 2
    assert len(read(Ability(forgets_middle=0.9, long_tokens=10_000_000))) > 0.98 * len(LINES)


def test_a_reply_has_no_more_findings_than_were_set():
    assert len(read(Ability(most_findings=7))) == 7


def test_what_is_altered_is_in_no_text_that_holds_it():
    assert altered("It rained.", "It rained. It reportedly rained.") not in "It rained. It reportedly rained."
    assert altered("Lit in 1820.", "Lit in 1820. Lit in 1827.") not in "Lit in 1820. Lit in 1827."
    assert altered("...", "...") != "..."


def test_a_share_is_a_share():
    with pytest.raises(ValueError, match=r"recall is 1\.5: give a share from 0 to 1"):
        Ability(recall=1.5)


def test_the_recall_is_whole_at_both_ends():
    ability = Ability(recall=0.8, forgets_middle=0.5, long_tokens=10)
    assert ability.recall_at(0.0, 10_000) == ability.recall_at(1.0, 10_000) == 0.8
    assert ability.recall_at(0.5, 10_000) == pytest.approx(0.4)
    assert Reader("text", ability).notices("text", 0) in (True, False)
