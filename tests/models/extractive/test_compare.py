"""Where two sentences cannot both hold, by words alone: when in doubt, they can."""

import pytest

from swarm.models.extractive.compare import compare
from swarm.prompts.typed import ComparePrompt, Shown
from swarm.task import Finding


def verdict(one: str, other: str) -> str:
    shown = tuple(
        Shown(label=f"F{n}", finding=Finding(id=f"f{n}", claim=claim, evidence=()), quotes=(), where="a:1")
        for n, claim in enumerate((one, other))
    )
    (judged,) = compare(ComparePrompt(question="q", shown=shown)).pairs
    assert judged.pair == 1
    return judged.verdict


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("The mill was rebuilt.", "The mill was not rebuilt."),
        ("It never rose.", "It rose."),
        ("The toll was 14 dollars.", "The toll was 15 dollars."),
        ("The bridge is 5 km long.", "The bridge is 6 kilometres long."),
    ],
)
def test_a_negation_or_one_quantity_of_the_same_unit_contradicts(one, other):
    assert verdict(one, other) == verdict(other, one) == "contradicts"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("The mill was rebuilt.", "The inn was not rebuilt."),
        ("House 3 has a mill.", "House 4 has a mill."),
        ("It was 14 dollars in 1987.", "It was 15 dollars in 1988."),
        ("The bridge is 5 km long.", "The bridge is 5 miles long."),
        ("if (self._handler is None): run()", "if (self._handler is not None): run()"),
        ("It did not fail, and it never stopped.", "It did fail, and it stopped."),
    ],
)
def test_anything_else_is_left_to_stand(one, other):
    assert verdict(one, other) == "compatible"
