"""Recall of conversations: are the turns that hold the evidence in the view of a memory, at 1k, 2k and 4k tokens?

    python tests/bench/conversation.py --data DIR [--among 100000] [--out bench-results/conversation.json]

DIR holds `locomo` (LoCoMo, Maharana et al. 2024, as recut for these benchmarks: five conversations of 19 to 32
sittings, and an audit of its gold). Every turn is remembered once, in its order, as a message with its speaker
and its time; what is said of a picture belongs to the text. Each question that can be answered is then put to the
memory, with no language model, and nothing is simulated. Where the audit corrects the evidence, that is taken;
what it finds otherwise wrong is left out.

A turn is found when its whole text stands in what is shown, as a message of its own; blanks at its ends aside, and
those by which further lines are indented. `all` is the share of
questions with every gold turn found, `part` the mean share of gold turns.

- view: `Memory.view(question, tokens)`, whole, as users get it: its mark, its facts and the last messages take
  their part of the budget;
- view, no recent: the same with `recent=0`, for an agent that has its last turns at hand;
- bm25: SQLite's full-text index over the texts of turns, best first, shown as the view shows messages, with
  speaker, time and label, but with no mark and nothing else; bm25 names: the speaker's name is indexed as well;
- last turns: the last ones that fit; random turns; an oracle that shows the gold turns first.

With `--among N`, N sentences of the books in `novels` are remembered after each conversation, as what two others
say: what is asked for is old then, and among much else.

A row of the question alone is not applicable: with nothing shown no turn is found. A difference counts when its
95% interval, by paired bootstrap over questions, excludes zero. The weights of the ranking were fitted on the
questions of even number: what it is worth shows on the odd half.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from evidence import SEED, Index
from remembering import messages as books
from retrieval import interval

from swarm.memory.memory import Memory, open_memory
from swarm.memory.messages import Message
from swarm.memory.page import indented
from swarm.tokens import o200k

BUDGETS = (1_000, 2_000, 4_000)
ROWS = ("view", "view, no recent", "bm25", "bm25 names", "last turns", "random", "oracle")
COMPARED = ("bm25", "bm25 names", "last turns")
_DEEP = 400
_MISSES = 12  # turns that do not fit, after which a row is full: as in a view


@dataclass(frozen=True, slots=True)
class Turn:
    id: str
    sitting: int
    at: datetime
    who: str
    text: str


@dataclass(frozen=True, slots=True)
class Question:
    text: str
    gold: frozenset[int]
    odd: bool


@dataclass(slots=True)
class Conversation:
    name: str
    turns: list[Turn]
    questions: list[Question]


def load(folder: Path, among: int = 0) -> list[Conversation]:
    audit = json.loads((folder / "locomo" / "audit-errors.json").read_text("utf-8"))
    paths = sorted((folder / "locomo").glob("conv-*.json"))
    found = []
    for number, path in enumerate(paths):
        errors = [error for error in audit if error["question_id"].startswith(f"locomo_{number}_")]
        found.append(_conversation(path, errors))
        last = found[-1].turns[-1].sitting
        for at, one in enumerate(islice(books(folder / "novels"), among)):
            when = datetime.fromisoformat(one.at or "") + timedelta(days=1_500)
            found[-1].turns.append(Turn(f"N{at}", last + 1 + at // 20, when, one.who, one.text))
    return found


def _conversation(path: Path, audit: Sequence[Mapping[str, Any]]) -> Conversation:
    data = json.loads(path.read_text("utf-8"))
    mended = {
        error["question"]: error["correct_evidence"] if error["error_type"] == "WRONG_CITATION" else []
        for error in audit
    }
    turns = []
    for turn in data["turns"]:
        picture = f" [photo: {turn['image_caption']}]" if turn.get("image_caption") else ""
        at = datetime.strptime(turn["at"], "%I:%M %p on %d %B, %Y")
        turns.append(Turn(turn["id"], turn["session"], at, turn["speaker"], turn["text"] + picture))
    number = {turn.id: at for at, turn in enumerate(turns)}
    questions = []
    for at, asked in enumerate(data["questions"]):
        gold = mended.get(asked["question"], asked["evidence"])
        if asked["answerable"] and gold and number.keys() >= set(gold):
            questions.append(Question(asked["question"], frozenset(number[id_] for id_ in gold), odd=at % 2 == 1))
    return Conversation(path.stem, turns, questions)


class Bench:
    """One conversation, remembered and indexed: which turns each row shows for a question."""

    def __init__(self, conversation: Conversation, memory: Memory, ids: Sequence[str]) -> None:
        self.memory = memory
        self._turns = turns = conversation.turns
        self._number = {id_: at for at, id_ in enumerate(ids)}
        self._plain = Index([turn.text for turn in turns])
        self._named = Index([f"{turn.who}: {turn.text}" for turn in turns])
        self._costs = lru_cache(None)(lambda at: o200k(f"[88] {turns[at].who}: {turns[at].text}\n"))
        self._heads = {turn.sitting: o200k(f"{turn.at:%Y-%m-%d %H:%M}\n") for turn in turns}
        self._dice = random.Random(SEED)
        self.milliseconds: list[float] = []

    async def rows(self, question: Question) -> dict[str, dict[int, frozenset[int]]]:
        everything = list(range(len(self._turns)))
        shuffled = self._dice.sample(everything, len(everything))
        orders: dict[str, Sequence[int]] = {
            "bm25": self._plain.search(question.text, _DEEP),
            "bm25 names": self._named.search(question.text, _DEEP),
            "last turns": everything[::-1],
            "random": shuffled,
            "oracle": [*sorted(question.gold), *everything],
        }
        found = {name: {most: self._fit(order, most) for most in BUDGETS} for name, order in orders.items()}
        found["view"] = {most: await self._view(question.text, most, None) for most in BUDGETS}
        found["view, no recent"] = {most: await self._view(question.text, most, 0) for most in BUDGETS}
        return found

    async def _view(self, question: str, most: int, recent: int | None) -> frozenset[int]:
        begun = time.perf_counter()
        view = await self.memory.view(question, tokens=most, recent=recent)
        self.milliseconds.append(1_000 * (time.perf_counter() - begun))
        assert view.tokens == o200k(view.text) <= most
        shown = set()
        for item in view.items:
            if item.kind == "message" and item.message is not None and indented(item.text) in view.text:
                number = self._number[item.message]
                if item.text.strip() == self._turns[number].text.strip():
                    shown.add(number)
        return frozenset(shown)

    def _fit(self, order: Iterable[int], most: int) -> frozenset[int]:
        """The turns in this order that fit, under a line with the time for each sitting."""
        left, heads, shown, misses = most, set[int](), set[int](), 0
        for number in order:
            sitting = self._turns[number].sitting
            cost = self._costs(number) + (0 if sitting in heads else self._heads[sitting])
            if cost > left:
                misses += 1
                if misses == _MISSES:
                    break
                continue
            left -= cost
            heads.add(sitting)
            shown.add(number)
        return frozenset(shown)


async def measure(conversation: Conversation, folder: Path) -> tuple[list[dict[str, Any]], list[float]]:
    """For each question, the share of gold turns in each row, and the milliseconds of a view."""
    async with open_memory(conversation.name, store=folder / "memory.db") as memory:
        roles = dict(zip(_speakers(conversation), ("user", "assistant") * 2, strict=False))
        remembered = await memory.remember(
            Message(role=roles[turn.who], name=turn.who, text=turn.text, at=turn.at.isoformat())
            for turn in conversation.turns
        )
        assert remembered.new == len(conversation.turns)
        bench = Bench(conversation, memory, remembered.ids)
        results = []
        for question in conversation.questions:
            rows = await bench.rows(question)
            found = {
                name: {str(most): len(question.gold & shown[most]) / len(question.gold) for most in BUDGETS}
                for name, shown in rows.items()
            }
            results.append({"question": question.text, "odd": question.odd, "found": found})
    return results, bench.milliseconds


def _speakers(conversation: Conversation) -> list[str]:
    return list(dict.fromkeys(turn.who for turn in conversation.turns))


def report(title: str, results: Sequence[Mapping[str, Any]], say: Callable[[str], None]) -> dict[str, Any]:
    """Print one table and return its numbers."""

    def part(row: str, most: int) -> list[float]:
        return [one["found"][row][str(most)] for one in results]

    def every(row: str, most: int) -> list[float]:
        return [float(value == 1.0) for value in part(row, most)]

    measures: dict[str, Callable[[str, int], list[float]]] = {"all": every, "part": part}
    say(f"\n{title}: {len(results)} questions")
    say(f"{'':18}" + "".join(f"{f'{name} @{most // 1_000}k':>10}" for name in measures for most in BUDGETS))
    table: dict[str, Any] = {"questions": len(results), "rows": {}, "view ahead of": {}}
    for row in ROWS:
        means = {
            f"{name}@{most}": float(np.mean(of(row, most))) for name, of in measures.items() for most in BUDGETS
        }
        say(f"{row:18}" + "".join(f"{mean:10.3f}" for mean in means.values()))
        table["rows"][row] = means
    for row in COMPARED:
        said, ahead = [], {}
        for name, of in measures.items():
            for most in BUDGETS:
                pairs = [mine - theirs for mine, theirs in zip(of("view", most), of(row, most), strict=True)]
                low, high = interval(pairs)
                ahead[f"{name}@{most}"] = {"mean": float(np.mean(pairs)), "interval": [low, high]}
                said.append(f"{np.mean(pairs):+.3f} ({low:+.3f} to {high:+.3f})")
        say(f"view - {row:11}" + "  ".join(said))
        table["view ahead of"][row] = ahead
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--among", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("bench-results/conversation.json"))
    options = parser.parse_args()
    results: list[dict[str, Any]] = []
    milliseconds: list[float] = []
    for conversation in load(options.data, options.among):
        with tempfile.TemporaryDirectory(prefix="swarm-bench-") as folder:
            found, took = asyncio.run(measure(conversation, Path(folder)))
        results += found
        milliseconds += took
    tables = {
        "all": report("all questions", results, print),
        "even": report(
            "even half, on which the weights were fitted", [one for one in results if not one["odd"]], print
        ),
        "odd": report("odd half", [one for one in results if one["odd"]], print),
    }
    median, late = np.quantile(milliseconds, (0.5, 0.95))
    print(f"\na view in {median:.1f} ms (median), {late:.1f} ms (95%)")
    options.out.parent.mkdir(parents=True, exist_ok=True)
    out = {"tables": tables, "milliseconds": {"median": float(median), "95%": float(late)}, "questions": results}
    options.out.write_text(json.dumps(out, indent=1, ensure_ascii=False), "utf-8")
    print(f"written to {options.out}")


if __name__ == "__main__":
    main()
