"""The simulated worker of small steps answers from the text of its request alone, errs as told, and takes no more
than its window holds; and what the long-run benchmark is measured against forgets as it says."""

from __future__ import annotations

import asyncio
import json
import math
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from swarm import Answer, Swarm, Task
from swarm.errors import PromptTooLong
from swarm.models.language import schema_text
from swarm.program import Vote
from swarm.prompts.render import render
from swarm.prompts.replies import WorkReply
from swarm.prompts.typed import Outcome, Repair, WorkPrompt
from swarm.testing.skills import Hanoi, Registers
from swarm.testing.steps import Steps
from swarm.tokens import o200k

sys.path.append(str(BENCH := Path(__file__).parents[1] / "bench"))
from long_conversations import Conversation
from long_worlds import (
    DISCS,
    WORLDS,
    Score,
    Step,
    World,
    final_errors,
    hanoi,
    hanoi_state,
    registers,
    score,
)

worlds = pytest.mark.parametrize("name", WORLDS)


def prompt_of(world: World, step: Step, results: dict[str, str], **other: Any) -> WorkPrompt:
    return WorkPrompt(
        question=world.goal,
        shown=(),
        objective=step.text,
        basis=(step.name,),
        instructions=world.rules,
        schema=json.dumps(world.schema),
        outcomes=tuple(Outcome(name=name, text=results[name]) for name in step.needs),
        **other,
    )


async def ask(model: Steps, prompt: WorkPrompt) -> str:
    """The result, or nothing where the reply is wrong in form."""
    completion = await model.call(prompt, max_output=512)
    assert completion.usage.input_tokens == model.count(prompt)
    try:
        return WorkReply.model_validate_json(completion.text).result
    except ValueError:
        return ""


async def drive(world: World, model: Steps, count: int) -> dict[str, str]:
    """Each step once, in order; asked again where the reply is wrong in form."""
    results: dict[str, str] = {}
    for step in world.steps(count):
        prompt = prompt_of(world, step, results)
        while not (result := await ask(model, prompt)) or "I think" in result:
            pass
        results[step.name] = result
    return results


@worlds
async def test_without_errors_every_step_is_right(name: str) -> None:
    world = WORLDS[name]()
    results = await drive(world, Steps(error=0.0), 400)
    found = score(world, 400, results)
    assert (found.wrong, found.wrong_items, found.missing) == (0, 0, 0)
    assert final_errors(world, 400, results) == 0


async def test_the_towers_are_solved_whole_with_an_even_and_an_odd_number_of_discs() -> None:
    for discs in (4, 5):
        results = await drive(hanoi(discs), Steps(error=0.0), 1_000)
        assert len(results) == 2**discs - 1
        assert json.loads(results[f"s{len(results)}"])["pegs"] == [[], [], list(range(discs, 0, -1))]


def test_the_state_after_any_number_of_moves_is_known_by_formula() -> None:
    world = hanoi()
    state = dict(world.start)
    for number, step in enumerate(world.steps(5_000), start=1):
        world.state(state, step.true)
        if number % 97 == 0:
            assert state == hanoi_state(number)
    assert set(hanoi_state(2**DISCS - 1).values()) == {2}


def test_a_step_needs_the_last_steps_that_wrote_what_it_reads_and_no_others() -> None:
    writer: dict[str, str] = {}
    for step in registers().steps(2_000):
        assert set(step.needs) == {writer[name] for name in step.reads if name in writer}
        writer |= dict.fromkeys(step.true, step.name)


def test_the_same_orders_come_each_time_and_a_shorter_run_is_the_beginning_of_a_longer_one() -> None:
    for make in WORLDS.values():
        assert [*make().steps(300)] == [*make().steps(600)][:300]


@worlds
async def test_it_is_wrong_as_often_as_told_and_a_third_of_that_in_form(name: str) -> None:
    world, count = WORLDS[name](), 6_000
    model = Steps(error=0.05, seed=3)
    true = {step.name: json.dumps(step.true) for step in world.steps(count)}
    wrong = malformed = 0
    for step in world.steps(count):
        result = await ask(model, prompt_of(world, step, true))
        if not result or "I think" in result:
            malformed += 1
        elif json.loads(result) != step.true:
            wrong += 1
    assert (model.wrong, model.malformed_replies, model.replies) == (wrong, malformed, count)
    for seen, share in ((wrong, 0.05 * 2 / 3), (malformed, 0.05 / 3)):
        assert abs(seen - share * count) < 4 * math.sqrt(share * (1 - share) * count)


@worlds
async def test_a_wrong_result_is_of_the_form_of_a_right_one(name: str) -> None:
    world = WORLDS[name]()
    true = {step.name: json.dumps(step.true) for step in world.steps(300)}
    model = Steps(error=1.0, malformed=0.0)
    for step in world.steps(300):
        said = json.loads(await ask(model, prompt_of(world, step, true)))
        assert said != step.true
        assert said.keys() == step.true.keys()
        if name == "hanoi":
            assert sorted(disc for peg in said["pegs"] for disc in peg) == list(range(1, DISCS + 1))
            assert all(peg == sorted(peg, reverse=True) for peg in said["pegs"])


@worlds
async def test_errors_are_drawn_anew_each_time_unless_they_are_to_agree(name: str) -> None:
    world = WORLDS[name]()
    steps = [*world.steps(200)]
    true = {step.name: json.dumps(step.true) for step in steps}
    prompt = prompt_of(world, steps[150], true)
    apart = [await ask(Steps(error=1.0, malformed=0.0, seed=seed), prompt) for seed in range(30)]
    model = Steps(error=1.0, malformed=0.0)
    again = [await ask(model, prompt) for _ in range(30)]
    assert len(set(apart)) > 1
    assert len(set(again)) > 1
    agreeing = Steps(error=0.3, malformed=0.0, agree=True)
    votes = Counter([await ask(agreeing, prompt) for _ in range(300)])
    assert len(votes) == 2
    assert votes.most_common(1)[0][0] == json.dumps(steps[150].true, separators=(",", ":"))


async def test_the_same_prompts_asked_as_often_are_answered_the_same() -> None:
    world = registers()
    first, second, other = [await drive(world, Steps(error=0.3, seed=seed), 150) for seed in (1, 1, 2)]
    assert first == second != other


async def test_a_mistake_that_it_is_shown_is_carried_on() -> None:
    world = hanoi()
    first, second = world.steps(2)
    wrong = '{"move":[1,0,2],"pegs":[[20,19,18,17,16,15,14,13,12,11,10,9,8,7,6,5,4,3,2],[],[1]]}'
    result = json.loads(await ask(Steps(error=0.0), prompt_of(world, second, {first.name: wrong})))
    assert result["move"] == [2, 0, 1]
    assert result != second.true


def test_what_it_is_not_shown_it_does_not_know() -> None:
    assert Registers().solve("set r1 to r2 + r3; r2 is 5, r3 is from s7", "", {"s6": '{"r3":9}'}) == {"r1": 5}
    assert Registers().solve("set r1 to r2 + r3; r2 is 5, r3 is from s7", "", {"s7": '{"r3":9}'}) == {"r1": 14}
    assert Registers().solve("write a poem", "", {}) is None
    assert Hanoi().solve("write a poem", "", {}) is None


async def test_a_piece_that_is_no_step_is_handed_back() -> None:
    prompt = WorkPrompt(question="Verse", shown=(), objective="Write a poem.", basis=("poem",))
    completion = await Steps().call(prompt, max_output=512)
    assert WorkReply.model_validate_json(completion.text).status == "blocked"


async def test_a_reply_that_could_not_be_used_is_answered_again() -> None:
    world = registers()
    (step,) = world.steps(1)
    repair = Repair(
        text='{"status":"done","result":"<piece>\nset r1 to r2 + r2; r2 is 1\n</piece>', error="cut off"
    )
    assert json.loads(await ask(Steps(error=0.0), prompt_of(world, step, {}, repair=repair))) == step.true


@worlds
async def test_it_counts_no_less_than_it_is_sent_and_refuses_what_does_not_fit(name: str) -> None:
    world = WORLDS[name]()
    true = {step.name: json.dumps(step.true) for step in world.steps(50)}
    model = Steps()
    for step in world.steps(50):
        prompt = prompt_of(world, step, true)
        rendered = render(prompt)
        whole = "\n\n".join((rendered.system, *rendered.parts, schema_text(WorkReply)))
        assert o200k(whole) <= model.count(prompt) < 2_500
    long = prompt_of(world, step, true, notes="one more word " * 1_200)
    with pytest.raises(PromptTooLong):
        await model.call(long, max_output=512)
    small = Steps(window=model.count(prompt) + 511)
    with pytest.raises(PromptTooLong):
        await small.call(prompt, max_output=512)


async def test_an_endless_reply_is_cut_at_what_it_may_be() -> None:
    world = registers()
    (step,) = world.steps(1)
    model = Steps(error=1.0, malformed=1.0)
    outputs = [
        (await model.call(prompt_of(world, step, {}), max_output=200)).usage.output_tokens for _ in range(40)
    ]
    assert max(outputs) == 200


def test_a_conversation_that_is_truncated_forgets_registers_though_its_worker_never_errs() -> None:
    told = Conversation(world=registers(), error=0.0).run(1_000)
    assert told.unseen > 0
    assert told.wrong_items > 32
    assert told.first > 100, "what is in the window is known"


def test_a_conversation_that_is_summarised_keeps_all_of_it_while_nobody_errs() -> None:
    for make in WORLDS.values():
        told = Conversation(world=make(), error=0.0, summarised=True).run(3_000)
        assert (told.wrong, told.unseen, told.wrong_items) == (0, 0, 0)
        assert told.summaries > 5


@worlds
@pytest.mark.parametrize("summarised", [False, True])
def test_one_error_in_a_conversation_is_never_mended(name: str, summarised: bool) -> None:
    told = Conversation(world=WORLDS[name](), error=0.01, summarised=summarised).run(3_000)
    assert told.first < 1_000
    assert told.wrong > 1_500
    assert told.wrong_items > told.items // 4
    assert told.calls > 3_000, "what is wrong in form is asked for again"
    assert told == Conversation(world=WORLDS[name](), error=0.01, summarised=summarised).run(3_000)


@worlds
def test_no_turn_of_a_conversation_sees_more_than_the_window(name: str) -> None:
    for summarised in (False, True):
        talk = Conversation(world=WORLDS[name](), summarised=summarised)
        for number, step in enumerate(talk.world.steps(600), start=1):
            talk._turn(number, step)
            assert talk.rules + talk.used <= talk.window


async def work(
    world: World, count: int, model: Steps, vote: Vote | None, store: Path, run_id: str = "run"
) -> tuple[Answer, Score]:
    """Run the steps by Swarm itself, and look at each."""
    scores: list[Score] = []

    def answer(results: Mapping[str, str]) -> str:
        scores.append(score(world, count, results))
        return f"{final_errors(world, count, results)} are wrong"

    task = Task(questions=(world.goal,), paths=(), mode="work")
    said = await Swarm(model, store=store, concurrency=8).run(
        task, run_id=run_id, plan=world.program(count, vote, answer)
    )
    return said, scores[-1]


@worlds
async def test_a_run_that_votes_ends_without_an_error(name: str, tmp_path: Path) -> None:
    world, model = WORLDS[name](), Steps(error=0.05, seed=1)
    said, found = await work(world, 300, model, Vote.for_steps(300, 0.05), tmp_path / "swarm.db")
    assert said.complete, said.stopped
    assert said.text == "0 are wrong"
    assert (found.wrong, found.missing) == (0, 0)
    assert model.wrong > 0
    assert model.malformed_replies > 0
    assert said.usage.calls == model.replies >= 3 * 300


@worlds
async def test_a_run_that_does_not_vote_carries_its_errors_on(name: str, tmp_path: Path) -> None:
    world, model = WORLDS[name](), Steps(error=0.05, seed=1)
    said, found = await work(world, 300, model, None, tmp_path / "swarm.db")
    assert said.complete, said.stopped
    assert found.missing == 0, "what is wrong in form is mended"
    assert found.own == model.wrong > 0
    assert found.wrong > found.own
    assert said.text == f"{found.wrong_items} are wrong"


KILLED = """
import asyncio, os, signal, sys
sys.path.insert(0, sys.argv[1])
from long_worlds import WORLDS
from swarm import Swarm, Task
from swarm.program import Vote
from swarm.testing.steps import Steps

class Mortal(Steps):
    async def call(self, prompt, *, max_output):
        if self.replies == 500:
            os.kill(os.getpid(), signal.SIGKILL)
        return await super().call(prompt, max_output=max_output)

world = WORLDS[sys.argv[2]]()
task = Task(questions=(world.goal,), paths=(), mode="work")
program = world.program(300, Vote(lead=3), lambda results: "")
asyncio.run(Swarm(Mortal(error=0.05), store=sys.argv[3], concurrency=8).run(task, run_id="run", plan=program))
"""


@worlds
async def test_a_run_that_is_killed_goes_on_to_the_same_state(name: str, tmp_path: Path) -> None:
    store = tmp_path / "swarm.db"
    command = [sys.executable, "-c", KILLED, BENCH, name, store]
    dead = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True)
    assert dead.returncode == -signal.SIGKILL, dead.stderr
    world, model = WORLDS[name](), Steps(error=0.05, seed=1)
    said, found = await work(world, 300, model, Vote(lead=3), store)
    assert said.complete, said.stopped
    assert said.text == "0 are wrong"
    assert (found.wrong, found.missing) == (0, 0)
    assert 300 * 3 - 500 <= model.replies < 300 * 3 * 1.3 - 500 + 8 * 3, "what was answered is not asked again"
