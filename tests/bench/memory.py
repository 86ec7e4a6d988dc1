"""Working memory under compression: what is left of a corpus in a graph, asked of the graph alone.

    python tests/bench/memory.py --data DIR [--sizes 1 10 100] [--windows 8000 32000] [--out FILE]

The figures are those of a SIMULATED model (see `memory_world.py`): a reader that is perfect inside its window and
blind outside it. They say what each way of reading hands on, not how well a language model reads. Facts are
planted in real prose of 1, 10 and 100 million tokens; when Swarm has read, merged and consolidated all of it,
single facts, chains of 2 to 4 facts, counts over the whole corpus and the last of changing values are asked of
views of the graph. Each question may take up to four views, each in a fresh window. Beside it, with the same
reader and as many tokens to answer from:

- one window: the beginning of the corpus, as much as fits;
- refine: a running summary of at most half a window, carried from slice to slice;
- map-reduce: each slice in 160 words, and these reduced once, in as many groups as fill windows;
- top-k: the passages that BM25 ranks highest, which may be searched again for each question like the graph.

Every row runs in a process of its own, by which its peak memory is measured.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from bisect import bisect
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from memory_world import (
    TOTAL,
    WORDS,
    Abilities,
    Fact,
    Notes,
    Question,
    Simulated,
    asked,
    build_world,
    parse,
    write_corpus,
)

from swarm import Swarm, Task, open_knowledge
from swarm.events import Finished, PhaseChanged
from swarm.limits.gate import reserved_output
from swarm.sources.gather import gather
from swarm.store.database import Database
from swarm.store.library import Library
from swarm.task import Answer, Limits
from swarm.terms import question_terms
from swarm.tokens import o200k

SEED = 20_240_611
RUN = "memory"
TASK = "Note every fact on keepers, owners, births, founders, teachers and tolls, and every sighting."
FRAME = 600
"""Tokens of a request to answer beside the text that is shown: instructions, the schema, the question."""
MAP_WORDS = 160
PASSAGES = 200
KINDS_OF_QUESTION = ("single", "chain", "count", "latest")
_OVERVIEW = re.compile(r"^Overview:\n(.*?)(?:\n\n|\n</memory>|\Z)", re.MULTILINE | re.DOTALL)
_LEFT_OUT = re.compile(r"^Not shown: ([\d,]+) findings", re.MULTILINE)
_COVERED = re.compile(r"\(of ([\d,]+) findings\)")


# The agent that answers, from what it is shown and nothing else


@dataclass(frozen=True, slots=True)
class Read:
    """What it makes of a text."""

    facts: list[Fact]
    totals: Counter[str]
    tokens: int
    covered: int = 0
    left_out: int = 0

    @classmethod
    def of(cls, text: str, abilities: Abilities) -> Read:
        """Where the text has an overview, what is counted is the sum of its lines; else what stands there."""
        tokens = o200k(text)
        facts = [fact for fact, words in parse(text) if abilities.notices(words, tokens, "view")]
        overview = _OVERVIEW.search(text)
        lines = overview[1] if overview else text
        totals: Counter[str] = Counter()
        for kind, number in TOTAL.findall(lines):
            totals[kind] += int(number)
        if not overview:
            totals.update(fact.subject for fact in set(facts) if fact.relation == "seen")
        covered = sum(int(number.replace(",", "")) for number in _COVERED.findall(lines))
        left_out = sum(int(number.replace(",", "")) for number in _LEFT_OUT.findall(text))
        return cls(facts, totals, tokens, covered, left_out)


@dataclass(frozen=True, slots=True)
class Said:
    question: Question
    answer: str
    steps: int
    seen: Read

    @property
    def right(self) -> bool:
        return self.answer == self.question.answer


def work_out(question: Question, look: Callable[[str], Read], views: int = 4) -> Said:
    """After each look it knows how far it came along a chain, and asks for the rest in a fresh window."""
    at, left, text = question.start, list(question.path), question.text
    for step in range(1, views + 1):
        seen = look(text)
        if question.kind == "count":
            return Said(question, str(seen.totals[question.start]), step, seen)
        if question.kind == "latest":
            series = [fact for fact in seen.facts if (fact.relation, fact.subject) == ("toll", question.start)]
            return Said(question, max(series, key=lambda fact: fact.day).value if series else "", step, seen)
        known = {fact.key: fact.value for fact in seen.facts}
        while left and (left[0], at) in known:
            at = known[left.pop(0), at]
        if not left:
            return Said(question, at, step, seen)
        if text == (text := asked(left[:1], at)):
            break
    return Said(question, "", step, seen)


def score(said: Sequence[Said]) -> dict[str, Any]:
    """The share answered of each kind, the views it took, and the tokens of the last."""
    row: dict[str, Any] = {}
    for kind in KINDS_OF_QUESTION:
        ours = [one for one in said if one.question.kind == kind]
        row[kind] = sum(one.right for one in ours) / len(ours)
    chains = [one for one in said if one.question.kind == "chain"]
    for hops in (2, 3, 4):
        of = [one.right for one in chains if len(one.question.path) == hops]
        row[f"chain of {hops}"] = sum(of) / len(of)
    row["views a chain"] = sum(one.steps for one in chains) / len(chains)
    row["tokens"] = sum(one.seen.tokens for one in said) / len(said)
    row["counts"] = {
        one.question.start: [one.answer, one.question.answer] for one in said if one.question.kind == "count"
    }
    return row


# What Swarm is compared with


def found_in(files: Sequence[Path], tokens_a_char: float, abilities: Abilities) -> list[tuple[float, Fact]]:
    """All facts of a corpus in the order of reading, each with the tokens of text before it."""
    found, before = [], 0
    for path in files:
        text, at = path.read_text("utf-8"), 0
        for fact, words in parse(text):
            at = text.index(words, at)
            found.append(((before + at) * tokens_a_char, abilities.noted(fact)))
        before += len(text)
    return found


Found = Sequence[tuple[float, Fact]]


def slices(found: Found, tokens: int, abilities: Abilities) -> Iterator[list[Fact]]:
    """What is noticed in each slice of so many tokens, where anything stands in it."""
    for number, group in groupby(found, key=lambda one: int(one[0] // tokens)):
        yield [fact for _, fact in group if abilities.notices(fact.sentence, tokens, number)]


def one_window(found: Found, room: int, abilities: Abilities) -> list[str]:
    inside = found[: bisect([place for place, _ in found], room)]
    return [fact.sentence for _, fact in inside if abilities.notices(fact.sentence, room)]


def refine(found: Found, room: int, abilities: Abilities) -> list[str]:
    notes, said = Notes(), []
    for facts in slices(found, room - room // 2, abilities):
        for fact in facts:
            notes.add(fact)
        said = [text for text, _ in notes.said(room // 2, _tokens)]
    return said


def map_reduce(found: Found, room: int, abilities: Abilities) -> list[str]:
    groups: list[list[str]] = [[]]
    used = 0
    for facts in slices(found, room, abilities):
        notes = Notes()
        for fact in facts:
            notes.add(fact)
        summary = [text for text, _ in notes.said(MAP_WORDS, lambda text: len(text.split()))]
        used += sum(map(_tokens, summary))
        if used > room and groups[-1]:
            groups.append([])
            used = sum(map(_tokens, summary))
        groups[-1] += summary
    return [text for group in groups for text in _reduced(group, room // len(groups))]


def _reduced(texts: Sequence[str], room: int) -> list[str]:
    notes = Notes()
    for text in texts:
        for kind, number in TOTAL.findall(text):
            notes.count(kind, int(number))
        for fact, _ in parse(text):
            notes.add(fact)
    return [text for text, _ in notes.said(room, _tokens)]


def _tokens(text: str) -> int:
    return o200k(text) + 1


# One size with one window


async def read_all(corpus: Path, store: Path, model: Simulated) -> tuple[Answer, dict[str, float]]:
    """A whole run of Swarm, and the seconds of each phase."""
    task = Task(questions=(TASK,), paths=(str(corpus),), limits=Limits(rounds=1))
    seconds: dict[str, float] = {}
    phase, began = "", time.monotonic()
    async with Swarm(model, store=store).stream(task, run_id=RUN) as events:
        async for event in events:
            if isinstance(event, (PhaseChanged, Finished)):
                now = time.monotonic()
                if phase:
                    seconds[phase] = now - began
                phase, began = event.phase if isinstance(event, PhaseChanged) else "", now
            if isinstance(event, Finished):
                return event.answer, seconds
    raise AssertionError("a run ends with Finished")


async def measure(corpus: Path, size: int, abilities: Abilities, chars: int) -> dict[str, Any]:
    began = time.monotonic()
    facts, questions = build_world(size, SEED)
    check_synonyms(facts, questions)
    work = Path(tempfile.mkdtemp(prefix="swarm-bench-"))
    try:
        model = Simulated(abilities)
        answer, seconds = await read_all(corpus, work / "swarm.db", model)
        assert not answer.coverage.chars_unread, answer.stopped or answer.failures
        room = abilities.window - reserved_output(model) - FRAME
        began_asking = time.monotonic()
        with open_knowledge(RUN, work / "swarm.db") as memory:
            levels = Counter(int(node.more["level"]) for node in memory.nodes("summary"))
            said = [
                work_out(question, lambda text: Read.of(memory.view(text, tokens=room).text, abilities))
                for question in questions
            ]
        seconds["questions"] = time.monotonic() - began_asking
        rows = {"swarm": score(said)}
        rows |= await baselines(corpus, work / "swarm.db", size * 1e6 / chars, room, questions, abilities)
        counting = next(one.seen for one in said if one.question.kind == "count")
        return {
            "million_tokens": size, "window": abilities.window, "room": room, "planted": len(facts), "rows": rows,
            "findings": answer.findings, "slices": answer.slices, "unsaid": model.unsaid,
            "status": answer.status, "stopped": answer.stopped,
            "calls": dict(model.calls), "sent": dict(model.sent), "written": dict(model.written),
            "rewritten_a_finding": model.written["consolidate"] / max(1, answer.findings),
            "summaries": dict(sorted(levels.items())),
            "overview": {"covered": counting.covered, "left_out": counting.left_out},
            "seconds": seconds | {"all": time.monotonic() - began},
            "store_mb": (work / "swarm.db").stat().st_size / 1e6,
        }  # fmt: skip
    finally:
        shutil.rmtree(work)


async def baselines(
    corpus: Path, store: Path, tokens_a_char: float, room: int, questions: Sequence[Question], abilities: Abilities
) -> dict[str, dict[str, Any]]:
    found = found_in(sorted(corpus.iterdir()), tokens_a_char, abilities)
    rows = {}
    for name, way in {"one window": one_window, "refine": refine, "map-reduce": map_reduce}.items():
        text = " ".join(way(found, room, abilities))
        seen = Read.of(text, abilities)
        if way is one_window:
            seen = Read(seen.facts, seen.totals, room)
        rows[name] = score([work_out(question, partial(lambda seen, _: seen, seen)) for question in questions])
    database = Database.open(store)
    try:
        library = Library(database)
        sources = await gather([str(corpus)], library)

        def look(text: str) -> Read:
            shown, left = [], room
            for passage in library.search(text, sources, PASSAGES):
                if passage.tokens < left:
                    left -= passage.tokens + 1
                    shown.append(passage.text)
            return Read.of("\n".join(shown), abilities)

        rows["top-k"] = score([work_out(question, look) for question in questions])
    finally:
        database.close()
    return rows


def check_synonyms(facts: Sequence[Fact], questions: Sequence[Question]) -> None:
    """A question shares names with the text, and no other word that a search would look for."""
    for relation, (sentence, question) in WORDS.items():
        said = question_terms(f"{sentence.format(s='', v='', t='')} {relation} pence lighthouse mill")
        shared = set(said).intersection(question_terms(f"Find {question.format(x='')}"))
        assert not shared, (relation, shared)
    assert len({fact.sentence for fact in facts}) == len(facts)
    assert len({question.text for question in questions}) == len(questions)


# The table


def apart(arguments: Sequence[str]) -> tuple[dict[str, Any], float]:
    """A row measured in a process of its own, and its peak in megabytes."""
    with tempfile.TemporaryFile() as out:
        process = subprocess.Popen([sys.executable, __file__, *arguments], stdout=out)
        _, status, usage = os.wait4(process.pid, 0)
        out.seek(0)
        text = out.read()
    if status:
        raise SystemExit(f"{arguments} ended with status {status}")
    return json.loads(text), usage.ru_maxrss * 1024 / 1e6


def show(row: dict[str, Any]) -> None:
    calls, seconds, overview = row["calls"], row["seconds"], row["overview"]
    phases = ", ".join(f"{name} {took:.0f}" for name, took in seconds.items() if took >= 1)
    print(
        f"\n{row['million_tokens']} million tokens, window {row['window']:,}, SIMULATED reader: {row['status']}"
        f"{', ' + row['stopped'] if row['stopped'] else ''}; {row['planted']:,} facts planted, "
        f"{row['findings']:,} findings ({row['unsaid']:,} times no place in a reply), {row['slices']:,} slices;\n"
        f"{sum(calls.values()):,} calls, {calls.get('consolidate', 0):,} to consolidate, "
        f"{row['rewritten_a_finding']:.1f} tokens rewritten a finding, summaries by level {row['summaries']};\n"
        f"overview of {overview['covered']:,} findings, {overview['left_out']:,} not shown; {phases}; "
        f"peak {row['peak_mb']:,.0f} MB, store {row['store_mb']:,.0f} MB"
    )
    print(f"{'':12} single  chain     2     3     4  count latest  tokens  views a chain")
    for name, one in row["rows"].items():
        hops = " ".join(f"{one[f'chain of {n}']:5.2f}" for n in (2, 3, 4))
        print(
            f"{name:12} {one['single']:6.3f} {one['chain']:6.2f} {hops} {one['count']:6.2f} {one['latest']:6.2f} "
            f"{one['tokens']:7,.0f} {one['views a chain']:14.1f}"
        )
    print("counts by Swarm, and the key:", row["rows"]["swarm"]["counts"], flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--data", type=Path, action="append", default=[], help="a folder of prose; may be repeated"
    )
    parser.add_argument("--sizes", type=int, nargs="+", default=[1, 10, 100], help="million tokens")
    parser.add_argument("--windows", type=int, nargs="+", default=[8_000, 32_000], help="tokens")
    parser.add_argument("--decay", type=float, default=0.0, help="how likely a full window hides a fact")
    parser.add_argument("--error", type=float, default=0.0, help="how likely a value is noted wrongly")
    parser.add_argument("--out", type=Path, default=Path("bench-results/memory.json"))
    parser.add_argument(
        "--measure", nargs=4, metavar=("CORPUS", "SIZE", "WINDOW", "CHARS"), help=argparse.SUPPRESS
    )
    options = parser.parse_args()
    if options.measure:
        corpus, size, window, chars = options.measure
        abilities = Abilities(window=int(window), decay=options.decay, error=options.error)
        json.dump(asyncio.run(measure(Path(corpus), int(size), abilities, int(chars))), sys.stdout)
        return
    settings = ["--decay", str(options.decay), "--error", str(options.error)]
    rows = []
    for size in options.sizes:
        corpus = Path(tempfile.mkdtemp(prefix="swarm-bench-"))
        try:
            chars = write_corpus(corpus, options.data, build_world(size, SEED)[0], size * 1_000_000, SEED)
            for window in options.windows:
                row, peak = apart([*settings, "--measure", str(corpus), str(size), str(window), str(chars)])
                rows.append(row | {"model": "simulated", "peak_mb": peak})
                show(rows[-1])
        finally:
            shutil.rmtree(corpus)
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(json.dumps(rows, indent=2))
    print(f"written to {options.out}")


if __name__ == "__main__":
    main()
