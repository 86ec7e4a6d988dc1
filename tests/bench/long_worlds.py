"""The worlds of the long-run benchmark: registers updated by instructions, and Towers of Hanoi with 20 discs.

A world is a plan that is code (`swarm.program.Program`) with one order for each step, made as they are asked for,
and the truth, computed here step by step and without the worker's skill.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from swarm.orders import Order
from swarm.program import Program, Role, Vote
from swarm.testing.skills import MODULUS, SKILLS

REGISTERS = 64
DISCS = 20

Result = dict[str, Any]
State = dict[str, Any]
"""Of registers by name, or of discs by number: the peg that each is on."""


class Step(NamedTuple):
    """One step: `text` says what to do, `reads` which items of the state it goes by, `true` what comes of it."""

    name: str
    text: str
    needs: tuple[str, ...]
    reads: tuple[str, ...]
    true: Result


@dataclass(frozen=True, kw_only=True)
class World:
    """`start` is the state before the first step, in the words of `opening`. `items`: into how many things a state
    falls, each right or wrong."""

    name: str
    goal: str
    rules: str
    schema: Mapping[str, Any]
    items: int
    opening: str
    start: State
    steps: Callable[[int], Iterator[Step]]
    state: Callable[[State, Result], None]
    """Brings a state up to date with the result of a step."""

    def program(self, count: int, vote: Vote | None, answer: Callable[[Mapping[str, str]], str]) -> Program:
        role = Role(
            name=self.name,
            instructions=self.rules,
            schema=self.schema,
            vote=vote,
            view_tokens=0,
            report_tokens=400,
        )
        return Program(
            orders=lambda: (
                Order(name=step.name, objective=step.text, needs=step.needs, role=self.name)
                for step in self.steps(count)
            ),
            roles=(role,),
            check=lambda results: None,
            answer=answer,
        )


REGISTER_RULES = f"""\
Registers r0 to r{REGISTERS - 1} hold whole numbers from 0 to {MODULUS - 1}; arithmetic is modulo {MODULUS}.
A piece is one instruction. It says of each register that it reads where its value is from: the result of another
step, or given outright.
Carry it out. The result holds each register that it writes with its new value, and no other."""


def _initial(seed: int) -> dict[str, int]:
    chance = random.Random(f"start {seed}")
    return {f"r{number}": chance.randrange(MODULUS) for number in range(REGISTERS)}


def _register_steps(count: int, seed: int) -> Iterator[Step]:
    """An endless stream of instructions, cut at `count`. What a step needs are the last steps that wrote what it
    reads, so that steps which do not touch one another can be done at the same time."""
    chance = random.Random(f"steps {seed}")
    held = _initial(seed)
    start = dict(held)
    writer: dict[str, str] = {}
    draw, uniform = chance.randrange, chance.random
    for number in range(1, count + 1):
        one, other, target = (f"r{draw(REGISTERS)}" for _ in range(3))
        kind = uniform()
        if kind < 0.4:
            text, reads = f"set {target} to {one} + {other}", (one, other)
            true = {target: (held[one] + held[other]) % MODULUS}
        elif kind < 0.6:
            text, reads = f"set {target} to {one} - {other}", (one, other)
            true = {target: (held[one] - held[other]) % MODULUS}
        elif kind < 0.85 or one == other:
            amount = draw(1, MODULUS)
            text, reads, true = f"add {amount} to {one}", (one,), {one: (held[one] + amount) % MODULUS}
        else:
            text, reads, true = f"swap {one} and {other}", (one, other), {one: held[other], other: held[one]}
        reads = tuple(dict.fromkeys(reads))
        from_where = [
            f"{read} is from {writer[read]}" if read in writer else f"{read} is {start[read]}" for read in reads
        ]
        needs = tuple(dict.fromkeys(writer[read] for read in reads if read in writer))
        name = f"s{number}"
        yield Step(name, f"{text}; {', '.join(from_where)}", needs, reads, true)
        held.update(true)
        writer.update(dict.fromkeys(true, name))


def registers(seed: int = 0) -> World:
    start = _initial(seed)
    return World(
        name="registers",
        goal=f"Carry out the instructions on {REGISTERS} registers. What does each hold in the end?",
        rules=REGISTER_RULES,
        schema={
            "type": "object",
            "additionalProperties": {"type": "integer", "minimum": 0, "maximum": MODULUS - 1},
            "minProperties": 1,
            "maxProperties": 2,
        },
        items=REGISTERS,
        opening="; ".join(f"{name} is {value}" for name, value in start.items()),
        start=start,
        steps=lambda count: _register_steps(count, seed),
        state=lambda state, result: state.update(result),
    )


def hanoi_rules(discs: int) -> str:
    way = "0 to 1 to 2 to 0" if discs % 2 == 0 else "0 to 2 to 1 to 0"
    return f"""\
Towers of Hanoi with discs 1 (the smallest) to {discs} on pegs 0, 1 and 2. One disc is moved at a time, the topmost
of its peg, and never onto a smaller one. All discs begin on peg 0 and are to come to peg 2.
If the move before was not of disc 1, or there was none, move disc 1 one peg on, from {way}.
If it was of disc 1, make the only legal move that does not touch disc 1.
Lists of pegs have the bottom disc first. The result holds the move as [disc, from, to] and the pegs after it."""


def _hanoi_steps(count: int, discs: int) -> Iterator[Step]:
    """Which disc the nth move is of is known from n: as often as n can be halved. Each disc goes round in one way,
    every second one in the other."""
    pegs: list[list[int]] = [list(range(discs, 0, -1)), [], []]
    opening = f". No disc was moved yet, and the pegs are {json.dumps(pegs, separators=(',', ':'))}"
    at = [0] * (discs + 1)
    for number in range(1, min(count, (1 << discs) - 1) + 1):
        disc = (number & -number).bit_length()
        origin = at[disc]
        target = at[disc] = (origin + (1 if (discs - disc) % 2 else 2)) % 3
        pegs = [[*peg] for peg in pegs]
        pegs[target].append(pegs[origin].pop())
        needs = (f"s{number - 1}",) if number > 1 else ()
        text = f"Make move {number}{'' if needs else opening}"
        yield Step(f"s{number}", text, needs, ("pegs",), {"move": [disc, origin, target], "pegs": pegs})


def hanoi_state(moves: int, discs: int = DISCS) -> dict[int, int]:
    """The peg of each disc after so many moves, by formula: disc d was moved (n + 2^(d-1)) >> d times."""
    return {
        disc: ((moves + (1 << (disc - 1)) >> disc) * (1 if (discs - disc) % 2 else 2)) % 3
        for disc in range(1, discs + 1)
    }


def _on_pegs(state: State, result: Result) -> None:
    pegs = result.get("pegs")
    if isinstance(pegs, list):
        state.clear()
        state.update({disc: peg for peg, held in enumerate(pegs) for disc in held})


def hanoi(discs: int = DISCS) -> World:
    pegs = [list(range(discs, 0, -1)), [], []]
    return World(
        name="hanoi",
        goal=f"Solve the Towers of Hanoi with {discs} discs, move by move.",
        rules=hanoi_rules(discs),
        schema={
            "type": "object",
            "properties": {
                "move": {"type": "array", "items": {"type": "integer"}, "minItems": 3, "maxItems": 3},
                "pegs": {
                    "type": "array",
                    "items": {"type": "array", "items": {"type": "integer"}},
                    "minItems": 3,
                    "maxItems": 3,
                },
            },
            "required": ["move", "pegs"],
            "additionalProperties": False,
        },
        items=discs,
        opening=f"No disc was moved yet, and the pegs are {json.dumps(pegs, separators=(',', ':'))}",
        start=dict.fromkeys(range(1, discs + 1), 0),
        steps=lambda count: _hanoi_steps(count, discs),
        state=_on_pegs,
    )


WORLDS: dict[str, Callable[[], World]] = {"registers": registers, "hanoi": hanoi}


@dataclass(kw_only=True)
class Score:
    """How what was done compares with the truth. `wrong_items` of the state at the end; `wrong` steps whose result
    is not the true one, the `first` of them by its number; `own` errors: what came was not what follows from what
    the step was shown, so that it is not the fault of one before. `missing` steps have no result."""

    wrong_items: int = 0
    items: int = 0
    wrong: int = 0
    first: int = 0
    own: int = 0
    missing: int = 0


def score(world: World, count: int, results: Mapping[str, str]) -> Score:
    """Looks at every step."""
    said, true = dict(world.start), dict(world.start)
    found = Score(items=world.items)
    for number, step in enumerate(world.steps(count), start=1):
        world.state(true, step.true)
        result = _result(results, step.name)
        if result is None:
            found.missing += 1
        else:
            world.state(said, result)
        if result != step.true:
            found.wrong += 1
            found.first = found.first or number
            found.own += result is not None and result != _follows(world, step, results)
    found.wrong_items = sum(said.get(name) != value for name, value in true.items())
    return found


def final_errors(world: World, count: int, results: Mapping[str, str]) -> int:
    """Wrong items of the state at the end, from the last steps that wrote them."""
    true: State = dict(world.start)
    last: dict[str, str] = {}
    for step in world.steps(count):
        world.state(true, step.true)
        for name in step.true:
            last.pop(name, None)  # so that they stay in the order in which they were written
            last[name] = step.name
    said = dict(world.start)
    for name in dict.fromkeys(last.values()):
        world.state(said, _result(results, name) or {})
    return sum(said.get(name) != value for name, value in true.items())


def _follows(world: World, step: Step, results: Mapping[str, str]) -> Result | None:
    shown = {name: text for name in step.needs if (text := results.get(name)) is not None}
    solved = (skill.solve(step.text, world.rules, shown) for skill in SKILLS)
    return next((result for result in solved if result is not None), None)


def _result(results: Mapping[str, str], name: str) -> Result | None:
    text = results.get(name)
    try:
        value = json.loads(text) if text else None
    except ValueError:
        return None
    return value if isinstance(value, dict) else None
