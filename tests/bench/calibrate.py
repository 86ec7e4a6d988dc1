"""Where the extractive model draws the line between an answer and none: the curve behind its threshold.

    python tests/bench/calibrate.py --data DIR [--json FILE]

Questions with an answer: SQuAD, HotpotQA, MuSiQue and 2Wiki, each over its own corpus. Questions without: SQuAD's
over its corpus less the article that they are about, and each set's over another set's corpus. Some of the latter
happen to be answered by other articles, so that the true share of false answers is lower than what is counted.
LoCoMo's unanswerable questions, which are answerable ones with the persons exchanged, are told apart: words alone
cannot see the difference.

A threshold is chosen on the questions of even number and reported on both halves.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evidence import SEED, load

from swarm import Swarm, Task
from swarm.models.base import Completion
from swarm.models.extractive import Extractive
from swarm.models.extractive.answer import ANSWERABLE, assurance
from swarm.models.extractive.evidence import weigh
from swarm.models.extractive.query import understand
from swarm.prompts.typed import AnswerPrompt, Prompt

SAMPLE = 200  # SQuAD questions, with and without their article
OTHERS = 50  # questions of one set over the corpus of another
UNSAID = 20  # unanswerable questions of each conversation
THRESHOLDS = (-3.0, -2.5, -2.0, -1.75, -1.5, -1.25, -1.0, -0.75, -0.5, 0.0, 0.5, 1.0)


class Watched(Extractive):
    """The model itself, with a note of how sure its last answer was."""

    sure = -99.0

    async def call(self, prompt: Prompt[Any], *, max_output: int) -> Completion:
        if isinstance(prompt, AnswerPrompt):
            query = understand(prompt.question, prompt.statistics)
            self.sure = max(-99.0, assurance(query, weigh(query, prompt.shown, prompt.asked)))
        return await super().call(prompt, max_output=max_output)


@dataclass(frozen=True, slots=True)
class Case:
    group: str
    answerable: bool
    even: bool
    sure: float


async def cases(group: str, answerable: bool, lines: list[str], questions: list[str], folder: Path) -> list[Case]:
    """Ask these questions of a corpus of these lines."""
    file = folder / f"{group.replace(' ', '-')}-{len(list(folder.iterdir()))}.jsonl"
    file.write_text("".join(f"{line}\n" for line in lines), "utf-8")
    found = []
    for number, question in enumerate(questions):
        model = Watched()
        await Swarm(model, store=file.with_suffix(".db")).run(Task(questions=(question,), paths=(str(file),)))
        found.append(Case(group, answerable, number % 2 == 0, model.sure))
    print(f"{group}: {len(found)}", flush=True)
    return found


async def collect(data: Path, folder: Path) -> list[Case]:
    sets = {name: load(data, name)[0] for name in ("squad", "hotpotqa", "musique", "2wiki")}
    squad = sets["squad"]
    sample = squad.questions[:SAMPLE]
    found = await cases("squad", True, squad.lines, [q.text for q in sample], folder)
    for name in ("hotpotqa", "musique", "2wiki"):
        found += await cases(name, True, sets[name].lines, [q.text for q in sets[name].questions], folder)
    for article in sorted(set(squad.titles)):
        asked = [q.text for q in sample if q.gold[0].rsplit("#", 1)[0] == article]
        lines = [line for line, title in zip(squad.lines, squad.titles, strict=True) if title != article]
        found += await cases("squad less the article", False, lines, asked, folder)
    dice = random.Random(SEED)
    for asked_of, asked_from in (
        ("squad", "hotpotqa"),
        ("squad", "2wiki"),
        ("hotpotqa", "squad"),
        ("2wiki", "musique"),
    ):
        texts = [q.text for q in sets[asked_from].questions]
        texts = dice.sample(texts, min(OTHERS, len(texts)))
        found += await cases(f"{asked_from} over {asked_of}", False, sets[asked_of].lines, texts, folder)
    for corpus, path in zip(load(data, "locomo"), sorted((data / "locomo").glob("conv-*.json")), strict=True):
        unsaid = [q["question"] for q in json.loads(path.read_text("utf-8"))["questions"] if not q["answerable"]]
        found += await cases("never said", False, corpus.lines, unsaid[:UNSAID], folder)
    return found


def share(found: list[Case], threshold: float) -> float:
    return sum(case.sure >= threshold for case in found) / len(found) if found else 0.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--json", type=Path, default=Path("bench-results/calibrate.json"))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="swarm-bench-") as folder:
        found = asyncio.run(collect(options.data, Path(folder)))
    plain = [case for case in found if case.group != "never said"]
    halves = {
        (answerable, even): [case for case in plain if (case.answerable, case.even) == (answerable, even)]
        for answerable in (True, False)
        for even in (True, False)
    }
    print("\nthreshold   turned down though answerable   answered though not   (even, odd half)")
    rows = []
    for threshold in sorted({*THRESHOLDS, ANSWERABLE}):
        down = [1 - share(halves[True, even], threshold) for even in (True, False)]
        false = [share(halves[False, even], threshold) for even in (True, False)]
        groups = {
            g: share([c for c in found if c.group == g], threshold) for g in sorted({c.group for c in found})
        }
        rows.append({"threshold": threshold, "turned_down": down, "false_answers": false, "answered": groups})
        mark = "  <- chosen" if threshold == ANSWERABLE else ""
        print(f"{threshold:9.2f}   {down[0]:14.3f}  {down[1]:.3f}{false[0]:18.3f}  {false[1]:.3f}{mark}")
    chosen = next(row for row in rows if row["threshold"] == ANSWERABLE)
    print("\nanswered at the threshold chosen:")
    for group, answered in chosen["answered"].items():  # type: ignore[attr-defined]
        print(f"  {group:28}{answered:.3f}")
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps(rows, indent=1), "utf-8")
    print(f"\nwritten to {options.json}")


if __name__ == "__main__":
    main()
