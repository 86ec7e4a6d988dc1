"""What an experiment measures: a number in what a command prints, and whether it is better by more than chance.

A first run looks whether there is a win at all; it was chosen for its luck, so it counts for nothing. What counts
are the runs that replicate it, each with a seed of its own, the same seeds for every experiment. This module knows
commands and numbers, neither git nor ledgers.
"""

from __future__ import annotations

import asyncio
import math
import re
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from swarm.equipment import Bounds, Ran, ToolFailed
from swarm.errors import UsageError
from swarm.experiments.pristine import Pristine

Better = Literal["min", "max"]
Way = Literal["ok", "crash", "timeout"]

SEED, SECONDS = "EXPERIMENT_SEED", "EXPERIMENT_SECONDS"
"""Variables that the command of an experiment finds: a number to seed chance with, and its time budget."""
ERRORS = 2.0
"""Standard errors of a difference that chance is allowed: what is less is no win."""
_GRACE_SECONDS = 15.0  # for a command to start and to evaluate, beside twice its budget
_TOLD_CHARS = 1_500


class Runs(Protocol):
    """Where a command is run: a place that an order is worked in, or a checkout of what would land."""

    @property
    def path(self) -> Path: ...
    async def run(self, command: str, bounds: Bounds | None = None) -> Ran: ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Yardstick:
    """Finds the metric: `pattern` has one group, and its last match counts."""

    pattern: re.Pattern[str]
    better: Better = "min"

    @property
    def name(self) -> str:
        """What the metric is called: the first word of the pattern."""
        found = re.search(r"[A-Za-z]\w+", re.sub(r"\\[a-zA-Z]", " ", self.pattern.pattern))
        return found[0] if found else "metric"

    def read(self, output: str) -> float | None:
        """The number; None where there is none, or it is not finite."""
        found = None
        for match in self.pattern.finditer(output):
            found = match[1]
        try:
            value = float(found) if found is not None else math.nan
        except ValueError:
            value = math.nan
        return value if math.isfinite(value) else None

    def gain(self, value: float, over: float) -> float:
        """By how much one value is better than another; below 0 where it is worse."""
        return over - value if self.better == "min" else value - over


def yardstick(pattern: str, better: Better = "min") -> Yardstick:
    """A metric by a regular expression with one group.

    Raises:
        UsageError: it is none, or has not one group.
    """
    try:
        compiled = re.compile(pattern, re.MULTILINE)
    except re.error as error:
        raise UsageError(f"the metric {pattern!r} is no regular expression: {error}") from None
    if compiled.groups != 1:
        raise UsageError(f"the metric {pattern!r} has {compiled.groups} groups: put the number alone into (…)")
    return Yardstick(pattern=compiled, better=better)


@dataclass(frozen=True, kw_only=True, slots=True)
class Once:
    """One run. `value` is None where it was no success, and `told` is then the end of what it printed."""

    way: Way
    value: float | None
    seconds: float
    told: str = ""


async def run_once(place: Runs, command: str, yard: Yardstick, *, seconds: float, seed: int) -> Once:
    """Run the command with a time budget and a seed, and look for the metric. It is told its budget, and is
    ended where it takes more than twice as long, and some seconds to start. What it leaves behind is cleared
    away, and where it changed a file it counts for nothing."""
    before = await asyncio.to_thread(Pristine, place.path)
    once = await _run_once(place, command, yard, seconds=seconds, seed=seed)
    wrong = await asyncio.to_thread(before.again)
    return once if wrong is None else Once(way="crash", value=None, seconds=once.seconds, told=wrong)


async def _run_once(place: Runs, command: str, yard: Yardstick, *, seconds: float, seed: int) -> Once:
    words = f"env {SEED}={seed} {SECONDS}={seconds:g} {command}"
    bounds = Bounds(seconds=2 * seconds + _GRACE_SECONDS)
    try:
        ran = await place.run(words, bounds)
    except ToolFailed as error:
        return Once(way="crash", value=None, seconds=0.0, told=str(error))
    value = yard.read(ran.output) if ran.ok else None
    if value is not None:
        return Once(way="ok", value=value, seconds=ran.seconds)
    late = ran.seconds >= bounds.seconds
    why = ran.ended or (f"exit {ran.exit}" if ran.exit else f"no {yard.name} in what it printed")
    printed = ran.output.strip()[-_TOLD_CHARS:]
    last = printed.rpartition("\n")[
        2
    ]  # first: of a traceback it is what matters, where only the beginning is shown
    told = f"{why}: {last}".rstrip(": ") + (f"\n{printed}" if last != printed else "")
    return Once(way="timeout" if late else "crash", value=None, seconds=ran.seconds, told=told)


@dataclass(frozen=True, kw_only=True, slots=True)
class Bar:
    """What is to be beaten: the mean of so many runs, by a file of that size."""

    value: float
    runs: int
    size: tuple[int, int]


@dataclass(frozen=True, kw_only=True, slots=True)
class Measured:
    """What an experiment came to. `values` are those that count, `first` is the one that only looked; `why` says
    in some words why it is kept or not."""

    way: Way
    first: float | None
    values: tuple[float, ...]
    seconds: float
    better: bool = False
    why: str = ""

    @property
    def value(self) -> float | None:
        """The mean of what counts, or the look where there was no more."""
        return mean(self.values) if self.values else self.first


async def measure(
    place: Runs,
    command: str,
    yard: Yardstick,
    *,
    seconds: float,
    replicates: int,
    bar: Bar | None,
    size: tuple[int, int],
    spread: float,
    look: Once | None = None,
) -> Measured:
    """Measure what is in a place against a bar; without one it is measured in full, as the first to be beaten.

    `spread` is the standard deviation of single runs, as far as it is known; `look` is the first run, where it was
    made before. A file of a smaller `size` that measures the same is better, too.
    """
    look = look or await run_once(place, command, yard, seconds=seconds, seed=0)
    if look.value is None:
        return Measured(way=look.way, first=None, values=(), seconds=look.seconds, why=look.told)
    simpler = bar is not None and size < bar.size
    if bar is not None:
        gain = yard.gain(look.value, bar.value)
        if gain <= 0 and not (simpler and gain >= -noise(spread, 1, bar.runs)):
            return Measured(way="ok", first=look.value, values=(), seconds=look.seconds, why="no better")
    values, spent = [look.value] if not replicates else [], look.seconds
    for seed in range(1, replicates + 1):
        again = await run_once(place, command, yard, seconds=seconds, seed=seed)
        spent += again.seconds
        if again.value is None:
            told = f"it ran once, and not again with another seed: {again.told}"
            return Measured(way=again.way, first=look.value, values=(), seconds=spent, why=told)
        values.append(again.value)
    better, why = (True, "") if bar is None else decide(yard, values, bar, size, spread)
    return Measured(way="ok", first=look.value, values=tuple(values), seconds=spent, better=better, why=why)


def decide(
    yard: Yardstick, values: Sequence[float], bar: Bar, size: tuple[int, int], spread: float
) -> tuple[bool, str]:
    """Whether runs beat the bar, and in some words why: by more than noise, or as good by a simpler file."""
    gain = yard.gain(mean(values), bar.value)
    chance = noise(pooled([values], known=spread), len(values), bar.runs)
    if gain > chance:
        return True, "better"
    if size < bar.size and gain >= -chance:
        return True, "as good, and simpler"
    if gain > 0:
        return False, f"better by {gain:.3g}, which may be chance (up to {chance:.3g})"
    return False, "no better when it was run again" if len(values) > 1 else "no better"


def noise(spread: float, runs: int, others: int) -> float:
    """What the means of so many runs may differ by though nothing is different: `ERRORS` standard errors."""
    return ERRORS * spread * math.sqrt(1 / max(1, runs) + 1 / max(1, others))


def pooled(groups: Iterable[Sequence[float]], known: float = 0.0) -> float:
    """The standard deviation of runs of the same, from all groups of such; at least what is `known`."""
    squares, freedom = 0.0, 0
    for group in groups:
        middle = mean(group)
        squares += sum((value - middle) ** 2 for value in group)
        freedom += max(0, len(group) - 1)
    return max(known, math.sqrt(squares / freedom) if freedom else 0.0)


def mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)


_NUMBER = re.compile(r"\b\d[\d_]*(\.\d*)?([eE][+-]?\d+)?")


def size_of(text: str) -> tuple[int, int]:
    """How much a file is to read: its lines, and its characters with each number counted as one. Blank lines,
    comments that stand alone, and white space count for nothing: nobody is simpler for leaving out a reason."""
    lines = [line.strip() for line in text.splitlines()]
    lines = [line for line in lines if line and not line.startswith(("#", "//"))]
    return len(lines), sum(len("".join(_NUMBER.sub("0", line).split())) for line in lines)


def told_command(command: str) -> str:
    """The command, looked at before anything is run.

    Raises:
        UsageError: it is none.
    """
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise UsageError(f"--command {command!r} cannot be taken apart: {error}") from None
    if not words:
        raise UsageError("--command says nothing: give the command that prints the metric")
    return command
