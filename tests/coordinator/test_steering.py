"""What people ask of a run while it is at work: it holds from then on, and no finished call is asked again."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from swarm.coordinator.steering import Steering
from swarm.errors import SliceCancelled, Unavailable, UsageError
from swarm.events import (
    Event,
    Finished,
    Paused,
    SliceDropped,
    SliceFinished,
    SlicesPlanned,
    SliceStarted,
    Spent,
    Steered,
    WentOn,
)
from swarm.history import show
from swarm.limits import attempts
from swarm.models.base import Completion
from swarm.models.scripted import Scripted
from swarm.playback import replay
from swarm.prompts.typed import AnswerPrompt, ConsolidatePrompt, JudgePrompt, PlanPrompt, Prompt, ReadPrompt
from swarm.run import Swarm
from swarm.steer import tell
from swarm.store.mailbox import FileMailbox, Request, request
from swarm.store.opening import open_store
from swarm.task import Answer, Limits, Task
from swarm.tokens import o200k

PROSE = "the miller ground corn by the river until winter froze the wheel and all was still".split()
SAID = "Leave out what concerns the mill."


def saying(prompt: Prompt[Any]) -> Any:
    """A model that reads every key, and asks on once."""
    match prompt:
        case ReadPrompt():
            text = "".join(passage.text for passage in prompt.passages)
            lines = re.findall(r"The key of house \d+ lies under stone \d+\.", text)
            return {"findings": [{"claim": line, "quote": line, "relevance": 0.9} for line in lines]}
        case JudgePrompt() if not prompt.asked:
            return {"verdict": "follow_up", "follow_ups": ["Where does the key of house 3 lie?"]}
        case JudgePrompt():
            return {"verdict": "answer"}
        case AnswerPrompt() | ConsolidatePrompt():
            statements = [{"text": one.finding.claim, "findings": [one.label]} for one in prompt.shown]
            return {"answerable": bool(statements), "statements": statements}
    return {"queries": ["key"], "reading": "look for keys"}


class Held(Scripted):
    """A scripted model whose calls wait to be let through: all, or those that a test picks."""

    def __init__(self, holds: Callable[[Prompt[Any]], bool] = lambda _: False, **changes: Any) -> None:
        super().__init__(saying, **({"window": 3_000} | changes))
        self.holds, self.opened, self.sent, self.waiting = holds, asyncio.Event(), 0, 0
        self._came = asyncio.Condition()

    async def call(self, prompt: Any, *, max_output: int) -> Completion:
        async with self._came:
            self.sent += 1
            self.waiting += self.holds(prompt)
            self._came.notify_all()
        if self.holds(prompt):
            await self.opened.wait()
        return await super().call(prompt, max_output=max_output)

    async def until(self, reached: Callable[[], bool]) -> None:
        async with asyncio.timeout(20), self._came:
            await self._came.wait_for(reached)

    @property
    def reads(self) -> list[ReadPrompt]:
        return [prompt for prompt in self.calls if isinstance(prompt, ReadPrompt)]


def is_read(prompt: Prompt[Any]) -> bool:
    return isinstance(prompt, ReadPrompt)


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    folder = tmp_path / "corpus"
    folder.mkdir()
    for number in range(8):
        lines = [
            " ".join(PROSE[(line + n) % len(PROSE)] for n in range(30)).capitalize() + "." for line in range(30)
        ]
        lines.insert(15, f"The key of house {number} lies under stone {number * 7 + 3}.")
        (folder / f"house-{number}.md").write_text("\n\n".join(lines), "utf-8")
    return folder


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "store.db"


def ask(corpus: Path, **changes: Any) -> Task:
    return Task(questions=("Where does each key lie?",), paths=(str(corpus),), **changes)


class Watching:
    """A run in a task of its own, with its events."""

    def __init__(self, swarm: Swarm, task: Task, run: str = "run") -> None:
        self.events: list[Event] = []
        self._came = asyncio.Condition()
        self.running = asyncio.create_task(self._follow(swarm, task, run))

    async def _follow(self, swarm: Swarm, task: Task, run: str) -> Answer:
        async with swarm.stream(task, run_id=run) as stream:
            async for event in stream:
                async with self._came:
                    self.events.append(event)
                    self._came.notify_all()
                if isinstance(event, Finished):
                    return event.answer
        raise AssertionError

    def seen(self, kind: type) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]

    async def until(self, kind: type, count: int = 1) -> None:
        async with asyncio.timeout(20), self._came:
            await self._came.wait_for(lambda: len(self.seen(kind)) >= count)

    async def answer(self) -> Answer:
        async with asyncio.timeout(30):
            return await self.running


def identities(*models: Scripted) -> list[str]:
    return [json.dumps(prompt.identity(), sort_keys=True) for one in models for prompt in one.calls]


async def plays(answer: Answer, store: Path) -> None:
    again = await replay(answer.run_id, store)
    assert (again.graph, again.text, again.coverage) == (answer.graph, answer.text, answer.coverage)


async def idle() -> None:
    """Long enough for whatever could be sent to have been."""
    for _ in range(3):
        await asyncio.to_thread(lambda: None)
        for _ in range(50):
            await asyncio.sleep(0)


# Instructions


async def test_what_is_said_reaches_whoever_begins_after_it_and_nobody_who_had_begun(
    corpus: Path, store: Path
) -> None:
    model = Held(is_read)
    swarm = Swarm(model, store=store, concurrency=3)
    run = Watching(swarm, ask(corpus))
    await model.until(lambda: model.waiting == 3)
    swarm.steer(SAID)
    await run.until(Steered)
    model.opened.set()
    answer = await run.answer()
    told = [SAID in prompt.reading for prompt in model.reads]
    assert told == [False] * 3 + [True] * (len(told) - 3)
    assert len(told) > 6
    assert all("look for keys" in prompt.reading for prompt in model.reads[:3])
    for prompt in model.calls:
        if isinstance(prompt, JudgePrompt | AnswerPrompt):
            assert prompt.said == (SAID,)
    assert answer.complete
    assert answer.coverage.chars_unread == 0
    await plays(answer, store)


@pytest.mark.parametrize("output", ["answer", "digest", "table"])
async def test_a_steered_run_comes_out_the_same_in_a_replay_whenever_it_was_steered(
    corpus: Path, store: Path, output: Any
) -> None:
    async def during(phase: type | None, run: str) -> None:
        model = Held(lambda prompt: phase is not None and isinstance(prompt, phase))
        swarm = Swarm(model, store=store, concurrency=2)
        if phase is None:
            swarm.steer(SAID)
        slicing = "source" if output == "table" else "window"
        work = Watching(swarm, ask(corpus, output=output, slicing=slicing), run)
        if phase is not None:
            await model.until(lambda: model.waiting > 0)
            swarm.steer(f"{SAID} {run}")
        await work.until(Steered)
        model.opened.set()
        await plays(await work.answer(), store)

    await during(None, "before it began")
    await during(ReadPrompt, "while it read")
    if output == "answer":
        await during(JudgePrompt, "while it judged")


@pytest.mark.parametrize("after", [1, 4, 9])
async def test_a_steered_run_that_goes_on_asks_nothing_twice(corpus: Path, store: Path, after: int) -> None:
    first = Held(is_read)
    swarm = Swarm(first, store=store, concurrency=3)
    seen = 0
    async with swarm.stream(ask(corpus), run_id="run") as stream:
        async for event in stream:
            if isinstance(event, SliceStarted) and not seen:
                await first.until(lambda: first.waiting == 3)
                swarm.steer(SAID)
            if isinstance(event, Steered):
                first.opened.set()
            seen += isinstance(event, SliceFinished)
            if seen == after:
                break
    rest = Held()
    answer = await Swarm(rest, store=store, concurrency=5).resume("run")
    assert answer.complete
    finished = first.calls[: len(first.calls) - 3]  # all but those that were on their way
    asked = identities(rest)
    assert len(set(asked)) == len(asked)
    again = {json.dumps(one.identity(), sort_keys=True) for one in finished} & set(asked)
    assert len(again) <= 3
    late = [prompt for prompt in rest.reads if SAID not in prompt.reading]
    assert len(late) <= 3, "only those that had begun before it was said are read without it"
    await plays(answer, store)


async def test_a_run_that_was_judged_is_judged_anew_once_something_was_added(corpus: Path, store: Path) -> None:
    model = Held(lambda prompt: isinstance(prompt, AnswerPrompt))
    swarm = Swarm(model, store=store)
    run = Watching(swarm, ask(corpus))
    await model.until(lambda: model.waiting == 1)
    run.running.cancel()
    await asyncio.wait([run.running])
    with closing(FileMailbox(store)) as mailbox:
        mailbox.post("run", request("steer", text=SAID))
    rest = Held()
    answer = await Swarm(rest, store=store).resume("run")
    assert [type(prompt) for prompt in rest.calls if not is_read(prompt)][-1] is AnswerPrompt
    assert all(prompt.said == (SAID,) for prompt in rest.calls if isinstance(prompt, JudgePrompt | AnswerPrompt))
    assert any(isinstance(prompt, JudgePrompt) for prompt in rest.calls)
    assert not rest.reads, "what was read before is not read again"
    await plays(answer, store)


async def test_what_is_said_while_the_answer_is_written_waits_for_the_run_to_go_on(
    corpus: Path, store: Path
) -> None:
    model = Held(lambda prompt: isinstance(prompt, AnswerPrompt))
    run = Watching(Swarm(model, store=store), ask(corpus))
    await model.until(lambda: model.waiting == 1)
    with closing(FileMailbox(store)) as mailbox:
        mailbox.post("run", request("pause", session=1))
        mailbox.post("run", request("steer", text=SAID))
    await run.until(Paused)  # the pause came after it: both were looked at
    model.opened.set()
    await run.answer()
    assert not run.seen(Steered)
    assert FileMailbox(store).waiting("run")[0].text == SAID
    with open_store(store, read_only=True) as opened:
        assert opened.journal.keys("run", "instruction") == []


async def test_a_long_instruction_is_cut_for_readers_and_no_slice_is_halved_for_it(
    corpus: Path, store: Path
) -> None:
    model = Held(is_read, window=4_000)
    swarm = Swarm(model, store=store, concurrency=1)
    run = Watching(swarm, ask(corpus))
    await model.until(lambda: model.waiting == 1)
    long = "Mind what the neighbours say of the miller. " * 90
    swarm.steer(long)
    await run.until(Steered)
    model.opened.set()
    answer = await run.answer()
    readings = {prompt.reading for prompt in model.reads[1:] if prompt.question == "Where does each key lie?"}
    assert len(readings) == 1, "all are told the same"
    (reading,) = readings
    assert "Mind what the neighbours say" in reading
    assert reading.endswith("…")
    with open_store(store, read_only=True) as opened:
        assert opened.journal.keys("run", "split") == []
    judged = next(prompt for prompt in model.calls if isinstance(prompt, JudgePrompt))
    assert o200k(judged.said[0]) <= 4_000 // 8
    assert len(judged.said[0]) > len(reading)
    await plays(answer, store)


def test_of_many_instructions_the_latest_count_most() -> None:
    steering = Steering()
    from swarm.coordinator.steering import Instruction

    for number in range(50):
        steering.instructions.append(Instruction(id=str(number), text=f"Instruction {number}: " + "mind it " * 20))
    said = steering.said(300)
    assert said[-1].startswith("Instruction 49:")
    assert 2 < len(said) < 50
    assert list(said) == sorted(said)
    assert sum(map(o200k, said)) <= 300
    assert steering.said(0) == ()


@pytest.mark.parametrize("text", ["", "  \n ", "\x00", "x" * 4_001])
def test_an_instruction_that_is_empty_or_too_long_is_refused_at_once(text: str) -> None:
    with pytest.raises(UsageError, match="instruction"):
        Swarm("extractive").steer(text)


# Pausing


async def test_paused_it_sends_nothing_and_goes_on_where_it_was(corpus: Path, store: Path) -> None:
    model = Held(is_read)
    swarm = Swarm(model, store=store, concurrency=3)
    run = Watching(swarm, ask(corpus))
    await model.until(lambda: model.waiting == 3)
    swarm.pause()
    await run.until(Paused)
    sent = model.sent
    model.opened.set()
    await run.until(SliceFinished, 3)
    await idle()
    assert model.sent == sent
    assert not run.running.done()
    swarm.go_on()
    await run.until(WentOn)
    answer = await run.answer()
    assert answer.complete
    await plays(answer, store)


async def test_paused_after_the_reading_it_neither_judges_nor_answers(corpus: Path, store: Path) -> None:
    model = Held(is_read)
    swarm = Swarm(model, store=store, concurrency=64)
    run = Watching(swarm, ask(corpus, limits=Limits(rounds=1)))
    await run.until(SlicesPlanned)
    slices = run.seen(SlicesPlanned)[0].slices
    await model.until(lambda: model.waiting == slices)
    swarm.pause()
    await run.until(Paused)
    model.opened.set()
    await run.until(SliceFinished, slices)
    await idle()
    assert [type(prompt) for prompt in model.calls if not is_read(prompt)] == [PlanPrompt]
    swarm.go_on()
    assert (await run.answer()).complete
    assert isinstance(model.calls[-1], AnswerPrompt)


async def test_paused_it_tries_no_call_again_that_failed(
    corpus: Path, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attempts, "_FIRST_WAIT_SECONDS", 0.0)

    class Failing(Held):
        async def call(self, prompt: Any, *, max_output: int) -> Completion:
            reply = await super().call(prompt, max_output=max_output)
            if is_read(prompt) and len(self.reads) <= 2:
                raise Unavailable("busy")
            return reply

    model = Failing(is_read)
    swarm = Swarm(model, store=store, concurrency=2)
    run = Watching(swarm, ask(corpus))
    await model.until(lambda: model.waiting == 2)
    swarm.pause()
    await run.until(Paused)
    model.opened.set()
    await run.until(Spent, 3)
    await idle()
    assert model.sent == 3
    swarm.go_on()
    assert (await run.answer()).complete


async def test_a_pause_that_was_asked_before_it_began_holds_from_the_start(corpus: Path, store: Path) -> None:
    model = Held()
    swarm = Swarm(model, store=store)
    swarm.pause()
    run = Watching(swarm, ask(corpus))
    await run.until(Paused)
    assert model.sent == 0
    swarm.go_on()
    assert (await run.answer()).complete


async def test_a_paused_run_can_be_stopped(corpus: Path, store: Path) -> None:
    model = Held(is_read)
    swarm = Swarm(model, store=store, concurrency=3)
    run = Watching(swarm, ask(corpus))
    await model.until(lambda: model.waiting == 3)
    swarm.pause()
    await run.until(Paused)
    model.opened.set()
    await run.until(SliceFinished, 3)
    swarm.stop()
    answer = await run.answer()
    assert (answer.status, answer.stopped) == ("partial", "interrupted")
    assert len(model.reads) == 3
    await plays(answer, store)


async def test_a_paused_run_that_was_killed_goes_on_unpaused(corpus: Path, store: Path) -> None:
    model = Held(is_read)
    swarm = Swarm(model, store=store, concurrency=2)
    run = Watching(swarm, ask(corpus))
    await model.until(lambda: model.waiting == 2)
    with closing(FileMailbox(store)) as mailbox:
        mailbox.post("run", request("pause", session=1))
        await run.until(Paused)
        run.running.cancel()
        await asyncio.wait([run.running])
        mailbox.post("run", request("stop", session=1))  # it came too late, and means nothing tomorrow
    answer = await Swarm(Held(), store=store).resume("run")
    assert answer.complete
    assert FileMailbox(store).waiting("run") == []
    await plays(answer, store)


async def test_no_limit_in_seconds_runs_while_it_is_paused(corpus: Path, store: Path) -> None:
    now = 0.0
    steering = Steering(lambda: now)
    now = 10.0
    steering.pause()
    now = 25.0
    assert steering.seconds() == 10.0
    steering.go_on()
    now = 27.0
    assert steering.seconds() == 12.0
    steering.pause()
    now = 90.0
    assert steering.seconds() == 12.0


# Cancelling


async def test_a_cancelled_slice_is_left_unread_and_told(corpus: Path, store: Path) -> None:
    model = Held(is_read)
    swarm = Swarm(model, store=store, concurrency=2)
    run = Watching(swarm, ask(corpus))
    await model.until(lambda: model.waiting == 2)
    flying = run.seen(SliceStarted)[0].slice
    swarm.cancel(flying.id)
    await run.until(SliceDropped)
    model.opened.set()
    answer = await run.answer()
    assert answer.status == "partial"
    assert answer.stopped is None
    assert answer.coverage.chars_unread == flying.chars
    assert [(one.slice, one.reason) for one in answer.failures] == [(flying.id, "cancelled by a person")]
    await plays(answer, store)
    rest = Held()
    again = await Swarm(rest, store=store).resume("run")
    assert not rest.reads
    assert (again.status, again.coverage) == (answer.status, answer.coverage)
    assert show("run", store).run.status == "partial"
    await plays(again, store)


async def test_a_slice_that_was_cancelled_before_its_turn_never_begins(corpus: Path, store: Path) -> None:
    first = Held(is_read)
    run = Watching(Swarm(first, store=store, concurrency=1), ask(corpus))
    await first.until(lambda: first.waiting == 1)
    run.running.cancel()
    await asyncio.wait([run.running])
    with open_store(store, read_only=True) as opened:
        from swarm.coordinator.records import corpus_of, slices_of

        known = corpus_of(opened.journal, "run")
        assert known is not None
        last = list(slices_of(opened.journal, "run", known))[-1]
    with closing(FileMailbox(store)) as mailbox:
        mailbox.post("run", request("cancel", slice_=last.id))
    model = Held()
    answer = await Swarm(model, store=store).resume("run")
    assert answer.coverage.chars_unread == last.chars
    spans = {span for prompt in model.reads for passage in prompt.passages for span in [passage.span]}
    assert all(not (span.source == last.spans[0].source and span.start == last.spans[0].start) for span in spans)
    await plays(answer, store)


async def test_what_is_cancelled_ends_alone_and_a_time_out_of_its_own_passes_through() -> None:
    steering = Steering()
    never = asyncio.Event()
    one = asyncio.create_task(steering.work("one", never.wait))
    other = asyncio.create_task(steering.work("other", never.wait))
    await asyncio.sleep(0)
    steering.cancel("one")
    steering.cancel("one")
    with pytest.raises(SliceCancelled):
        await one
    with pytest.raises(SliceCancelled):
        await steering.work("one", never.wait)
    assert not other.done()
    never.set()
    assert await other

    async def slow() -> None:
        async with asyncio.timeout(0):
            await asyncio.Event().wait()

    with pytest.raises(TimeoutError):
        await steering.work("third", slow)
    third = asyncio.create_task(steering.work("fourth", asyncio.Event().wait))
    await asyncio.sleep(0)
    third.cancel()
    with pytest.raises(asyncio.CancelledError):
        await third


async def test_an_item_of_a_table_names_its_slice_where_it_has_one(corpus: Path, store: Path) -> None:
    path = str(corpus / "house-3.md")
    for questions in (("Where is the key?",), ("Where is the key?", "Who was there?")):
        task = Task(
            questions=questions, paths=(str(corpus),), output="table", slicing="source", limits=Limits(slices=1)
        )
        run = f"run of {len(questions)}"
        await Swarm(Held(window=20_000), store=store).run(task, run_id=run)
        if len(questions) == 1:
            assert tell(run, "cancel", slice_name=path, store=store).taken is False
            assert len(FileMailbox(store).waiting(run)) == 1
        else:
            with pytest.raises(UsageError, match="may be any of 2 slices"):
                tell(run, "cancel", slice_name=path, store=store)
    with pytest.raises(UsageError, match="has no slice s:"):
        tell("run of 1", "cancel", slice_name="s", store=store)


# Requests


async def test_a_request_that_is_taken_twice_counts_once(corpus: Path, store: Path) -> None:
    model = Held(is_read)
    run = Watching(Swarm(model, store=store, concurrency=2), ask(corpus))
    await model.until(lambda: model.waiting == 2)
    asked = request("steer", text=SAID)
    with closing(FileMailbox(store)) as mailbox:
        mailbox.post("run", asked)
        await run.until(Steered)
        mailbox.post("run", asked)
        mailbox.post("run", request("pause", session=1))
        await run.until(Paused)
        mailbox.post("run", request("go_on", session=1))
        await run.until(WentOn)
        mailbox.post("run", request("go_on", session=2))  # of another time
    model.opened.set()
    answer = await run.answer()
    assert len(run.seen(Steered)) == 1
    judged = next(prompt for prompt in model.calls if isinstance(prompt, JudgePrompt))
    assert judged.said == (SAID,)
    await plays(answer, store)


async def test_a_mailbox_that_cannot_be_read_ends_no_run(
    corpus: Path, store: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store.with_name(f"{store.name}.mail").write_text("in the way")
    answer = await Swarm(Held(), store=store).run(ask(corpus), run_id="run")
    assert answer.complete


async def test_a_run_that_is_steered_by_many_at_once_takes_all_of_it(corpus: Path, store: Path) -> None:
    model = Held(is_read)
    run = Watching(Swarm(model, store=store, concurrency=2), ask(corpus, limits=Limits(rounds=1)))
    await model.until(lambda: model.waiting == 2)
    asked: list[Request] = [request("steer", text=f"Mind {number}.") for number in range(250)]
    with closing(FileMailbox(store)) as mailbox:
        for one in asked:
            mailbox.post("run", one)
        await run.until(Steered, 250)
    model.opened.set()
    answer = await run.answer()
    with open_store(store, read_only=True) as opened:
        assert opened.journal.keys("run", "instruction") == [one.id for one in asked]
    await plays(answer, store)
