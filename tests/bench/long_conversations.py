"""What the long run is measured against: one conversation in a single window, by the same simulated worker.

The worker has the same skill and errs as often, in what it says and in form (a reply that is wrong in form is
asked for again), and sees a window of the same size. `truncated` drops its oldest turns when the window is full;
`summarised` has the worker write down the state instead, and goes on from that. What is no longer in the window is
not known: it is taken for 0. Tokens are counted of the text as it would stand in the window, in o200k.
"""

from __future__ import annotations

import json
import random
from collections import deque
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from long_worlds import Result, State, Step, World

from swarm.testing.skills import SKILLS, Skill, compact
from swarm.tokens import o200k

WINDOW = 4_096
REPLY = 256  # kept free for the reply
SUMMARY = 512  # and for a summary
TURN_TOKENS = 8  # around the two messages of a turn

_tokens = lru_cache(maxsize=4_096)(o200k)


@dataclass(kw_only=True)
class Told:
    """What came of a conversation. `wrong_items` of the state at the end, as its window has it."""

    wrong_items: int = 0
    items: int = 0
    wrong: int = 0
    first: int = 0
    unseen: int = 0
    """Steps that read what was not in the window any more."""
    calls: int = 0
    tokens: int = 0
    summaries: int = 0


@dataclass(kw_only=True)
class Conversation:
    """`seen` is what the window shows of the state: the value and the turn that it stands in."""

    world: World
    error: float = 0.01
    malformed: float = 1 / 3
    window: int = WINDOW
    summarised: bool = False
    seed: int = 0
    told: Told = field(default_factory=Told)
    seen: dict[Any, tuple[Any, int]] = field(default_factory=dict)
    turns: deque[tuple[int, int]] = field(default_factory=deque)
    """The number of each turn in the window and its tokens."""
    used: int = 0

    def __post_init__(self) -> None:
        self.chance = random.Random(f"conversation {self.seed}")
        self.told.items = self.world.items
        self.rules = o200k(self.world.goal) + o200k(self.world.rules) + TURN_TOKENS
        self.skill: Skill = SKILLS[0] if self.world.name == "registers" else SKILLS[1]
        self._add(0, o200k(self.world.opening))
        self._show(_as_seen(self.world, None), 0)

    def run(self, count: int) -> Told:
        true = dict(self.world.start)
        for number, step in enumerate(self.world.steps(count), start=1):
            self.world.state(true, step.true)
            result = self._turn(number, step)
            if result != step.true:
                self.told.wrong += 1
                self.told.first = self.told.first or number
        self.told.wrong_items = self._wrong(true)
        return self.told

    def _turn(self, number: int, step: Step) -> Result:
        instruction = step.text.split(";")[0].split(".")[0]
        asked = _tokens(instruction) if self.world.name == "registers" else o200k(instruction)
        self._make_room(asked + TURN_TOKENS + REPLY)
        piece, shown = self._visible(instruction, step)
        right = self.skill.solve(piece, self.world.rules, shown)
        assert right is not None
        result = self._said(right, piece, shown, asked)
        replied = o200k(compact(result))
        self.told.tokens += replied
        self._add(number, asked + replied)
        self._show(_as_seen(self.world, result), number)
        return result

    def _visible(self, instruction: str, step: Step) -> tuple[str, dict[str, str]]:
        """The step with what the window holds of what it needs."""
        if self.world.name == "registers":
            known = [f"{name} is {self.seen[name][0]}" for name in step.reads if name in self.seen]
            self.told.unseen += len(known) < len(step.reads)
            return f"{instruction}; {', '.join(known)}", {}
        state = self.seen.get("state")
        self.told.unseen += state is None
        return instruction, {"before": state[0]} if state is not None else {}

    def _said(self, right: Result, piece: str, shown: dict[str, str], asked: int) -> Result:
        """What the worker says; asked again while it is wrong in form."""
        while True:
            self.told.calls += 1
            self.told.tokens += self.rules + self.used + asked
            chance = self.chance.random()
            if chance >= self.error:
                return right
            if chance >= self.error * self.malformed:
                return self.skill.err(right, piece, shown, self.chance.getrandbits(64))

    def _make_room(self, wanted: int) -> None:
        if self.summarised and self.rules + self.used + wanted - REPLY + SUMMARY > self.window:
            self._summarise()
        while self.rules + self.used + wanted > self.window:
            number, tokens = self.turns.popleft()
            self.used -= tokens
            self.seen = {name: value for name, value in self.seen.items() if value[1] != number}

    def _summarise(self) -> None:
        """The state as the window shows it, written anew: each register with the error of a step, the pegs, which
        a step writes whole as well, with that of one. Everything else goes."""
        self.told.calls += 1
        self.told.summaries += 1
        self.told.tokens += self.rules + self.used
        slip = self.error * (1 - self.malformed)
        kept: dict[Any, Any] = {}
        for name, (value, _) in self.seen.items():
            kept[name] = value
            if self.chance.random() < slip:
                kept[name] = self._slipped(name, value)
        written = o200k("; ".join(f"{name} is {value}" for name, value in kept.items()))
        self.told.tokens += written
        self.turns.clear()
        self.seen.clear()
        self.used = 0
        self._add(-self.told.summaries, written)
        self._show(kept, -self.told.summaries)

    def _slipped(self, name: Any, value: Any) -> Any:
        draw = self.chance.getrandbits(64)
        if self.world.name == "registers":
            return self.skill.err({name: value}, "", {}, draw)[name]
        shown = {"before": value}
        # a copy is wrong in what it copies: a disc on a wrong peg, never a move
        return compact(self.skill.err(_parsed(value), "", shown, draw | 1))

    def _add(self, number: int, tokens: int) -> None:
        self.turns.append((number, tokens + TURN_TOKENS))
        self.used += tokens + TURN_TOKENS

    def _show(self, values: State, number: int) -> None:
        for name, value in values.items():
            self.seen[name] = (value, number)

    def _wrong(self, true: State) -> int:
        if self.world.name == "registers":
            return sum(self.seen.get(name, (0, 0))[0] != value for name, value in true.items())
        said: State = {}
        self.world.state(said, _parsed(self.seen["state"][0]) if "state" in self.seen else {})
        return sum(said.get(disc) != peg for disc, peg in true.items())


def _as_seen(world: World, result: Result | None) -> State:
    """What a window shows of the state: of registers each, of the pegs the whole."""
    if world.name == "registers":
        return dict(world.start) if result is None else result
    discs = world.items
    before = {"move": [0, 0, 0], "pegs": [list(range(discs, 0, -1)), [], []]} if result is None else result
    return {"state": compact(before)}


def _parsed(text: str) -> Result:
    value: Result = json.loads(text)
    return value
