"""Two kinds of step that a simulated worker can do: carry out an instruction on registers, and move one disc.

A skill reads what a model would be shown, the text of the piece and the results of the steps before it, and says
what follows from that; it knows nothing else of the state, so that what it is shown wrong it carries on wrong. It
also knows how one goes wrong: results that look right in form. This module knows no prompt and no model.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Protocol

MODULUS = 1000
"""Registers hold whole numbers below it."""

Result = dict[str, Any]

_SET = re.compile(r"set (r\d+) to (r\d+) ([+-]) (r\d+)")
_ADD = re.compile(r"add (\d+) to (r\d+)")
_SWAP = re.compile(r"swap (r\d+) and (r\d+)")
_SOURCE = re.compile(r"(r\d+) (?:is (\d+)|is from ([^\s,;]+))")
_SLIPS = (1, 2, 10, 20, 100, 900, 980, 990, 998, 999)
_PEGS = re.compile(r"\[\[.*\]\]")
_OTHER_WAY = "0 to 2 to 1"

_dumps = json.JSONEncoder(separators=(",", ":")).encode
_loads = json.JSONDecoder().decode


class Skill(Protocol):
    """What a worker can do. `rules` is what it was told of pieces of this kind, `shown` the results by name."""

    def solve(self, piece: str, rules: str, shown: Mapping[str, str]) -> Result | None:
        """What follows from what is shown; None: this piece is nothing that the skill is for."""

    def err(self, right: Result, piece: str, shown: Mapping[str, str], draw: int) -> Result:
        """Another result than the `right` one that looks as good. `draw` chooses among all that come to mind."""


class Registers:
    """Instructions such as `set r3 to r1 + r7; r1 is from s12, r7 is 512`. A value that is not to be seen is taken
    for 0, as one guesses."""

    def solve(self, piece: str, rules: str, shown: Mapping[str, str]) -> Result | None:  # noqa: ARG002
        if (found := _SET.match(piece)) is not None:
            target, one, sign, other = found.groups()
            held = _values(piece, shown)
            second = held.get(other, 0)
            return {target: (held.get(one, 0) + (second if sign == "+" else -second)) % MODULUS}
        if (found := _ADD.match(piece)) is not None:
            return {found[2]: (_values(piece, shown).get(found[2], 0) + int(found[1])) % MODULUS}
        if (found := _SWAP.match(piece)) is not None:
            held = _values(piece, shown)
            return {found[1]: held.get(found[2], 0), found[2]: held.get(found[1], 0)}
        return None

    def err(self, right: Result, piece: str, shown: Mapping[str, str], draw: int) -> Result:  # noqa: ARG002
        """One register a little or a digit off."""
        draw, which = divmod(draw, len(right))
        name = list(right)[which]
        return right | {name: (right[name] + _SLIPS[draw % len(_SLIPS)]) % MODULUS}


def _values(piece: str, shown: Mapping[str, str]) -> dict[str, int]:
    held: dict[str, int] = {}
    for name, given, source in _SOURCE.findall(piece):
        if given:
            held[name] = int(given)
        elif source in shown and isinstance(value := _parsed(shown[source]).get(name), int):
            held[name] = value
    return held


class Hanoi:
    """One move of the Towers of Hanoi, from the pegs and the move before: the smallest disc goes round in every
    second move, in the others the one move is made that does not touch it."""

    def solve(self, piece: str, rules: str, shown: Mapping[str, str]) -> Result | None:
        if not piece.startswith("Make move"):
            return None
        pegs, before = _state(piece, shown)
        small = next((peg for peg, discs in enumerate(pegs) if discs and discs[-1] == 1), -1)
        if before != 1 and small >= 0:
            origin, target = small, (small + (2 if _OTHER_WAY in rules else 1)) % 3
        else:
            origin, target = _without_smallest(pegs, small)
        return _moved(pegs, origin, target)

    def err(self, right: Result, piece: str, shown: Mapping[str, str], draw: int) -> Result:
        """Another legal move, or the right one with a disc written down on a wrong peg, each half of the time."""
        draw, copied_wrong = divmod(draw, 2)
        if not copied_wrong:
            pegs, _ = _state(piece, shown)
            others = [
                other
                for origin in range(3)
                for target in range(3)
                if _legal(pegs, origin, target) and (other := _moved(pegs, origin, target)) != right
            ]
            if others:
                return others[draw % len(others)]
        return _misplaced(right, draw)


def _state(piece: str, shown: Mapping[str, str]) -> tuple[list[list[int]], int]:
    """The pegs, and the disc that was moved before (0: none)."""
    for text in shown.values():
        result = _parsed(text)
        pegs, move = result.get("pegs"), result.get("move")
        if isinstance(pegs, list) and len(pegs) == 3 and isinstance(move, list) and move:
            return pegs, move[0]
    found = _PEGS.search(piece)
    return (_loads(found[0]) if found is not None else [[], [], []]), 0


def _without_smallest(pegs: list[list[int]], small: int) -> tuple[int, int]:
    """The only legal move of another disc; where there is none, the smallest has to go on."""
    one, other = (peg for peg in range(3) if peg != small) if small >= 0 else (0, 1)
    if _legal(pegs, one, other):
        return one, other
    if _legal(pegs, other, one):
        return other, one
    return (small, (small + 1) % 3) if small >= 0 else (0, 0)


def _legal(pegs: list[list[int]], origin: int, target: int) -> bool:
    held, onto = pegs[origin], pegs[target]
    return origin != target and bool(held) and (not onto or held[-1] < onto[-1])


def _moved(pegs: list[list[int]], origin: int, target: int) -> Result:
    after = [*pegs]
    disc = after[origin][-1] if after[origin] else 0
    after[origin] = after[origin][:-1]
    after[target] = [*after[target], disc] if disc else after[target]
    return {"move": [disc, origin, target], "pegs": after}


def _misplaced(right: Result, draw: int) -> Result:
    discs = sorted(disc for peg in right["pegs"] for disc in peg)
    if not discs:
        return right
    draw, which = divmod(draw, len(discs))
    disc = discs[which]
    away = [[one for one in peg if one != disc] for peg in right["pegs"]]
    at = next(peg for peg, held in enumerate(right["pegs"]) if disc in held)
    onto = (at + 1 + draw % 2) % 3
    away[onto] = sorted([*away[onto], disc], reverse=True)
    return {"move": right["move"], "pegs": away}


def _parsed(text: str) -> Result:
    """A result as shown; what is none is as if it were not there."""
    try:
        value = _loads(text)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def compact(result: Result) -> str:
    return _dumps(result)


SKILLS: tuple[Skill, ...] = (Registers(), Hanoi())

__all__ = ["MODULUS", "SKILLS", "Hanoi", "Registers", "Result", "Skill", "compact"]
