"""A rehearsal works a recipe for real, in a time of its own, and scales what it saw to the whole."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from swarm.errors import ModelError, UsageError
from swarm.models.prices import known
from swarm.task import Limits, Task
from swarm.testing.ability import Ability
from swarm.testing.allowance import Allowance
from swarm.testing.forecast import Forecast, forecast
from swarm.testing.latency import Delays
from swarm.testing.rehearsal import Rehearsal, rehearse
from swarm.testing.simulated import Simulated

QUESTION = "Where is the key?"
MODEL = "anthropic:claude-sonnet-5-5"
SETTINGS = Simulated(
    delays=Delays(median_seconds=3, sigma=0.5, token_seconds=0.02), ability=Ability(most_findings=6)
)
WINDOW = 8_000


@pytest.fixture(scope="module")
def notes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Some forty slices of a window of 8,000 tokens. Their paths are the same in every run, since they are in the
    prompts and the dice go by those."""
    folder = Path("notes")
    patch = pytest.MonkeyPatch()
    patch.chdir(tmp_path_factory.mktemp("rehearsed"))
    folder.mkdir()
    for number in range(8):
        days = [f"It rained on day {n} of the year {number}, and nobody went out to the pier." for n in range(400)]
        (folder / f"{number}.txt").write_text("\n\n".join([*days, f"The key is under stone {number}."]))
    yield folder
    patch.undo()


Whole = tuple[Rehearsal, Forecast]
Make = Callable[..., Whole]


@pytest.fixture(scope="module")
def whole(made: Make) -> Whole:
    """All of it."""
    return made(calls=1_000)


@pytest.fixture(scope="module")
def made(notes: Path) -> Make:
    """Rehearse one question, and what it comes to."""

    def make(*, limits: Limits | None = None, task: dict[str, Any] | None = None, **options: Any):
        given = {"questions": (QUESTION,), "paths": (str(notes),), "limits": limits or Limits()} | (task or {})

        async def work(swarm):
            return await swarm.run(Task(**given))

        rehearsal = rehearse(work, **{"settings": SETTINGS, "model": MODEL, "window": WINDOW} | options)
        return rehearsal, forecast(rehearsal)

    return make


def test_a_whole_rehearsal_has_the_calls_tokens_dollars_and_minutes_of_the_run(whole: Whole) -> None:
    rehearsal, made_ = whole
    (run,) = rehearsal.runs
    assert run.answer.status == "answered"
    assert made_.usage.calls == run.answer.usage.calls == len(run.calls)
    assert made_.usage.cost_usd == pytest.approx(run.answer.usage.cost_usd)
    assert made_.slices == run.worked == run.planned > 12
    assert (made_.share, made_.cut_off, made_.stopped) == (1.0, False, ())
    price = known("anthropic", "claude-sonnet-5-5").price
    assert made_.usage.cost_usd > price.cost(made_.usage.input_tokens, made_.usage.output_tokens) * 0.9
    assert WINDOW * 0.5 < made_.largest <= made_.window == WINDOW
    assert {"plan", "read", "judge", "answer"} <= set(made_.kinds)
    busy = sum(call.seconds for call in run.calls) / 60
    assert busy / run.places < made_.minutes < busy


def test_a_sample_comes_close_to_the_whole_and_says_that_it_is_one(made: Make, whole: Whole) -> None:
    all_of_it, sampled = whole[1], made(calls=6)[1]
    assert sampled.slices == all_of_it.slices
    assert sampled.share == pytest.approx(6 / all_of_it.slices)
    assert sampled.sent < all_of_it.sent / 1.5
    assert sampled.kinds["read"].calls == pytest.approx(all_of_it.kinds["read"].calls, rel=0.1)
    assert sampled.usage.input_tokens == pytest.approx(all_of_it.usage.input_tokens, rel=0.15)
    assert sampled.usage.cost_usd == pytest.approx(all_of_it.usage.cost_usd, rel=0.25)
    assert sampled.minutes == pytest.approx(all_of_it.minutes, rel=0.4)


def test_it_repeats_with_its_seed_and_is_another_with_another(made: Make) -> None:
    settings = replace(SETTINGS, errors={"529": 0.1, "invalid": 0.1}, ability=Ability(recall=0.5, fabricates=0.3))
    first, again = made(settings=settings, calls=10)[1], made(settings=settings, calls=10)[1]
    assert (first.usage, first.met, first.rejected) == (again.usage, again.met, again.rejected)
    assert first.minutes == pytest.approx(again.minutes)
    other = made(settings=replace(settings, seed=8), calls=10)[1]
    assert (other.usage, other.rejected) != (first.usage, first.rejected)


def test_twice_the_latency_is_twice_the_minutes_and_this_machine_counts_for_nothing(
    made: Make, notes: Path
) -> None:
    fast = replace(SETTINGS, delays=Delays(median_seconds=2))
    slow = replace(SETTINGS, delays=Delays(median_seconds=4))
    task = {"paths": (str(notes / "1.txt"),)}
    once, twice = (made(settings=each, task=task)[1].minutes for each in (fast, slow))
    assert twice == pytest.approx(2 * once)

    async def work(swarm):
        time.sleep(0.5)  # noqa: ASYNC251 - blocks on purpose
        return await swarm.run(Task(questions=(QUESTION,), paths=task["paths"]))

    dawdled = forecast(rehearse(work, settings=fast, model=MODEL, window=WINDOW)).minutes
    assert dawdled == pytest.approx(once)


def test_a_limit_that_stops_it_is_told_with_what_would_do(made: Make) -> None:
    rehearsal, limited = made(limits=Limits(cost_usd=0.15), calls=1_000)
    (stop,) = limited.stopped
    assert (stop.limit, stop.value) == ("cost_usd", 0.15)
    assert 0 < stop.share < 1
    assert limited.usage.cost_usd > 0.15, "what it would come to without the limit"
    assert stop.enough is not None
    assert stop.enough >= limited.usage.cost_usd
    assert made(limits=Limits(cost_usd=stop.enough * 1.1), calls=1_000)[1].stopped == ()
    assert rehearsal.runs[0].limits.cost_usd == 0.15


def test_a_limit_beyond_the_sample_is_seen_all_the_same(made: Make, whole: Whole) -> None:
    _, sampled = made(limits=Limits(calls=whole[1].usage.calls // 2), calls=4)
    (stop,) = sampled.stopped
    assert stop.limit == "calls"
    assert stop.share == pytest.approx(0.5, abs=0.1)


def test_the_rates_of_the_user_and_of_the_provider_set_the_pace(made: Make) -> None:
    _, paced = made(limits=Limits(requests_per_minute=6), calls=3)
    assert paced.minutes >= paced.paced_minutes == pytest.approx(paced.usage.calls / 6)
    _, allowed = made(settings=replace(SETTINGS, rates=Allowance(requests=6)), calls=6)
    assert allowed.minutes >= allowed.paced_minutes == pytest.approx(allowed.usage.calls / 6)
    assert allowed.met.get("429", 0) <= 1, "the rates are learnt from the headers"


def test_errors_are_counted_and_cost_what_they_cost(made: Make) -> None:
    settings = replace(SETTINGS, errors={"529": 0.3, "cut": 0.3})
    rehearsal, made_ = made(settings=settings, calls=12)
    assert made_.met["529"] + made_.met["cut"] == len(rehearsal.runs[0].calls) - sum(
        call.outcome == "answered" for call in rehearsal.runs[0].calls
    )
    assert made_.again_usd > 0
    assert made_.kinds["in doubt"].calls > 0


def test_quotes_that_are_made_up_are_rejected(made: Make) -> None:
    settings = replace(SETTINGS, ability=Ability(fabricates=1.0))
    _, made_ = made(settings=settings, task={"questions": ("Did it rain on the pier?",)}, calls=6)
    assert made_.rejected > 0
    assert made_.findings == 0


def test_work_is_rehearsed_by_a_plan_of_the_stand_ins_and_ended_after_so_many_calls(
    made: Make, notes: Path
) -> None:
    few = {
        "questions": ("List the stones.",),
        "mode": "work",
        "paths": (str(notes / "1.txt"), str(notes / "2.txt")),
    }
    _, worked = made(task=few, window=32_000)
    assert {"outline", "work", "assess"} <= set(worked.kinds)
    assert (worked.cut_off, worked.stopped) == (False, ())
    _, cut = made(task=few, window=32_000, calls=3)
    assert cut.cut_off
    assert cut.stopped == ()


def test_a_recipe_with_several_runs_is_the_sum_of_them_and_what_is_known_is_not_paid_again(notes: Path) -> None:
    async def work(swarm):
        for question in (QUESTION, "Did it rain?", QUESTION):
            answer = await swarm.run(Task(questions=(question,), paths=(str(notes / "1.txt"),)))
        return answer

    rehearsal = rehearse(work, settings=SETTINGS, model=MODEL, window=WINDOW)
    first, second, third = rehearsal.runs
    assert first.answer.usage.calls > 0
    assert second.answer.usage.calls > 0
    assert third.answer.usage.calls == 0
    assert forecast(rehearsal).usage.calls == first.answer.usage.calls + second.answer.usage.calls


def test_another_model_reads_at_its_own_price_and_both_prices_are_told(made: Make, notes: Path) -> None:
    rehearsal, made_ = made(reader="openai:gpt-6-luna", calls=4, task={"paths": (str(notes / "1.txt"),)})
    assert [price.split(": ")[0] for price in rehearsal.prices] == [MODEL, "openai:gpt-6-luna"]
    (run,) = rehearsal.runs
    assert {call.kind: call.model for call in run.calls}["read"] == "openai:gpt-6-luna"
    assert {call.kind: call.model for call in run.calls}["answer"] == MODEL
    assert made_.kinds["read"].cost_usd > 0


def test_a_fallback_is_rehearsed_as_one(made: Make) -> None:
    settings = replace(SETTINGS, errors={"refusal": 0.5})
    rehearsal, _ = made(model=f"{MODEL}|openai:gpt-6-luna", settings=settings, calls=6)
    assert {call.model for call in rehearsal.runs[0].calls} == {MODEL, "openai:gpt-6-luna"}


def test_what_asks_no_provider_has_nothing_to_rehearse(made: Make) -> None:
    with pytest.raises(UsageError, match="nothing to rehearse"):
        made(model="extractive")
    with pytest.raises(ModelError, match="cannot be rehearsed: name the same model as"):
        made(model="langchain:openai/gpt-5")


def test_a_window_that_holds_nothing_is_told_as_in_a_run(made: Make) -> None:
    with pytest.raises(UsageError, match="window"):
        made(window=900)
