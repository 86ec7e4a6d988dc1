"""One sub-agent with tools, in one window: it acts until it hands in.

Each step is a call of the model and the tools that it asks for; what they give goes into the next step. The window
is kept below its limit: long results are shown in part, old ones are cleared, and where that is not enough, or the
steps are used up, or it goes in circles, it has to hand in. What tools gave is in the ledger before it is gone by.
This module knows no particular tool but `report` and `subtask`, and not what is done with what is handed in.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from typing import Any, Generic, TypeVar

from pydantic import ValidationError

from swarm.equipment import Tool, ToolFailed
from swarm.errors import CallFailed, InvalidReply, LimitReached, PromptTooLong, Rejected, RunError, StoreError
from swarm.limits.budget import Budget
from swarm.limits.gate import reserved_output
from swarm.models.base import Model
from swarm.models.language import schema_of
from swarm.observe.log import get_logger, redact_text
from swarm.observe.telemetry import using
from swarm.prompts.acting import REPORT, ActPrompt, ToolSpec, arguments_in, named, sound
from swarm.prompts.replies import ActReply, Reply, ToolCall
from swarm.prompts.typed import Prompt, WorkPrompt
from swarm.tools.told import LONGEST, bounded
from swarm.worker.job import Ask, Kit
from swarm.worker.ledger import Ledger
from swarm.worker.subtask import Part, names_in, part_of, refs_of
from swarm.worker.transcript import Told, Transcript

R = TypeVar("R", bound=Reply)

log = get_logger("worker")

SUBTASK = "subtask"
BASE_SHARE = 0.6
"""Of the room for a prompt is what a sub-agent is given before its first step, at the most."""
_FULL, _CLEARED, _LAST = 0.7, 0.45, 0.85  # of that room: when results are cleared, down to what, when it is over
_SQUEEZED = 0.97  # of that room is left of what does not even fit then
_TIGHTER, _TIGHTEST = 0.75, 6  # so much less room each time that a provider counts more than was counted here
_RESULTS = 0.2  # of that room may the results of one turn take
_FORCED = 3  # times that a sub-agent is told to hand in
_REMEMBERED_CHARS = 4_000_000
_DEPTH = 4  # subtasks within one another
_LONGEST = LONGEST + 100  # characters of what a tool gave, with what most of them say themselves of what is cut
_AT_ONCE = 100  # calls of one turn that are made
_TOO_MANY = f"It was not made: of one turn the first {_AT_ONCE} calls are."
_NO_CALL = "(You called no tool. Use one, or hand in with `report`.)"
_INTERRUPTED = (
    "(The run was interrupted about here. This call may have been made before, and taken effect: look, if it "
    "matters.)\n"
)


@dataclass(frozen=True, kw_only=True)
class Acted(Generic[R]):
    """What was handed in, after how many steps, and what the tools gave, by the names of the calls."""

    reply: R
    steps: int
    given: Mapping[str, str]


@dataclass(kw_only=True)
class Actor:
    """Who acts: the parts that stay the same for the sub-agents of one slice."""

    kit: Kit
    gate: Ask
    model: Model
    ledger: Ledger
    budget: Budget | None = None
    tools: dict[str, Tool] = field(init=False)
    specs: tuple[ToolSpec, ...] = field(init=False)

    def __post_init__(self) -> None:
        self.tools = {one.name: one for one in self.kit.tools}
        self.specs = tuple(
            ToolSpec(name=one.name, description=one.description, parameters=one.parameters)
            for one in self.kit.tools
        )

    async def act(self, base: Prompt[R], name: str, attempt: int = 0, *, depth: int = 0) -> Acted[R]:
        """Act until what `base` asks for is handed in. `name` tells this window from others of the slice,
        `attempt` a fresh one from the one before it.

        Raises:
            PromptTooLong: what it is given leaves no room to act in.
            LimitReached: a limit does not allow the next call.
            CallFailed: the model could not be asked, or does not hand in.
        """
        return await _Window(actor=self, base=base, name=name, attempt=attempt, depth=depth).run()


@dataclass(kw_only=True)
class _Window(Generic[R]):
    """One window on its way."""

    actor: Actor
    base: Prompt[R]
    name: str
    attempt: int
    depth: int
    transcript: Transcript = field(init=False)
    basis: list[object] = field(init=False)
    given: dict[str, str] = field(default_factory=dict)
    below: dict[str, Mapping[str, str]] = field(default_factory=dict)
    step: int = 0
    idle: int = 0
    forced: int = 0
    tighter: int = 0
    handed: R | None = None

    def __post_init__(self) -> None:
        self.transcript = Transcript(name=self.name)
        self.basis = self.base.identity()

    async def run(self) -> Acted[R]:
        actor = self.actor
        specs = self._specs()
        toolset = named(specs)
        prompt = ActPrompt(question=self.base.question, base=self.base, tools=specs, toolset=toolset)
        self._check(prompt)
        while True:
            if actor.kit.stopping():
                raise LimitReached("interrupted")
            prompt = self._next(prompt)
            before = actor.budget.spent.calls if actor.budget is not None else 0
            reply = await self._ask(prompt)
            if reply is None:
                continue
            self.forced += prompt.force
            known = actor.budget is not None and actor.budget.spent.calls == before
            await self._take(reply, known=known)
            self.step += 1
            if self.handed is not None:
                return Acted(reply=self.handed, steps=self.step, given=self.given)
            if self.forced > _FORCED:
                said = "the sub-agent does not hand in, though its window or its steps are used up"
                raise InvalidReply(said, reply.says, known=known)

    def _check(self, prompt: ActPrompt) -> None:
        """Whether there is room to act in. One that was begun goes on, though its model has told meanwhile that it
        counts more."""
        actor = self.actor
        if actor.model.count(prompt) > BASE_SHARE * self._room() and not actor.ledger.begun(self.name):
            raise PromptTooLong("what the sub-agent is given leaves too little of its window to act in")

    async def _ask(self, prompt: ActPrompt) -> ActReply | None:
        """The reply; None where the provider counts more than was thought, and the same call is to be made again
        showing less of what was done."""
        actor, window = self.actor, self.actor.model.window
        try:
            return await actor.gate.ask(actor.model, prompt, self.attempt, budget=actor.budget)
        except PromptTooLong:
            if actor.model.window < window:  # it has told that it has less
                self._check(replace(prompt, turns=(), chain=""))
            elif not self.transcript.turns or self.tighter == _TIGHTEST:
                raise
            else:
                self.tighter += 1
            return None

    def _specs(self) -> tuple[ToolSpec, ...]:
        wanted = self.actor.specs
        if self.depth + 1 >= _DEPTH:
            wanted = tuple(one for one in wanted if one.name != SUBTASK)
        report = ToolSpec(
            name=REPORT,
            description="Hands in what was asked for, and ends. Alone in its turn, when everything else is done.",
            parameters=schema_of(self.base.reply),
        )
        return (*wanted, report)

    def _room(self) -> int:
        room = self.actor.model.window - reserved_output(self.actor.model)
        return int(room * _TIGHTER**self.tighter)

    def _next(self, prompt: ActPrompt) -> ActPrompt:
        """The prompt of the next step, with as much of what was done as its window holds."""
        model, transcript, room = self.actor.model, self.transcript, self._room()

        def now(*, force: bool = False) -> ActPrompt:
            return replace(
                prompt,
                turns=tuple(transcript.turns),
                chain=transcript.chain,
                before=transcript.before,
                form=transcript.form,
                force=force,
            )

        tokens = model.count(now())
        if tokens > _FULL * room:
            transcript.clear(lambda: model.count(now()) <= _CLEARED * room)
            tokens = model.count(now())
        over = tokens > _LAST * room or self.step + 1 >= self.actor.kit.steps or transcript.stuck
        force = over or self.idle >= _FORCED
        if force and model.count(now(force=True)) > room:
            transcript.squeeze(lambda: model.count(now(force=True)) <= _SQUEEZED * room)
        return now(force=force)

    async def _take(self, reply: ActReply, *, known: bool) -> None:
        """Run what was asked for, and add the turn."""
        calls = reply.calls
        told: list[Told]
        if not calls:
            self.idle += 1
            told = [(self._ref(0), _NO_CALL, False)]
        else:
            self.idle = 0
            told = await self._run(calls, known=known)
        tokens = int(_RESULTS * self._room() / self.actor.model.ratio())
        self.transcript.add(reply.says, calls, told, reply.kept, tokens)

    def _ref(self, number: int) -> str:
        return f"{self.name}:{self.step}:{number}"

    async def _run(self, calls: Sequence[ToolCall], *, known: bool) -> list[Told]:
        """The results of the calls of one turn: those that change nothing side by side, else in their order."""
        asked = [(number, call) for number, call in enumerate(calls) if call.name != REPORT]
        acts, beyond = asked[:_AT_ONCE], asked[_AT_ONCE:]
        told: dict[int, Told] = {}
        if all(self._reads(call.name) for _, call in acts):
            told = await self._side_by_side(acts, known=known)
        else:
            for number, call in acts:
                told[number] = await self._call(number, call, known=known)
        for number, call in acts:
            await self._learn(call, *told[number])
        told |= {number: (self._ref(number), _TOO_MANY, True) for number, _ in beyond}
        failed = any(bad for _, _, bad in told.values())
        for number, call in enumerate(calls):
            if call.name == REPORT:
                told[number] = (self._ref(number), self._hand_in(call, failed=failed), True)
        return [told[number] for number in range(len(calls))]

    async def _side_by_side(self, acts: Sequence[tuple[int, ToolCall]], *, known: bool) -> dict[int, Told]:
        """An error of one lets the others come back: what they ask of models is paid for, and is found in the
        journal when the run goes on."""
        told: dict[int, Told] = {}
        errors: dict[int, RunError] = {}

        async def one(number: int, call: ToolCall) -> None:
            try:
                told[number] = await self._call(number, call, known=known)
            except RunError as error:
                errors[number] = error

        try:
            async with asyncio.TaskGroup() as group:
                for number, call in acts:
                    group.create_task(one(number, call))
        except BaseExceptionGroup as group_error:
            raise group_error.exceptions[0] from None  # what is not an outcome of a run: one says enough
        for number in sorted(errors):
            raise errors[number]
        return told

    def _reads(self, name: str) -> bool:
        """Whether a call changes nothing. What a subtask may do is what its sub-agent has tools for."""
        tools = self.actor.tools
        if name == SUBTASK:
            return not any(one.changes for one in tools.values() if one.name != SUBTASK)
        return name not in tools or not tools[name].changes

    def _hand_in(self, call: ToolCall, *, failed: bool) -> str:
        """Take a report; what is told where it cannot be taken."""
        if self.handed is not None:
            return "It was handed in by the call before."
        if failed:
            return "It was not handed in: another call of this turn failed. Look at that first."
        try:
            self.handed = self.base.reply.model_validate_json(call.arguments or "{}")  # type: ignore[assignment]
        except ValidationError as error:
            problems = "; ".join(
                f"{'.'.join(map(str, one['loc'])) or 'report'}: {one['msg']}"
                for one in error.errors(include_url=False, include_input=False)[:5]
            )
            return f"It was not handed in, it is not valid: {problems}"
        return "It was handed in."

    async def _call(self, number: int, call: ToolCall, *, known: bool) -> Told:
        """What one call comes to: as the ledger has it, else made now."""
        ref = self._ref(number)

        async def make(interrupted: bool) -> tuple[str, bool]:
            if number:
                self._go_on()
            with using(call.name, ref) as told:
                text, failed = told(await self._make(call, ref))
            text = sound(text if len(text) <= _LONGEST else bounded(text))
            # a subtask goes on from its own steps
            again = interrupted and known and call.name != SUBTASK and not self._reads(call.name)
            return f"{_INTERRUPTED}{text}" if again else text, failed

        return ref, *await self.actor.ledger.called(ref, call.name, make, self._of(call))

    def _go_on(self) -> None:
        """A turn may ask for much: also between its calls nothing is begun that need not be."""
        if self.actor.kit.stopping():
            raise LimitReached("interrupted")
        if self.actor.budget is not None:
            self.actor.budget.check_time()

    def _of(self, call: ToolCall) -> str:
        """What names a call and all that came before it."""
        told = json.dumps([self.basis, self.transcript.chain, call.name, call.arguments])
        return blake2b(told.encode(), digest_size=12).hexdigest()

    async def _learn(self, call: ToolCall, ref: str, text: str, failed: bool) -> None:
        """Remember what a call gave. The calls of a turn are gone through in their order, whichever came back
        first: what is quoted later is found in the same place when the run is played again."""
        if failed:
            return
        if call.name == SUBTASK:
            for name, given in await self._given_below(ref, self._of(call)):
                self._remember(name, given)
        self._remember(f"{call.name}{_told(call)} ({ref})", text)

    async def _given_below(self, ref: str, of: str) -> list[tuple[str, str]]:
        """What tools gave in a subtask, from the ledger where it was worked before the run went on."""
        if ref in self.below:
            return list(self.below.pop(ref).items())
        names, _ = await self.actor.ledger.called(f"{ref}/given", "given", _nothing, of)
        return [(name, (await self.actor.ledger.called(at, "", _nothing))[0]) for name, at in refs_of(names)]

    def _remember(self, name: str, text: str) -> None:
        """For what is quoted when it hands in. What it saw long ago may be quoted no more: memory is bounded."""
        self.given[name] = text
        while len(self.given) > 1 and sum(map(len, self.given.values())) > _REMEMBERED_CHARS:
            del self.given[next(iter(self.given))]

    async def _make(self, call: ToolCall, ref: str) -> tuple[str, bool]:
        tool = self.actor.tools.get(call.name)
        if tool is None or (call.name == SUBTASK and self.depth + 1 >= _DEPTH):
            names = ", ".join([*self.actor.tools, REPORT])
            return f"There is no tool {call.name[:80]!r}. There are: {names}", True
        try:
            arguments = arguments_in(call.arguments)
        except ValueError as error:
            return str(error), True
        try:
            if call.name == SUBTASK:
                return await self._subtask(arguments, ref, self._of(call)), False
            return await tool.call(arguments), False
        except ToolFailed as error:
            return str(error), True
        except RunError as error:
            if call.name != SUBTASK or isinstance(error, Rejected):
                raise
            if not isinstance(error, CallFailed | PromptTooLong):
                raise  # a limit, or a person's word: no outcome of the subtask
            return f"The subtask failed: {error}", True
        except Exception as error:  # a tool is somebody's code: what it trips over is told to who used it
            if call.name == SUBTASK and isinstance(error, StoreError):
                raise  # the journal is not there, or this is another's by now: no outcome of the subtask
            log.info("tool failed", tool=call.name, error=type(error).__name__)
            return redact_text(f"{type(error).__name__}: {error}")[:2_000], True

    async def _subtask(self, arguments: Mapping[str, Any], ref: str, of: str) -> str:
        """A part of the piece, worked by a sub-agent with a fresh window and the same tools. Its conclusion comes
        back; what it did stays in the ledger, to be looked up. `of` names the call."""
        objective = str(arguments.get("objective", "")).strip()
        if not objective:
            raise ToolFailed("say in `objective` what is to be done")
        if not isinstance(self.base, WorkPrompt):
            raise ToolFailed("only who works a piece may hand on a part of it")
        kept = self.actor.ledger.called
        await kept(f"{ref}/part", "part", _as_given(objective), of)
        name = f"{self.name}/{self.step}.{ref.rpartition(':')[2]}"
        acted = await self.actor.act(part_of(self.base, objective, ref), name, depth=self.depth + 1)
        part = Part(ref=ref, reply=acted.reply, steps=acted.steps, given=acted.given)
        for at, text in part.kept().items():
            await kept(at, "part", _as_given(text), of)
        await kept(f"{ref}/given", "given", _as_given(names_in(part.all_given)), of)
        self.below[ref] = part.all_given
        return part.conclusion()


def _as_given(text: str) -> Callable[[bool], Awaitable[tuple[str, bool]]]:
    async def make(_interrupted: bool) -> tuple[str, bool]:
        return text, False

    return make


_nothing = _as_given("[]")


def _told(call: ToolCall) -> str:
    line = " ".join(call.arguments.split())
    return f" {line}" if len(line) <= 100 else f" {line[:99]}…"
