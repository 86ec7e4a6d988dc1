"""What a run is said to come to, against what it came to: whole runs over a provider on this machine."""

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from swarm.models.base import Price
from swarm.models.scripted import Scripted
from swarm.run import Swarm
from swarm.task import Answer, Estimate, Limits, Output, Task
from swarm.testing.provider import Provider

FACTOR = 2.5
"""What is likely is within this factor of what comes: calls and input tokens, of runs with a mimic for a model."""
PRICES = 'as_of = 2026-11-20\n["openai:any"]\ninput = 2.0\noutput = 10.0\n'
QUESTION = "Where is the key of the house?"


@pytest.fixture
def provider(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Provider]:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test-0123456789")
    (tmp_path / "prices.toml").write_text(PRICES)
    monkeypatch.setenv("SWARM_PRICES", str(tmp_path / "prices.toml"))
    with Provider() as provider:
        yield provider


@pytest.fixture
def connect(provider: Provider, tmp_path: Path) -> Callable[..., Swarm]:
    def make(window: int = 8_192, store: str = "store.db", **settings: object) -> Swarm:
        where = {"base_url": provider.openai_url, "store": tmp_path / store}
        return Swarm("openai:any", window=window, **where, **settings)  # type: ignore[arg-type]

    return make


def write_corpus(folder: Path, files: int) -> Path:
    folder.mkdir()
    for number in range(files):
        lines = [f"It rained on day {n} of the year {number}, and nobody went out." for n in range(200)]
        lines[number % 200] += f" The key of house {number} is under stone {number}."
        (folder / f"{number:03}.txt").write_text("\n\n".join(lines))
    return folder


def task(folder: Path, output: Output, **limits: object) -> Task:
    questions = () if output == "digest" else (QUESTION,)
    slicing = "source" if output == "table" else "window"
    given = Limits(cost_usd=1_000.0, **limits)  # type: ignore[arg-type]
    return Task(questions=questions, paths=(str(folder),), output=output, slicing=slicing, limits=given)


def is_near(estimate: Estimate, answer: Answer) -> None:
    for likely, came in (
        (estimate.likely.calls, answer.usage.calls),
        (estimate.likely.input_tokens, answer.usage.input_tokens),
    ):
        assert came / FACTOR <= likely <= came * FACTOR, (estimate, answer.usage)


def is_bound(estimate: Estimate, answer: Answer) -> None:
    most, came = estimate.most, answer.usage
    assert came.calls <= most.calls
    assert came.input_tokens <= most.input_tokens
    assert came.output_tokens <= most.output_tokens
    assert came.cost_usd <= most.cost_usd


@pytest.mark.parametrize("files", [1, 8])
@pytest.mark.parametrize("output", ["answer", "table", "digest"])
async def test_what_is_likely_is_near_what_comes_and_the_most_is_never_passed(
    connect: Callable[..., Swarm], tmp_path: Path, output: Output, files: int
) -> None:
    asked = task(write_corpus(tmp_path / "notes", files), output)
    estimate = await connect().estimate(asked)
    answer = await connect().run(asked)
    assert answer.stopped is None
    assert estimate.slices == answer.slices
    is_near(estimate, answer)
    is_bound(estimate, answer)


async def test_an_estimate_spends_nothing_and_makes_no_run(
    connect: Callable[..., Swarm], provider: Provider, tmp_path: Path
) -> None:
    from swarm.store.opening import open_store

    await connect().estimate(task(write_corpus(tmp_path / "notes", 2), "answer"))
    assert provider.requests == []
    with open_store(tmp_path / "store.db", read_only=True) as store:
        assert store.journal.accounts() == []


async def test_the_dollars_are_those_of_the_price_and_its_day_is_told(
    connect: Callable[..., Swarm], tmp_path: Path
) -> None:
    estimate = await connect().estimate(task(write_corpus(tmp_path / "notes", 4), "answer"))
    likely = estimate.likely
    assert likely.cost_usd == pytest.approx((likely.input_tokens * 2 + likely.output_tokens * 10) / 1e6)
    assert estimate.prices == ("openai:any: $2 in and $10 out for a million tokens, of 2026-11-20 (prices.toml)",)
    assert estimate.assumptions


async def test_of_a_run_that_goes_on_only_what_is_left_is_estimated(
    connect: Callable[..., Swarm], tmp_path: Path
) -> None:
    asked = task(write_corpus(tmp_path / "notes", 12), "answer")
    whole = await connect().estimate(asked)
    seen: list[Estimate] = []
    half = replace(asked, limits=replace(asked.limits, calls=whole.slices // 2))
    first = await connect().run(half, run_id="one")
    assert "calls" in (first.stopped or "")

    def approve(estimate: Estimate) -> bool:
        seen.append(estimate)
        return True

    last = await connect(approve=approve).run(asked, run_id="one")
    assert last.stopped is None
    (rest,) = seen
    assert rest.slices < whole.slices * 0.7
    assert rest.spent.calls == first.usage.calls
    left = last.usage.calls - first.usage.calls
    assert left / FACTOR <= rest.likely.calls <= left * FACTOR


@pytest.mark.parametrize(
    ("limit", "value"), [("calls", 6), ("tokens", 40_000), ("cost_usd", 0.08), ("slices", 5), ("wall_seconds", 1)]
)
async def test_a_limit_that_the_run_would_stop_at_is_named_with_the_share_that_it_allows(
    connect: Callable[..., Swarm], tmp_path: Path, limit: str, value: float
) -> None:
    asked = task(write_corpus(tmp_path / "notes", 12), "answer")
    tight = replace(asked, limits=replace(asked.limits, **{limit: value}))
    over = (await connect().estimate(tight)).over_limit
    assert over is not None
    assert over.limit == limit
    assert 0 < over.share < 1
    assert (await connect().estimate(asked)).over_limit is None


async def test_speeds_that_are_limited_make_a_run_longer(connect: Callable[..., Swarm], tmp_path: Path) -> None:
    folder = write_corpus(tmp_path / "notes", 12)
    quick = await connect().estimate(task(folder, "answer"))
    slow = await connect().estimate(task(folder, "answer", requests_per_minute=1))
    assert slow.minutes == pytest.approx(slow.likely.calls)
    assert quick.minutes < 2


async def test_it_costs_little_once_the_corpus_was_cut(tmp_path: Path) -> None:
    folder = tmp_path / "notes"
    folder.mkdir()
    for number in range(10):
        lines = (f"On day {n} of year {number} the mill at the river ground {n * 7} sacks." for n in range(16_000))
        (folder / f"{number}.txt").write_text("\n\n".join(lines))  # ten files of a megabyte
    price = Price(input_usd=2.0, output_usd=10.0, cached_usd=0.2)
    swarm = Swarm(Scripted({}, price=price), store=tmp_path / "store.db")
    asked = task(folder, "answer")
    await swarm.estimate(asked)
    began = time.perf_counter()
    estimate = await swarm.estimate(asked)
    assert time.perf_counter() - began < 10.0
    assert estimate.slices > 50
