"""Fits the weights of the extractive model, and prints them as they stand in `signals.py`.

    python tests/bench/fit.py --data DIR

Whole runs over the questions of even number are watched. For reading, the loss is that of picking, among all
sentences of the ranked passages, one of a gold record; for the answer, that of picking one among the findings
shown, where a finding counts for itself or for what leads to it, whichever is likelier (a mixture of two logits);
`SLOTS` findings may stand before it without loss, since as many are said. Both are then shifted and scaled to be
probabilities. Each set counts the same, whatever its size.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from evidence import Corpus, load
from numpy.typing import NDArray

from swarm import Swarm, Task
from swarm.models.base import Completion
from swarm.models.extractive import Extractive
from swarm.models.extractive.evidence import weigh
from swarm.models.extractive.kinds import kind_of
from swarm.models.extractive.query import understand
from swarm.models.extractive.rank import measure
from swarm.models.extractive.signals import (
    DIRECT,
    DIRECT_BIAS,
    LINKED,
    LINKED_BIAS,
    READ,
    READ_BIAS,
    Direct,
    Linked,
    Signals,
)
from swarm.models.extractive.units import joined
from swarm.prompts.typed import AnswerPrompt, Prompt, ReadPrompt

SETS = ("squad", "hotpotqa", "musique", "2wiki", "locomo")
SLOTS = 6
KEPT = 400  # sentences that are no evidence, of each question, the likeliest first
RIDGE = 0.002
STEPS, RATE = 1_500, 0.03
NEVER = -60.0

Floats = NDArray[np.float64]


class Watched(Extractive):
    """The model itself, with what it was given for one question."""

    def __init__(self) -> None:
        super().__init__()
        self.reads: list[ReadPrompt] = []
        self.answers: list[AnswerPrompt] = []

    async def call(self, prompt: Prompt[Any], *, max_output: int) -> Completion:
        if isinstance(prompt, ReadPrompt):
            self.reads.append(prompt)
        if isinstance(prompt, AnswerPrompt):
            self.answers.append(prompt)
        return await super().call(prompt, max_output=max_output)


@dataclass(slots=True)
class Pool:
    """What one question could cite: two rows of signals for each, whether it has links, and which gold record it
    is in (-1: none)."""

    weight: float
    direct: Floats
    linked: Floats
    has_links: NDArray[np.bool_]
    gold: NDArray[np.int64]


async def watch(corpus: Corpus, folder: Path, name: str) -> list[tuple[Pool, Pool]]:
    """The pools of the questions of even number: for reading, and for the answer."""
    file = folder / f"{name}.jsonl"
    file.write_text("".join(f"{line}\n" for line in corpus.lines), "utf-8")
    starts = np.cumsum([0, *(len(line) + 1 for line in corpus.lines)])
    pools = []
    for question in corpus.questions[::2]:
        model = Watched()
        await Swarm(model, store=file.with_suffix(".db")).run(Task(questions=(question.text,), paths=(str(file),)))
        gold = {id_: number for number, id_ in enumerate(question.gold)}
        rows: list[Signals] = []
        of: list[int] = []
        for prompt in model.reads:
            if prompt.question != question.text:
                continue
            query = understand(question.text, prompt.statistics)
            for run in joined(prompt.passages):
                text, first = "".join(p.text for p in run), run[0].span
                for unit, signals in measure(query, kind_of(question.text), run, text, str(file)):
                    rows.append(signals)
                    line = int(np.searchsorted(starts, first.start + unit.start, side="right")) - 1
                    of.append(gold.get(corpus.ids[line], -1))
        read_of = of
        said: list[Direct] = []
        led: list[Linked | None] = []
        of = []
        for answered in model.answers[-1:]:
            query = understand(question.text, answered.statistics)
            for item in weigh(query, answered.shown, answered.asked):
                said.append(item.signals)
                led.append(item.linked)
                of.append(gold.get(corpus.ids[int(item.shown.where.rsplit(":", 1)[1]) - 1], -1))
        if rows and said:
            pools.append((_pool(rows, None, read_of), _pool(said, led, of)))
    return pools


def _pool(rows: Sequence[tuple[float, ...]], links: Sequence[Linked | None] | None, of: Sequence[int]) -> Pool:
    width = len(Linked._fields)
    linked = [link or (0.0,) * width for link in links] if links is not None else [(0.0,) * width for _ in rows]
    return Pool(
        weight=1.0,
        direct=_with_bias(np.array(rows, dtype=float).reshape(len(rows), -1)),
        linked=_with_bias(np.array(linked, dtype=float).reshape(len(rows), -1)),
        has_links=np.array([link is not None for link in links or [None] * len(rows)], dtype=bool),
        gold=np.array(of, dtype=np.int64),
    )


def _with_bias(rows: Floats) -> Floats:
    return np.concatenate([rows, np.ones((len(rows), 1))], axis=1)


def fit(pools: Sequence[Pool], direct: Floats, linked: Floats, slots: int) -> tuple[Floats, Floats]:
    """Both rows of weights (the bias last), from where they are, by Adam (Kingma and Ba 2015)."""
    split = len(direct)
    weights = np.concatenate([direct, linked])
    first, second = np.zeros_like(weights), np.zeros_like(weights)
    cases = [case for pool in pools for case in _cases(pool, direct, linked)]
    total = sum(weight for weight, *_ in cases)
    for step in range(1, STEPS + 1):
        gradient = 2 * RIDGE * weights
        gradient[[split - 1, -1]] = 0.0
        for weight, own, led, has, hit in cases:
            by_own, by_led = own @ weights[:split], np.where(has, led @ weights[split:], NEVER)
            logits = np.logaddexp(by_own, by_led)
            good = np.logaddexp.reduce(logits[hit])
            bad = np.logaddexp.reduce(logits[~hit]) - np.log(slots) if (~hit).any() else NEVER
            both = np.logaddexp(good, bad)
            pull = np.where(
                hit, np.exp(logits - good) * (np.exp(good - both) - 1), np.exp(logits - np.log(slots) - both)
            )
            share = np.exp(by_own - logits)
            gradient[:split] += weight / total * ((pull * share) @ own)
            gradient[split:] += weight / total * ((pull * (1 - share) * has) @ led)
        first = 0.9 * first + 0.1 * gradient
        second = 0.999 * second + 0.001 * gradient**2
        rate = RATE * (1 - step / STEPS)
        weights = weights - rate * (first / (1 - 0.9**step)) / (np.sqrt(second / (1 - 0.999**step)) + 1e-8)
    return weights[:split], weights[split:]


def _cases(pool: Pool, direct: Floats, linked: Floats) -> list[tuple[float, Floats, Floats, Any, Any]]:
    """For each gold record that could be cited: its sentences against those of no gold record."""
    if not len(pool.gold):
        return []
    logits = np.logaddexp(pool.direct @ direct, np.where(pool.has_links, pool.linked @ linked, NEVER))
    none = np.flatnonzero(pool.gold < 0)
    none = none[np.argsort(-logits[none])][:KEPT]
    golds = sorted({*pool.gold.tolist()} - {-1})
    found = []
    for gold in golds:
        rows = np.concatenate([np.flatnonzero(pool.gold == gold), none])
        hit = pool.gold[rows] == gold
        found.append((pool.weight / len(golds), pool.direct[rows], pool.linked[rows], pool.has_links[rows], hit))
    return found


def calibrated(pools: Sequence[Pool], direct: Floats, linked: Floats, *, scaled: bool) -> tuple[Floats, Floats]:
    """The same order, shifted (and for reading scaled) so that the logistic of it is a probability."""
    logits, hits, weights = [], [], []
    for pool in pools:
        both = np.logaddexp(pool.direct @ direct, np.where(pool.has_links, pool.linked @ linked, NEVER))
        best = np.zeros(len(both), dtype=bool)
        for gold in {*pool.gold.tolist()} - {-1}:
            rows = np.flatnonzero(pool.gold == gold)
            best[rows[both[rows].argmax()]] = True
        keep = (pool.gold < 0) | best if scaled else np.ones(len(both), dtype=bool)
        logits.append(both[keep])
        hits.append((best if scaled else pool.gold >= 0)[keep])
        weights.append(np.full(int(keep.sum()), pool.weight))
    s, y, w = np.concatenate(logits), np.concatenate(hits).astype(float), np.concatenate(weights)
    scale, shift = 1.0, 0.0
    for _ in range(100):  # Newton's method
        p = 1 / (1 + np.exp(-(scale * s + shift)))
        slope, curve = w * (p - y), w * p * (1 - p) + 1e-12
        if scaled:
            matrix = np.array([[(curve * s * s).sum(), (curve * s).sum()], [(curve * s).sum(), curve.sum()]])
            change = np.linalg.solve(matrix, np.array([(slope * s).sum(), slope.sum()]))
            scale, shift = scale - float(change[0]), shift - float(change[1])
        else:
            shift -= float(slope.sum() / curve.sum())
    direct, linked = direct * scale, linked * scale
    direct[-1] += shift
    linked[-1] += shift
    return direct, linked


def picked(pools: Sequence[Pool], direct: Floats, linked: Floats, most: int) -> float:
    """The share of gold records that stand among the first `most` findings."""
    found, all_ = 0.0, 0.0
    for pool in pools:
        logits = np.logaddexp(pool.direct @ direct, np.where(pool.has_links, pool.linked @ linked, NEVER))
        first = {*pool.gold[np.argsort(-logits, kind="stable")][:most].tolist()} - {-1}
        golds = {*pool.gold.tolist()} - {-1}
        found, all_ = found + pool.weight * len(first), all_ + pool.weight * len(golds)
    return found / all_ if all_ else 0.0


def show(name: str, kind: type[Any], weights: Floats, say: Callable[[str], None]) -> None:
    pairs = ", ".join(f"{key}={value:.2f}" for key, value in zip(kind._fields, weights, strict=False))
    say(f"{name} = {kind.__name__}({pairs})\n{name}_BIAS = {weights[-1]:.2f}")


async def collect(data: Path, folder: Path) -> tuple[list[Pool], list[Pool]]:
    reading: list[Pool] = []
    answering: list[Pool] = []
    for name in SETS:
        pools = []
        for number, corpus in enumerate(load(data, name)):
            pools += await watch(corpus, folder, f"{name}-{number}")
        for read, answered in pools:
            read.weight = answered.weight = 1 / len(pools)
            reading.append(read)
            answering.append(answered)
        print(f"{name}: {len(pools)} questions", flush=True)
    return reading, answering


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="swarm-bench-") as folder:
        reading, answering = asyncio.run(collect(options.data, Path(folder)))
    none = np.zeros(len(Linked._fields) + 1)
    read = np.array([*READ, READ_BIAS])
    new_read, _ = calibrated(reading, fit(reading, read, none, 1)[0], none, scaled=True)
    direct, linked = np.array([*DIRECT, DIRECT_BIAS]), np.array([*LINKED, LINKED_BIAS])
    new_direct, new_linked = calibrated(answering, *fit(answering, direct, linked, SLOTS), scaled=False)
    before, after = picked(reading, read, none, 5), picked(reading, new_read, none, 5)
    print(f"\ngold among the first 5 sentences read: {before:.3f} -> {after:.3f}")
    before, after = picked(answering, direct, linked, 8), picked(answering, new_direct, new_linked, 8)
    print(f"gold among the first 8 findings: {before:.3f} -> {after:.3f}")
    show("READ", Signals, new_read, print)
    show("DIRECT", Direct, new_direct, print)
    show("LINKED", Linked, new_linked, print)


if __name__ == "__main__":
    main()
