"""What an experiment measures, and when a win counts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from swarm.equipment import Bounds, Ran, ToolFailed
from swarm.errors import UsageError
from swarm.experiments.measure import (
    Bar,
    decide,
    measure,
    noise,
    pooled,
    run_once,
    size_of,
    told_command,
    yardstick,
)

LOSS = yardstick(r"loss: (\S+)")


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


class Place:
    """Runs nothing: says what it is told to say for each seed, and keeps what it was asked."""

    def __init__(self, says: Callable[[int], str | Ran]) -> None:
        self._says = says
        self.path = Path.cwd()
        self.seeds: list[int] = []
        self.commands: list[str] = []

    async def run(self, command: str, bounds: Bounds | None = None) -> Ran:
        words = dict(word.split("=") for word in command.split() if word.startswith("EXPERIMENT"))
        self.seeds.append(int(words["EXPERIMENT_SEED"]))
        self.commands.append(command)
        said = self._says(self.seeds[-1])
        return said if isinstance(said, Ran) else Ran(exit=0, output=said, output_bytes=len(said), seconds=0.5)


async def measured(place: Place, bar: Bar | None, *, replicates: int = 2, size=(10, 100), spread: float = 0.0):
    return await measure(
        place, "run it", LOSS, seconds=2, replicates=replicates, bar=bar, size=size, spread=spread
    )


BAR = Bar(value=2.0, runs=3, size=(10, 100))


def test_the_last_match_is_the_metric_and_what_is_not_finite_is_none() -> None:
    assert LOSS.read("loss: 3\nloss: 2.5\n") == 2.5
    assert LOSS.read("no such thing") is None
    assert LOSS.read("loss: nan") is None
    assert LOSS.read("loss: inf") is None
    assert LOSS.read("loss: soon") is None
    assert LOSS.name == "loss"
    assert yardstick(r"^(?:val_acc)\s+([\d.]+)$", "max").name == "val_acc"


@pytest.mark.parametrize("pattern", ["loss: .*", "(a)(b)", "loss: (", ""])
def test_a_pattern_without_just_one_group_is_refused(pattern: str) -> None:
    with pytest.raises(UsageError, match="the metric"):
        yardstick(pattern)


def test_a_command_that_is_none_is_refused() -> None:
    for command in ("", "  ", "echo 'open"):
        with pytest.raises(UsageError, match="--command"):
            told_command(command)


async def test_a_loss_at_the_first_look_costs_one_run() -> None:
    place = Place(lambda _: "loss: 2.1")
    found = await measured(place, BAR)
    assert (place.seeds, found.better, found.value) == ([0], False, 2.1)


async def test_a_win_counts_only_after_it_was_replicated_with_other_seeds() -> None:
    place = Place(lambda seed: "loss: 1.0" if seed == 0 else f"loss: 2.{seed}")
    found = await measured(place, BAR)
    assert (place.seeds, found.better, found.values) == ([0, 1, 2], False, (2.1, 2.2))
    place = Place(lambda seed: f"loss: 1.{seed}")
    found = await measured(place, BAR)
    assert found.better
    assert found.value == pytest.approx(1.15)  # the lucky look is left out


async def test_a_win_that_is_less_than_noise_is_none() -> None:
    place = Place(lambda seed: "loss: 1.95")
    assert (await measured(place, BAR, spread=0.001)).better
    found = await measured(place, BAR, spread=0.2)
    assert not found.better
    assert "may be chance" in found.why


async def test_of_two_that_measure_the_same_the_simpler_wins_and_does_not_have_to_be_better() -> None:
    place = Place(lambda seed: "loss: 2.01")
    assert (await measured(place, BAR, size=(9, 90), spread=0.1)).why == "as good, and simpler"
    assert not (await measured(place, BAR, size=(11, 90), spread=0.1)).better
    assert not (await measured(place, BAR, size=(9, 90), spread=0.0001)).better


async def test_without_a_bar_everything_is_measured() -> None:
    place = Place(lambda seed: f"loss: {seed}")
    found = await measured(place, None)
    assert (found.better, found.values) == (True, (1.0, 2.0))
    assert (await measured(place, None, replicates=0)).values == (0.0,)


async def test_more_is_better_where_the_user_says_so() -> None:
    better, _ = decide(
        yardstick(r"acc (\S+)", "max"), [0.9, 0.9], Bar(value=0.8, runs=2, size=(1, 1)), (1, 1), 0.01
    )
    assert better


async def test_a_crash_a_missing_metric_and_a_timeout_are_told_apart() -> None:
    crash = Place(lambda _: Ran(exit=1, output="Boom\n", output_bytes=5, seconds=0.1))
    found = await measured(crash, BAR)
    assert (found.way, found.value, found.why) == ("crash", None, "exit 1: Boom")
    long = Place(lambda _: Ran(exit=1, output="Traceback\n  line\nBoom\n", output_bytes=5, seconds=0.1))
    assert (await measured(long, BAR)).why == "exit 1: Boom\nTraceback\n  line\nBoom"
    silent = await measured(Place(lambda _: "nothing"), BAR)
    assert silent.way == "crash"
    assert silent.why == "no loss in what it printed: nothing"
    late = Place(lambda _: Ran(exit=-9, output="", output_bytes=0, seconds=30.0, ended="it took 19 seconds"))
    assert (await measured(late, BAR)).way == "timeout"


async def test_a_win_that_crashes_with_another_seed_is_a_crash() -> None:
    place = Place(lambda seed: "loss: 1" if seed == 0 else Ran(exit=1, output="no", output_bytes=2, seconds=0.1))
    found = await measured(place, BAR)
    assert (found.way, found.better, found.values) == ("crash", False, ())


async def test_a_command_that_cannot_be_started_is_a_crash() -> None:
    class Broken(Place):
        async def run(self, command: str, bounds: Bounds | None = None) -> Ran:
            raise ToolFailed("no such program")

    assert (await run_once(Broken(str), "x", LOSS, seconds=1, seed=0)).told == "no such program"


async def test_the_command_is_told_its_time_and_its_seed() -> None:
    place = Place(lambda _: "loss: 1")
    await run_once(place, "python evaluate.py", LOSS, seconds=2.5, seed=7)
    assert place.commands == ["env EXPERIMENT_SEED=7 EXPERIMENT_SECONDS=2.5 python evaluate.py"]


def test_noise_shrinks_with_runs_and_is_nothing_where_nothing_varies() -> None:
    assert noise(0.1, 4, 4) < noise(0.1, 1, 1)
    assert noise(0.0, 1, 1) == 0
    assert pooled([]) == 0
    assert pooled([[1.0], [2.0]]) == 0
    assert pooled([[1.0, 3.0]]) == pytest.approx(2**0.5)
    assert pooled([[1.0, 1.0]], known=0.3) == 0.3


def test_comments_blank_lines_and_digits_make_no_file_larger() -> None:
    plain = size_of("RATE = 0.1\nfor x in y:\n    go(x)\n")
    assert size_of("# why\n\nRATE = 0.12345\n\nfor x in y:\n        go(x)\n") == plain
    assert size_of("RATE = 0.1\nfor x in y:\n    go(x)\n    stop(x)\n") > plain
