"""The built-in proposer: what it turns, what it learns, what it never does again."""

from __future__ import annotations

import math

from swarm.experiments.knobs import Move, digest_of, knobs, moves_between, told
from swarm.experiments.mutate import Outcome, propose

TEXT = """\
RATE = 0.02  # range: 0.0001..10
MOMENTUM = 0.0  # range: 0..0.99
SIZE = 16  # range: 1..512
LAYERS = 2  # range: 1..4
ANNEAL = False
WAY = "a"  # one of: a, b, c
"""


def never(_text: str) -> bool:
    return False


def test_the_same_number_and_history_give_the_same_proposal() -> None:
    for number in range(20):
        one = propose(TEXT, [], number=number, tried=never)
        assert one == propose(TEXT, [], number=number, tried=never)
        assert one is not None
        assert one.moves == moves_between(TEXT, one.text)
    assert len({propose(TEXT, [], number=number, tried=never).text for number in range(20)}) > 8


def test_every_proposal_keeps_within_its_hints() -> None:
    for number in range(300):
        found = propose(TEXT, [], number=number, plateau=number % 5, tried=never)
        assert found is not None
        for knob in knobs(found.text):
            if knob.kind != "choice":
                assert knob.low <= knob.value <= knob.high, found.moves


def test_what_was_tried_is_not_tried_again_and_in_the_end_nothing_is_left() -> None:
    text = "A = 1  # range: 1..3\nB = False\n"
    tried = {digest_of(text)}
    seen = []
    for number in range(40):
        found = propose(text, [], number=number, tried=lambda new: digest_of(new) in tried)
        if found is None:
            break
        assert digest_of(found.text) not in tried
        tried.add(digest_of(found.text))
        seen.append(told(found.moves))
    assert found is None
    assert len(seen) == 5  # 3 times 2 in all, and it begins at one of them


def test_a_file_without_constants_has_no_proposal() -> None:
    assert propose("print('hello')\n", [], number=1, tried=never) is None


def test_a_direction_that_won_is_gone_further_more_often_than_others() -> None:
    history = [Outcome((Move(name="RATE", old="0.01", new="0.02"),), kept=True)] * 2
    moves = [propose(TEXT, history, number=n, tried=never).moves[0] for n in range(200)]
    up = [move for move in moves if move.name == "RATE" and float(move.new) > 0.02]
    down = [move for move in moves if move.name == "RATE" and float(move.new) < 0.02]
    assert len(up) > 60
    assert len(down) < 15
    assert max(float(move.new) for move in up) > 0.02 * 3  # in larger steps


def test_a_direction_that_lost_is_tried_less_and_in_smaller_steps() -> None:
    history = [Outcome((Move(name="RATE", old="0.02", new="0.04"),), kept=False)] * 3
    moves = [propose(TEXT, history, number=n, tried=never).moves[0] for n in range(300)]
    up = [float(move.new) for move in moves if move.name == "RATE" and float(move.new) > 0.02]
    assert len(up) < 30
    assert not up or max(up) < 0.03


def test_on_a_plateau_several_constants_are_turned_at_once() -> None:
    assert all(len(propose(TEXT, [], number=n, tried=never).moves) == 1 for n in range(50))
    many = [len(propose(TEXT, [], number=n, plateau=3, tried=never).moves) for n in range(50)]
    assert max(many) > 2


def test_it_climbs_a_hill_in_a_few_dozen_experiments() -> None:
    """A smooth measure of four constants, from far away."""

    def loss(text: str) -> float:
        at = {knob.name: knob for knob in knobs(text)}
        rate, size = at["RATE"].value, at["SIZE"].value
        far = abs(math.log2(rate / 0.5)) + abs(math.log2(size / 128)) + 2 * abs(at["MOMENTUM"].value - 0.9)
        return far + (at["ANNEAL"].source == "False")

    text, history, tried = TEXT, [], {digest_of(TEXT)}
    best = begin = loss(text)
    for number in range(1, 61):
        found = propose(text, history, number=number, tried=lambda new: digest_of(new) in tried)
        assert found is not None
        tried.add(digest_of(found.text))
        kept = loss(found.text) < best
        history.append(Outcome(found.moves, kept))
        if kept:
            text, best = found.text, loss(found.text)
    assert best < begin / 3
