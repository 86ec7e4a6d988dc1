"""Same or different: precision and recall on labelled pairs of claims, by kind of difference.

    python tests/bench/alike.py [--pairs FILE.jsonl]...

The pairs that come with the tests were written by hand, by someone who did not know the rule: `pairs-dev.jsonl`
was looked at while the rule was made, `pairs-test.jsonl` was not. A file of your own has a line of JSON for each
pair: `a`, `b`, `same`, `tag`. Beside the rule stands what MinHash estimates, the Jaccard likeness of the words,
with the same guard on numbers, dates and negations. Nothing is simulated.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from swarm.claims import read_claim
from swarm.graph.alike import same

DATA = Path(__file__).parents[1] / "graph" / "data"


def jaccard(least: float) -> Callable[[str, str], bool]:
    def alike(one: str, other: str) -> bool:
        a, b = read_claim(one), read_claim(other)
        both = len({*a.words} | {*b.words})
        return a.guard == b.guard and len({*a.words} & {*b.words}) >= least * both

    return alike


def measure(pairs: list[dict[str, Any]], rule: Callable[[str, str], bool]) -> tuple[float, float, Counter[str]]:
    found = [pair for pair in pairs if rule(pair["a"], pair["b"])]
    right = sum(pair["same"] for pair in found)
    wrong = Counter(pair["tag"] for pair in pairs if rule(pair["a"], pair["b"]) != pair["same"])
    return right / max(1, len(found)), right / sum(pair["same"] for pair in pairs), wrong


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=Path, action="append", help="a file of labelled pairs; may be repeated")
    files = parser.parse_args().pairs or sorted(DATA.glob("*.jsonl"))
    for file in files:
        pairs = [json.loads(line) for line in file.read_text("utf-8").splitlines()]
        print(f"{file.name}: {len(pairs)} pairs, {sum(pair['same'] for pair in pairs)} of them the same")
        for name, rule in (
            ("the rule", same),
            *((f"Jaccard {least}, guarded", jaccard(least)) for least in (1.0, 0.9, 0.8, 0.7)),
        ):
            precision, recall, wrong = measure(pairs, rule)
            print(f"  {name:22} precision {precision:.3f}  recall {recall:.3f}")
            if rule is same:
                print(f"  {'':22} wrong: {', '.join(f'{count} {tag}' for tag, count in wrong.most_common())}")


if __name__ == "__main__":
    main()
