"""What remembering and looking up cost as a memory grows: at 1,000, 100,000 and 1,000,000 messages, offline.

    python tests/bench/remembering.py [--data DIR] [--sizes 1000 100000 1000000] [--out FILE]

Each size is a process of its own with a fresh store. Messages are the sentences of books: of the archives of
Markdown below the folder named with `--data` (again from the beginning where they are too few), or else made up
of words that are as frequent as words are. Two speakers take turns, with a break of half a day every 20 messages.
The memory is filled 500 messages at a time. Then, in milliseconds, median and 95%:

- remember: one new message, and a hundred at once, each durable when it returns;
- view: of 2,000 o200k tokens, on the words of a random message;
- whole list: the last 200 messages and a new one, handed over together, as a client without a memory does.

The baseline of the same run is SQLite's full-text index over the same texts in a file of its own, with the same
durability: one insert, a hundred inserts, and the 60 best of all rows that hold a word of the question. Nothing is
simulated, and no language model is called.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import re
import resource
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import apsw
import numpy as np

from swarm.memory.memory import Memory, open_memory
from swarm.memory.messages import Message
from swarm.terms import question_terms

SEED = 20_240_607
FILL = 500
BATCH = 100
TOKENS = 2_000
SPEAKERS = (("user", "Anna"), ("assistant", "Ben"))
_SENTENCE = re.compile(r"(?<=[.!?])[\"'”’)]*\s+")
_BEST = 60
_BEGAN = datetime(2020, 1, 1, 8)


def sentences(folder: Path | None, seed: int = SEED) -> Iterator[str]:
    """Sentences without an end."""
    read = folder is not None
    while folder is not None and read:
        read = False
        for text in _books(folder):
            for paragraph in text.split("\n\n"):
                for sentence in _SENTENCE.split(" ".join(paragraph.split())):
                    if 20 <= len(sentence) <= 1_000:
                        read = True
                        yield sentence
    dice = random.Random(seed)
    words = ["".join(dice.choice("bcdfgklmnprstvw") + dice.choice("aeiou") for _ in range(dice.randint(1, 4)))
             for _ in range(30_000)]  # fmt: skip
    while True:
        count = dice.randint(6, 30)
        yield " ".join(words[min(len(words) - 1, int(dice.paretovariate(0.9)) - 1)] for _ in range(count)) + "."


def _books(folder: Path) -> Iterator[str]:
    for path in sorted(folder.rglob("*")):
        if path.name.endswith((".tar.gz", ".tgz")):
            with tarfile.open(path) as archive:
                for member in archive:
                    if (
                        member.name.endswith((".md", ".txt"))
                        and (opened := archive.extractfile(member)) is not None
                    ):
                        yield opened.read().decode("utf-8", "replace")
        elif path.suffix in {".md", ".txt"} and path.name != "README.md":
            yield path.read_text("utf-8", "replace")


def messages(folder: Path | None) -> Iterator[Message]:
    at = _BEGAN
    for number, text in enumerate(sentences(folder)):
        at += timedelta(seconds=90) if number % 20 else timedelta(hours=12)
        role, name = SPEAKERS[number % 2]
        yield Message(role=role, name=name, text=text, at=at.isoformat())


class Bare:
    """The baseline: the same texts in SQLite's full-text index, and nothing else."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._database = apsw.Connection(str(path))
        self._database.execute("PRAGMA journal_mode = WAL")
        self._database.execute("PRAGMA synchronous = FULL")
        self._database.execute("CREATE VIRTUAL TABLE f USING fts5(text, tokenize='porter unicode61')")

    async def insert(self, texts: list[str]) -> None:
        with self._database:
            self._database.executemany("INSERT INTO f (text) VALUES (?)", [(text,) for text in texts])

    async def search(self, question: str) -> None:
        query = " OR ".join(f'"{word}"' for word in question_terms(question))
        sql = "SELECT rowid, text FROM f WHERE f MATCH ? ORDER BY rank LIMIT ?"
        assert self._database.execute(sql, (query, _BEST)).fetchall()

    def close(self) -> None:
        self._database.close()


async def timed(run: Callable[[int], Awaitable[Any]], times: int) -> dict[str, float]:
    """Milliseconds, the first call left out."""
    took = []
    for number in range(times + 1):
        begun = time.perf_counter()
        await run(number)
        took.append(1_000 * (time.perf_counter() - begun))
    median, late = np.quantile(took[1:], (0.5, 0.95))
    return {"median": float(median), "95%": float(late)}


async def fill(
    memory: Memory, bare: Bare, source: Iterator[Message], size: int
) -> tuple[list[Message], float, float]:
    """Remember so many messages; a sample of them, and seconds for the memory and for the baseline."""
    dice, sample, ours, theirs = random.Random(SEED), list[Message](), 0.0, 0.0
    for done in range(0, size, FILL):
        portion = [next(source) for _ in range(min(FILL, size - done))]
        sample += dice.sample(portion, max(1, len(portion) * 1_000 // size))
        begun = time.perf_counter()
        await memory.remember(portion)
        ours += time.perf_counter() - begun
        begun = time.perf_counter()
        await bare.insert([one.text for one in portion])
        theirs += time.perf_counter() - begun
    return sample, ours, theirs


async def measure(size: int, folder: Path | None, store: Path) -> dict[str, Any]:
    source, bare = messages(folder), Bare(store / "bare.db")
    async with open_memory("bench", store=store / "memory.db") as memory:
        sample, ours, theirs = await fill(memory, bare, source, size)
        spare, held = [next(source) for _ in range(2_000)], [next(source) for _ in range(200)]
        dice = random.Random(SEED)
        asked = [_question(dice.choice(sample).text, dice) for _ in range(41)]
        texts = [one.text for one in spare]
        seen: list[int] = []

        async def view(number: int) -> None:
            seen.append((await memory.view(asked[number], tokens=TOKENS)).tokens)

        at = BATCH * 10
        table = {
            "view": await timed(view, 40),
            "remember one": await timed(lambda n: memory.remember(spare[n : n + 1]), 40),
            "remember batch": await timed(lambda n: memory.remember(spare[at + n * BATCH :][:BATCH]), 8),
        }
        await memory.remember(held)
        table["whole list"] = await timed(lambda n: memory.remember([*held, *spare[100 : 101 + n]]), 20)
        table |= {
            "bare search": await timed(lambda n: bare.search(asked[n]), 40),
            "bare one": await timed(lambda n: bare.insert(texts[n : n + 1]), 40),
            "bare batch": await timed(lambda n: bare.insert(texts[at + n * BATCH :][:BATCH]), 8),
        }
        total = memory.tokens
    bare.close()
    return {
        "messages": size, "tokens": total, "milliseconds": table, "view tokens": float(np.median(seen)),
        "fill": {"seconds": ours, "bare": theirs},
        "megabytes": {"store": _megabytes(store, "memory.db*"), "bare": _megabytes(store, "bare.db*")},
        "peak RSS MB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1_024,
    }  # fmt: skip


def _question(text: str, dice: random.Random) -> str:
    words = question_terms(text)
    return f"What did Anna say about {' '.join(dice.sample(words, min(6, len(words))))}?"


def _megabytes(folder: Path, pattern: str) -> float:
    return sum(path.stat().st_size for path in folder.glob(pattern)) / 1e6


def report(one: dict[str, Any], say: Callable[[str], None]) -> None:
    took, fill_, size = one["milliseconds"], one["fill"], one["megabytes"]
    say(f"\n{one['messages']:,} messages, {one['tokens']:,} tokens")
    pairs = {
        "view": "bare search",
        "remember one": "bare one",
        "remember batch": "bare batch",
        "whole list": "bare one",
    }
    say(f"{'milliseconds':16}{'median':>9}{'95%':>9}{'bare':>9}{'ratio':>8}")
    for name, bare in pairs.items():
        mine, theirs = took[name], took[bare]
        ratio = mine["median"] / theirs["median"]
        say(f"{name:16}{mine['median']:9.2f}{mine['95%']:9.2f}{theirs['median']:9.2f}{ratio:8.2f}")
    rate, times = one["messages"] / fill_["seconds"], fill_["seconds"] / fill_["bare"]
    say(f"filled at {rate:,.0f} messages a second ({times:.1f} x the seconds of bare)")
    times = size["store"] / size["bare"]
    say(f"store {size['store']:.0f} MB ({times:.1f} x bare), peak {one['peak RSS MB']:.0f} MB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--sizes", type=int, nargs="+", default=[1_000, 100_000, 1_000_000])
    parser.add_argument("--out", type=Path, default=Path("bench-results/remembering.json"))
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one is not None:
        with tempfile.TemporaryDirectory(prefix="swarm-bench-") as folder:
            print(json.dumps(asyncio.run(measure(options.one, options.data, Path(folder)))))
        return
    results = []
    for size in options.sizes:
        command = [sys.executable, __file__, "--one", str(size)]
        command += ["--data", str(options.data)] if options.data is not None else []
        results.append(json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout))
        report(results[-1], lambda line: print(line, flush=True))
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(results, indent=1), "utf-8")
    print(f"\nwritten to {options.out}")


if __name__ == "__main__":
    main()
