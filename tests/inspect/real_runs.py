"""Real runs to be looked into, of every kind, by models that say what they are told to (SIMULATED), are slow by
dice and fail now and then. Each leaves the run `run` in a store, and stops to be looked into whenever nobody is
at it: with the answer of a session, or None where its process ended before."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from swarm import Answer, Limits, Order, Program, Role, Swarm, Task
from swarm.coordinator import plan as reading
from swarm.errors import CallFailed, PromptTooLong, Unavailable
from swarm.limits import attempts, flights, hedged
from swarm.models.base import Completion, Price
from swarm.models.fallback import Fallback
from swarm.models.scripted import Scripted
from swarm.program import Done, Piece
from swarm.prompts.acting import ActPrompt
from swarm.prompts.typed import AnswerPrompt, ConsolidatePrompt, JudgePrompt, Prompt, ReadPrompt
from tests.coordinator.test_resume import write_corpus
from tests.coordinator.work.conftest import Team, result
from tests.coordinator.work.test_doing import Died, report, turn
from tests.coordinator.work.test_resumed import planned, programmed
from tests.coordinator.work.test_settled import Settling

PRICE = Price(input_usd=2.0, output_usd=10.0, cached_usd=0.2)
QUESTIONS = ("Where do the keys lie?", "What stands beside the well?")


class Unsteady(Scripted):
    """Lets others go first by the dice of `seed`, and every `fails`th call is refused, for now; one in whose
    prompt `bad` stands fails for good. `dies` is the call with which the process ends."""

    remote = True

    def __init__(
        self, replies: Any, *, seed: int = 0, fails: int = 7, bad: str = "", dies: int = 0, **settings: Any
    ) -> None:
        super().__init__(replies, **({"window": 3_000, "price": PRICE} | settings))
        self.dice, self.fails, self.bad, self.dies, self.sent = random.Random(seed), fails, bad, dies, 0

    async def call(self, prompt: Prompt[Any], *, max_output: int) -> Completion:
        self.sent += 1
        if self.sent == self.dies:
            raise Died
        for _ in range(self.dice.randint(1, 9)):
            await asyncio.sleep(0)
        if self.bad and self.bad in repr(prompt):
            raise CallFailed("nobody can read this")
        if self.sent % self.fails == 0:
            raise Unavailable("the server is overloaded", in_doubt=self.sent % 2 == 0)
        return await super().call(prompt, max_output=max_output)


def curious(prompt: Prompt[Any]) -> Any:
    """Reads every key, and asks on once."""
    match prompt:
        case ReadPrompt():
            lines = [line for one in prompt.passages for line in one.text.split("\n\n") if "stone" in line.lower()]
            claims = list(dict.fromkeys(line.strip() for line in lines))[: prompt.max_findings]
            return {"findings": [{"claim": line, "quote": line, "relevance": 0.9} for line in claims]}
        case JudgePrompt() if not prompt.asked:
            return {"verdict": "follow_up", "follow_ups": ["What is said of stone 10?"]}
        case JudgePrompt():
            return {"verdict": "answer"}
        case AnswerPrompt() | ConsolidatePrompt():
            statements = [{"text": one.finding.claim, "findings": [one.label]} for one in prompt.shown[:6]]
            return {"answerable": bool(statements), "statements": statements}
    return {"queries": ["key"], "reading": "look for keys"}


def crowded(prompt: Prompt[Any]) -> Any:
    """As `curious`, but says that what is long is too long."""
    if isinstance(prompt, ReadPrompt) and sum(len(one.text) for one in prompt.passages) > 3_000:
        return PromptTooLong("longer than its window", tokens=4_000, limit=3_000)
    return curious(prompt)


def talkative(prompt: Prompt[Any]) -> Any:
    """As `curious`, but finds something in every line."""
    if isinstance(prompt, ReadPrompt):
        lines = [line for one in prompt.passages for line in one.text.split("\n\n")][: prompt.max_findings]
        return {
            "findings": [
                {"claim": f"{line} ({n})", "quote": line, "relevance": 0.5} for n, line in enumerate(lines)
            ]
        }
    return curious(prompt)


async def read(
    folder: Path, model: Any, *, run: str = "run", limits: Limits | None = None, places: int = 4, **task: Any
) -> Answer:
    corpus = folder / "corpus"
    if not corpus.exists():
        write_corpus(corpus, files=5)
    given = {"questions": QUESTIONS[:1], "paths": (str(corpus),)} | task
    asked = Task(**given, limits=limits or Limits(rounds=2))
    return await Swarm(model, store=folder / "swarm.db", concurrency=places).run(asked, run_id=run)


Seen = AsyncIterator[Answer | None]


async def unless_it_dies(running: Coroutine[Any, Any, Answer]) -> Answer | None:
    with suppress(Died, BaseExceptionGroup):
        return await running
    return None


async def question(folder: Path, seed: int) -> Seen:
    """A question with follow-ups, slices that are split, and calls that are tried again."""
    yield await read(folder, Unsteady(crowded, seed=seed))


async def failing(folder: Path, seed: int) -> Seen:
    """Slices fail, are tried again with another model and more places, and fail; then they are done."""
    for number, bad in enumerate(("house 3", "house 3", "")):
        model = Unsteady(curious, seed=seed + number, bad=bad, name=f"model {number}")
        yield await read(folder, model, places=2 + number)


async def limited(folder: Path, seed: int) -> Seen:
    """Stopped at a limit twice, and gone on with."""
    for number, calls in enumerate((4, 9, 100)):
        model = Unsteady(curious, seed=seed + number, fails=100)
        yield await read(folder, model, limits=Limits(calls=calls, rounds=2), places=4 - number)


async def died(folder: Path, seed: int) -> Seen:
    """The process ends in mid-work, twice."""
    for number in range(3):
        model = Unsteady(curious, seed=seed + number, dies=(5, 6, 0)[number], fails=100, name="one")
        yield await unless_it_dies(read(folder, model))


async def table(folder: Path, seed: int) -> Seen:
    yield await read(folder, Unsteady(curious, seed=seed), questions=QUESTIONS, output="table", slicing="source")


async def digest(folder: Path, seed: int) -> Seen:
    """With summaries of summaries."""
    write_corpus(folder / "corpus", files=12)
    model = Unsteady(talkative, seed=seed, window=4_000)
    yield await read(folder, model, questions=("Keys",), output="digest", words=120)


async def known(folder: Path, seed: int) -> Seen:
    """All calls were answered before, for another run."""
    await read(folder, Unsteady(curious, seed=seed, fails=100), run="another")
    yield await read(folder, Unsteady(curious, seed=seed, fails=100))


async def fallen_back(folder: Path, seed: int) -> Seen:
    """Of two models one is down, and declines what it is asked otherwise."""
    first = Unsteady(curious, seed=seed, fails=2, name="first")
    yield await read(folder, Fallback(first, Unsteady(curious, seed=seed, fails=11, name="second")))


async def two_at_once(folder: Path, seed: int) -> Seen:
    write_corpus(folder / "corpus", files=5)
    swarm = Swarm(Unsteady(curious, seed=seed), store=folder / "swarm.db", concurrency=3)
    task = Task(questions=QUESTIONS[:1], paths=(str(folder / "corpus"),), limits=Limits(rounds=2))
    other = replace(task, questions=QUESTIONS[1:])
    answer, _ = await asyncio.gather(swarm.run(task, run_id="run"), swarm.run(other, run_id="another"))
    yield answer


async def steered(folder: Path, seed: int) -> Seen:
    """Paused and gone on with, told something, one slice cancelled, and stopped; then gone on with."""
    write_corpus(folder / "corpus", files=5)
    task = Task(questions=QUESTIONS[:1], paths=(str(folder / "corpus"),), limits=Limits(rounds=2))
    swarm = Swarm(Unsteady(curious, seed=seed), store=folder / "swarm.db", concurrency=2)
    done = 0
    async with swarm.stream(task, run_id="run") as events:
        async for event in events:
            match type(event).__name__:
                case "SliceStarted" if done == 1:
                    swarm.cancel(event.slice.id)
                case "SliceFinished":
                    done += 1
                    {2: swarm.pause, 5: swarm.stop}.get(done, lambda: None)()
                    if done == 1:
                        swarm.steer("Leave out the mill.")
                case "Paused":
                    swarm.go_on()
                case "Finished":
                    yield event.answer
    yield await read(folder, Unsteady(curious, seed=seed))


async def closer(folder: Path, seed: int) -> Seen:
    """Readers have more to say than they may."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setitem(reading._FINDINGS, "answer", 1)
        yield await read(folder, Unsteady(curious, seed=seed, window=8_000, max_output=600), places=2)


async def hedging(folder: Path, seed: int) -> Seen:
    """Some replies are late, and a copy is sent."""
    reads: list[bool] = []

    class Late(Unsteady):
        async def call(self, prompt: Prompt[Any], *, max_output: int) -> Completion:
            reads.append(isinstance(prompt, ReadPrompt))
            await asyncio.sleep(3.0 if reads[-1] and sum(reads) % 6 == 5 else 0.01)
            return await super().call(prompt, max_output=max_output)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(hedged, "FLOOR_SECONDS", 0.02)
        patched.setattr(hedged, "_LOOK_SECONDS", 0.02)
        patched.setattr(hedged, "SHARE", 0.5)
        patched.setattr(flights, "ENOUGH", 4)
        patched.setattr(flights, "_SHARE", 0.5)
        write_corpus(folder / "corpus", files=14)
        yield await read(folder, Late(curious, seed=seed, fails=1_000), places=24)


# Work


def unsteady(team: Team, seed: int, **settings: Any) -> Team:
    fresh = team.fresh
    team.fresh = lambda **more: fresh(**more)  # type: ignore[method-assign]
    steady = team.fresh()
    team.model = Unsteady(steady._replies, seed=seed, window=32_768, **settings)
    return team


async def nested(folder: Path, seed: int) -> Seen:
    """A planner under a planner, handoffs, a slice that fails and one that is dropped."""
    team = Team(folder)
    planned(team)
    yield await unsteady(team, seed).run()


async def voted(folder: Path, seed: int) -> Seen:
    """A program: a chain whose steps are voted on, and orders that follow from reports."""
    team = Team(folder)
    program = programmed(team)
    yield await unsteady(team, seed).run(plan=program)


async def work_that_died(folder: Path, seed: int) -> Seen:
    """Nested plans, the process of which ends in mid-work twice."""
    for number, dies in enumerate((4, 6, 0)):
        team = Team(folder)
        planned(team)
        unsteady(team, seed + number, dies=dies, fails=100)
        yield await unless_it_dies(team.run())


async def work_limited(folder: Path, seed: int) -> Seen:
    for number, calls in enumerate((3, 7, 200)):
        team = Team(folder)
        planned(team)
        yield await unsteady(team, seed + number, fails=100).run(limits=Limits(calls=calls))


async def settled(folder: Path, seed: int) -> Seen:
    """Contradictions are judged, and settled by slices of their own."""
    team = Team(folder)
    text = "The bridge was 40 m long before 1990, and 41 m after it was lengthened."
    settling = Settling(team, result(text, findings=[{"claim": text, "quote": text, "relevance": 1.0}]))
    compare = {"pairs": [{"pair": 1, "verdict": "compatible", "later": None, "reason": "before and after"}]}
    team.model = Scripted({**team.model._replies, "compare": compare})  # type: ignore[dict-item]
    team.model = Unsteady(team.model._replies, seed=seed, window=32_768)
    yield await settling.run()


async def with_tools(folder: Path, seed: int) -> Seen:
    """Sub-agents with tools, subtasks and handoffs, and code."""

    async def look(stone: int) -> str:
        """What a stone weighs."""
        await asyncio.sleep(0)
        if stone == 2:
            raise ValueError("there is no such stone")
        return f"Stone {stone} weighs {stone} pounds."

    def act(prompt: ActPrompt) -> dict[str, Any]:
        if len(prompt.turns) < 2:
            return turn(("look", {"stone": len(prompt.turns) + 1}), ("look", {"stone": 7}))
        return turn(report(prompt.base.objective))

    async def code(piece: Piece) -> Done:
        return Done(result=f"{len(piece.results)} noted")

    def orders() -> list[Order]:
        made = [Order(name=f"piece {n}", objective=f"weigh {n}") for n in range(5)]
        return [*made, Order(name="noted", objective="note", role="code", needs=("piece 1", "piece 2"))]

    import swarm

    roles = (Role(tools=(swarm.tool(look), "subtask"), steps=4, legs=2), Role(name="code", code=code))
    program = Program(orders=orders, roles=roles, answer=lambda results: "; ".join(sorted(results)))
    model = Unsteady({"act": act}, seed=seed, window=32_768)
    task = Task(questions=("Weigh it",), paths=(), mode="work", limits=Limits())
    yield await Swarm(model, store=folder / "swarm.db", concurrency=3).run(task, run_id="run", plan=program)


Kind = Callable[[Path, int], Seen]
KINDS: tuple[Kind, ...] = (
    question, failing, limited, died, table, digest, known, fallen_back, two_at_once, steered, closer, hedging,
    nested, voted, work_that_died, work_limited, settled, with_tools,
)  # fmt: skip


def in_haste(patched: pytest.MonkeyPatch) -> None:
    """No call waits long before it is tried again."""
    patched.setattr(attempts, "_jitter", lambda tries: 0.0005)
