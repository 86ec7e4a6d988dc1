"""The recipe `vote`: a chain of steps, each right though single replies are not, by simulated workers that err."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from swarm import Answer, Limits, RecipeError, Swarm
from swarm.errors import ModelError, UsageError
from swarm.history import show
from swarm.models.scripted import Scripted
from swarm.prompts.typed import WorkPrompt
from swarm.recipe import find, load

SCHEMA = {"type": "object", "required": ["sum"], "properties": {"sum": {"type": "integer"}}}


class Adder:
    """SIMULATED: adds what its step says to the state that it sees. One reply in `wrong` is, one more in form."""

    def __init__(self, wrong: int = 5) -> None:
        self.replies, self._wrong = 0, wrong
        self.seen: list[WorkPrompt] = []
        self.model = Scripted({"work": self._work, "answer": {"answerable": False}})

    def _work(self, prompt: Any) -> dict[str, Any]:
        self.replies += 1
        self.seen.append(prompt)
        state = json.loads(prompt.outcomes[0].text)["sum"]
        result = json.dumps({"sum": state + int(prompt.objective.split()[1])})
        if self.replies % self._wrong == 0:
            result = json.dumps({"sum": state - self.replies})
        if self.replies % self._wrong == 1:
            result = f"I think that it is {result}"
        return {"status": "done", "result": result, "summary": "added"}


class Chain:
    def __init__(self, folder: Path) -> None:
        self.folder, self.store = folder, folder / "swarm.db"
        self.schema = folder / "state.json"
        self.schema.write_text(json.dumps(SCHEMA))
        self.adder = Adder()
        self.recipe = load(find("vote"))

    def steps(self, text: str, name: str = "steps.txt") -> Path:
        path = self.folder / name
        path.write_text(text)
        return path

    async def run(self, steps: Path, **options: Any) -> Answer:
        usual: dict[str, Any] = {"steps": steps, "schema": self.schema, "start": '{"sum": 0}'}
        answer = await self.recipe.run(Swarm(self.adder.model, store=self.store), [], **(usual | options))
        assert answer is not None
        return answer


@pytest.fixture
def chain(tmp_path: Path) -> Chain:
    return Chain(tmp_path)


async def test_all_steps_come_out_right_though_one_reply_in_five_is_wrong(chain: Chain, capsys: Any) -> None:
    answer = await chain.run(chain.steps("\n".join(f"add {n}" for n in range(1, 31))), lead=3)
    assert json.loads(answer.text) == {"sum": sum(range(1, 31))}
    account = show(answer.run_id, chain.store).plan
    assert account is not None
    assert account.discarded > 0
    assert (
        f"{account.votes} votes for 30 steps with a lead of 3, {account.discarded} replies"
        in capsys.readouterr().out
    )


async def test_a_step_sees_its_instruction_the_rules_and_the_state_before_and_nothing_else(chain: Chain) -> None:
    await chain.run(chain.steps("add 1\nadd 2\nadd 3\n"), lead=1, instructions="States are sums.")
    last = chain.adder.seen[-1]
    assert (last.objective, [one.name for one in last.outcomes], last.shown) == ("add 3", ["step 2"], ())
    assert last.instructions.endswith("States are sums.")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("s.txt", "# a chain\n\nadd 1\n  add 2\n"),
        ("s.jsonl", '"add 1"\n\n{"instruction": "add 2", "note": 7}\n'),
        ("s.csv", 'n,instruction\n1,add 1\n2,"add 2"\n'),
    ],
)
async def test_steps_come_as_lines_as_jsonl_or_as_csv(chain: Chain, name: str, text: str) -> None:
    answer = await chain.run(chain.steps(text, name), lead=2)
    assert json.loads(answer.text) == {"sum": 3}


async def test_the_lead_follows_from_the_steps_and_the_error(chain: Chain, capsys: Any) -> None:
    await chain.run(chain.steps("\n".join(["add 1"] * 20)), error=0.1)
    assert "with a lead of 3" in capsys.readouterr().out


async def test_a_chain_that_reached_a_limit_goes_on_and_asks_nothing_twice(chain: Chain) -> None:
    steps = chain.steps("\n".join(["add 1"] * 8))
    options = {"steps": steps, "schema": chain.schema, "start": '{"sum": 0}', "lead": 2}

    class Limited(Swarm):
        """As the command line does it: the same place of the same recipe is the same run."""

        limits = Limits(calls=9)

        async def run(self, task: Any, **more: Any) -> Answer:
            from dataclasses import replace

            return await super().run(replace(task, limits=self.limits), **(more | {"run_id": "run"}))

    swarm = Limited(chain.adder.model, store=chain.store)
    stopped = await chain.recipe.run(swarm, [], **options)
    assert stopped is not None
    assert (stopped.status, stopped.limit) == ("partial", "calls")
    Limited.limits = Limits(calls=1_000)
    answer = await chain.recipe.run(swarm, [], **options)
    assert answer is not None
    assert json.loads(answer.text) == {"sum": 8}
    assert answer.usage.calls == len(chain.adder.model.calls)


@pytest.mark.parametrize(
    ("text", "name", "options", "says"),
    [
        ("", "s.txt", {}, "holds no step: write one a line"),
        ("{broken", "s.jsonl", {}, r"s\.jsonl:1 is no JSON"),
        ('{"text": "add 1"}', "s.jsonl", {}, r"s\.jsonl:1 holds no instruction"),
        ("a,b\n1,2\n", "s.csv", {}, 'has no column "instruction", but a, b'),
        ("add 1", "s.txt", {"lead": 2, "error": 0.1}, "give one of them"),
        ("add 1", "s.txt", {"lead": 0}, "--lead 0: 1 takes the first reply"),
        ("add 1", "s.txt", {"error": 0.5}, "--error: error is 0.5"),
    ],
)
async def test_what_is_wrong_with_the_steps_is_told_in_one_line(
    chain: Chain, text: str, name: str, options: dict[str, Any], says: str
) -> None:
    with pytest.raises(RecipeError, match=says):
        await chain.run(chain.steps(text, name), **options)
    assert not chain.adder.replies


async def test_files_that_are_not_there_and_models_that_cannot_are_told_in_one_line(chain: Chain) -> None:
    with pytest.raises(RecipeError, match=r"--steps .* cannot be read"):
        await chain.run(chain.folder / "nowhere.txt")
    steps = chain.steps("add 1")
    with pytest.raises(RecipeError, match=r"--schema .* cannot be read"):
        await chain.run(steps, schema=chain.folder / "nowhere.json")
    chain.schema.write_text('{"type": 7}')
    with pytest.raises(UsageError, match="its schema is broken"):
        await chain.run(steps)
    with pytest.raises(ModelError, match="name a language model with --model"):
        await chain.recipe.run(Swarm("extractive", store=chain.store), [], steps=steps)
