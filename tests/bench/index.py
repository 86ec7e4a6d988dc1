"""What an index adds to the library's search over real questions: are the passages that hold the evidence among
the first?

    python tests/bench/index.py --data DIR [--embed MODULE:FUNCTION] [--only hotpotqa,squad] [--out FILE]

An entry is a passage under its title. Recall is the share of a question's gold passages among the first 5, 20 and
50. Rows: bm25, SQLite's full text over the whole store; words, `SqliteIndex` without an embedding; vectors, the
embedding alone, compared exactly; both, `SqliteIndex` with it; fused, what a run looks at: bm25 and `both` by
their places. Without `--embed` the embedding is a SIMULATED one, which counts words and knows no meaning; `--embed
wordllama` takes the static vectors that come with that package (256 numbers; nothing is fetched).

Below each table: by how much a row is ahead of bm25, with the 95% interval by paired bootstrap. A difference whose
interval holds zero may be chance.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import tempfile
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from evidence import SEED, Corpus, Index, load
from retrieval import SETS, SQUAD_SAMPLE, interval

from swarm.index import Embed, Entry, SqliteIndex, fused
from swarm.testing.vectors import by_words

SPACE = "bench"
FIRST = (5, 20, 50)
ROWS = ("bm25", "words", "vectors", "both", "fused")
_DEEP = 100


def wordllama() -> Embed:
    package = import_module("wordllama")
    folder = Path(package.__file__ or "").parent  # its weights and its tokenizer come with it
    model = package.WordLlama.load(cache_dir=folder, disable_download=True)

    def embed(texts: Sequence[str]) -> Any:
        return model.embed(list(texts))

    return embed


def named(name: str | None) -> Embed:
    if name is None or name == "wordllama":
        return wordllama() if name else by_words
    module, _, function = name.partition(":")
    embed: Embed = getattr(import_module(module), function)
    return embed


def unit(embed: Embed, texts: Sequence[str]) -> Any:
    vectors = np.asarray(embed(texts), dtype=np.float32)
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)


async def measure(corpus: Corpus, embed: Embed, folder: Path) -> list[dict[str, list[float]]]:
    """For each question, the recall of each row among the first of `FIRST`."""
    texts = [f"{title}\n{text}" for title, text in zip(corpus.titles, corpus.texts, strict=True)]
    places = range(len(texts))
    entries = [Entry(str(at), corpus.texts[at], corpus.titles[at]) for at in places]
    bm25, vectors, number = Index(texts), unit(embed, texts), {id_: at for at, id_ in enumerate(corpus.ids)}
    results = []
    async with SqliteIndex(folder / "words.db") as words, SqliteIndex(folder / "both.db", embed=embed) as both:
        for index in (words, both):
            await index.add(SPACE, entries)
        for question in corpus.questions:
            found = {
                "bm25": bm25.search(question.text, _DEEP),
                "words": [int(hit.id) for hit in await words.search(SPACE, question.text, _DEEP)],
                "vectors": np.argsort(-(vectors @ unit(embed, [question.text])[0]), kind="stable").tolist(),
                "both": [int(hit.id) for hit in await both.search(SPACE, question.text, _DEEP)],
            }
            found["fused"] = [at for at, _ in fused([found["bm25"], found["both"]])]
            gold = {number[id_] for id_ in question.gold}
            results.append({r: [len(gold & set(found[r][:n])) / len(gold) for n in FIRST] for r in ROWS})
    return results


def report(name: str, results: Sequence[dict[str, list[float]]]) -> dict[str, Any]:
    """Print one set's tables and return its numbers."""
    print(f"\n{name}: {len(results)} questions")
    print(f"{'':10}" + "".join(f"{f'@{first}':>8}" for first in FIRST) + "   ahead of bm25 (95% interval)")
    out: dict[str, Any] = {}
    for row in ROWS:
        means = np.mean([one[row] for one in results], axis=0).tolist()
        ahead = []
        for at in range(len(FIRST)):
            differences = [one[row][at] - one["bm25"][at] for one in results]
            ahead.append((float(np.mean(differences)), *interval(differences)))
        said = "  ".join(f"{m:+.3f} ({low:+.3f} to {high:+.3f})" for m, low, high in ahead) if out else ""
        print(f"{row:10}" + "".join(f"{mean:8.3f}" for mean in means) + f"   {said}", flush=True)
        out[row] = {"recall": means, "ahead": ahead}
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--only", default=SETS)
    parser.add_argument("--embed", metavar="MODULE:FUNCTION", help="`wordllama`, or an embedding of yours")
    parser.add_argument("--out", type=Path, default=Path("bench-results/index.json"))
    options = parser.parse_args()
    embed, out = named(options.embed), {}
    for name in options.only.split(","):
        (corpus,) = load(options.data, name)
        if name == "squad":
            corpus.questions = random.Random(SEED).sample(corpus.questions, SQUAD_SAMPLE)
        with tempfile.TemporaryDirectory(prefix="swarm-bench-") as folder:
            out[name] = report(name, asyncio.run(measure(corpus, embed, Path(folder))))
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(out, indent=1), "utf-8")
    print(f"\nwritten to {options.out}")


if __name__ == "__main__":
    main()
