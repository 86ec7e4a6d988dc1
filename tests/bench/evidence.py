"""Evidence quality with no language model: is what a question needs among what is cited?

    python tests/bench/evidence.py --data DIR [--only hotpotqa,squad] [--json FILE]

Each corpus is handed over as the JSON Lines file it is, and each question is a whole run of Swarm with its
default model and settings, on one store for each corpus; nothing is simulated. A passage counts as cited when a
citation lies inside it; a question counts when all its gold passages are cited. Everything is compared at the
same number of cited characters for each question: what Swarm cites for it. Where Swarm says that there is no
evidence it cites nothing, and neither may the others; how often it answers stands below each table.

Rows: swarm; BM25 over passages, cut to the characters; BM25 over sentences; BM25 over sentences with their
titles; one window of the same size as a reader's, filled with the beginning of the corpus and read by the same
model; random passages; and an oracle that cites the gold passages in turn. A row for the question alone is not
applicable: without material there is nothing to cite.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import re
import string
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import apsw

from swarm import Swarm, Task
from swarm.models.extractive.sentences import split
from swarm.terms import question_terms
from swarm.tokens import o200k

SEED = 20_240_607
SQUAD_SAMPLE = 300
LOCOMO_SAMPLE = 40  # of each conversation
WINDOW_TOKENS = 24_000
"""Of material in one window of the default size, beside the prompt and the reserved reply."""


@dataclass(frozen=True, slots=True)
class Question:
    id: str
    text: str
    gold: tuple[str, ...]
    answers: tuple[str, ...] = ()


@dataclass(slots=True)
class Corpus:
    """One file of records: their ids, their lines as they stand in the file, and their readable text."""

    name: str
    ids: list[str]
    lines: list[str]
    texts: list[str]
    titles: list[str]
    questions: list[Question]


class Index:
    """Full text in memory, for the rows that Swarm is compared with."""

    def __init__(self, texts: Sequence[str]) -> None:
        self.db = apsw.Connection(":memory:")
        self.db.execute("CREATE VIRTUAL TABLE t USING fts5(text, tokenize='porter unicode61 remove_diacritics 2')")
        with self.db:
            self.db.executemany("INSERT INTO t(rowid, text) VALUES (?, ?)", list(enumerate(texts)))

    def search(self, question: str, limit: int) -> list[int]:
        """The rows of the best texts, best first."""
        words = question_terms(question)
        if not words:
            return []
        query = " OR ".join(f'"{word}"' for word in words)
        found = self.db.execute("SELECT rowid FROM t(?) ORDER BY rank LIMIT ?", (query, limit))
        return [int(row) for (row,) in found]


def load(folder: Path, name: str) -> list[Corpus]:
    if name == "locomo":
        return [_conversation(path, folder) for path in sorted((folder / name).glob("conv-*.json"))]
    records = [json.loads(line) for line in (folder / name / "corpus.jsonl").open(encoding="utf-8")]
    asked = [json.loads(line) for line in (folder / name / "questions.jsonl").open(encoding="utf-8")]
    questions = [
        Question(q["id"], q["question"], tuple(q["gold"]), tuple(q.get("answers", ()))) for q in asked if q["gold"]
    ]
    if name == "squad":
        questions = random.Random(SEED).sample(questions, SQUAD_SAMPLE)
    return [_corpus(name, records, questions)]


def _corpus(name: str, records: list[dict[str, str]], questions: list[Question]) -> Corpus:
    return Corpus(
        name=name,
        ids=[record["id"] for record in records],
        lines=[json.dumps(record, ensure_ascii=False) for record in records],
        texts=[record["text"] for record in records],
        titles=[record.get("title") or record.get("speaker", "") for record in records],
        questions=questions,
    )


def _conversation(path: Path, folder: Path) -> Corpus:
    """Turns as records; the audit's corrected evidence taken, its other errors left out."""
    data = json.loads(path.read_text("utf-8"))
    audit = json.loads((folder / "locomo" / "audit-errors.json").read_text("utf-8"))
    mended = {}
    for error in audit:
        mended[error["question"]] = (
            error.get("correct_evidence") if error["error_type"] == "WRONG_CITATION" else None
        )
    known = {turn["id"] for turn in data["turns"]}
    questions = []
    for number, q in enumerate(data["questions"]):
        gold = mended.get(q["question"], q["evidence"]) if q["question"] in mended else q["evidence"]
        if q["answerable"] and gold and known.issuperset(gold):
            questions.append(Question(f"{path.stem}/{number}", q["question"], tuple(dict.fromkeys(gold))))
    records = [
        {"id": t["id"], "time": t["at"], "speaker": t["speaker"], "text": t["text"]}
        | ({"image": t["image_caption"]} if t.get("image_caption") else {})
        for t in data["turns"]
    ]
    sample = random.Random(SEED).sample(questions, min(LOCOMO_SAMPLE, len(questions)))
    return _corpus("locomo", records, sample)


@dataclass(slots=True)
class Outcome:
    """What a run cites: records by number, in order, and characters; and what it says in short."""

    rows: list[int]
    chars: int
    short: str | None
    answered: bool
    statements: int
    rounds: int
    seconds: float
    quotes: list[str]


async def ask(swarm: Swarm, file: Path, question: str) -> Outcome:
    """One run over one file, in which a record is a line."""
    begun = time.process_time()
    answer = await swarm.run(Task(questions=(question,), paths=(str(file),)))
    return Outcome(
        rows=[(citation.line or 1) - 1 for citation in answer.citations],
        chars=sum(citation.end - citation.start for citation in answer.citations),
        short=answer.short,
        answered=answer.status == "answered",
        statements=len(answer.statements),
        rounds=answer.rounds,
        seconds=time.process_time() - begun,
        quotes=[citation.quote for citation in answer.citations],
    )


def passages_cut(corpus: Corpus, rows: Iterable[int], chars: int) -> list[int]:
    """The passages that a run of them in this order touches, when it is cut to so many characters."""
    taken = []
    for row in rows:
        if chars <= 0:
            break
        taken.append(row)
        chars -= len(corpus.texts[row])
    return taken


class Sentences:
    """BM25 over the sentences of a corpus, with their titles or without."""

    def __init__(self, corpus: Corpus, titled: bool) -> None:
        self.of: list[int] = []
        self.sizes: list[int] = []
        texts = []
        for row, text in enumerate(corpus.texts):
            for start, end in split(text):
                self.of.append(row)
                self.sizes.append(end - start)
                texts.append(f"{corpus.titles[row]} {text[start:end]}" if titled else text[start:end])
        self.index = Index(texts)

    def cite(self, question: str, chars: int) -> list[int]:
        taken = []
        for row in self.index.search(question, 100):
            if chars <= 0:
                break
            taken.append(self.of[row])
            chars -= self.sizes[row]
        return taken


def first_window(corpus: Corpus) -> list[str]:
    """The lines at the beginning of the corpus that one window holds."""
    used = 0
    for row, line in enumerate(corpus.lines):
        used += o200k(line)
        if used > WINDOW_TOKENS:
            return corpus.lines[:row]
    return corpus.lines


def recall(corpus: Corpus, gold: Sequence[str], rows: Iterable[int]) -> float:
    cited = {corpus.ids[row] for row in rows}
    return sum(one in cited for one in gold) / len(gold)


ROWS = ("swarm", "bm25 passages", "bm25 sentences", "bm25 titled sentences", "one window", "random", "oracle")


async def measure(corpora: list[Corpus], folder: Path) -> list[dict[str, object]]:
    """For every question: the recall of each row, and what Swarm said."""
    results: list[dict[str, object]] = []
    for place, corpus in enumerate(corpora):
        whole, head = folder / f"{place}.jsonl", folder / f"{place}-head.jsonl"
        whole.write_text("".join(f"{line}\n" for line in corpus.lines), "utf-8")
        head.write_text("".join(f"{line}\n" for line in first_window(corpus)), "utf-8")
        swarm = Swarm(store=folder / f"{place}.db")
        plain, titled = Sentences(corpus, titled=False), Sentences(corpus, titled=True)
        passages = Index(corpus.lines)
        dice = random.Random(SEED)
        by_id = {id_: row for row, id_ in enumerate(corpus.ids)}
        for number, question in enumerate(corpus.questions):
            outcome = await ask(swarm, whole, question.text)
            one = await ask(swarm, head, question.text)
            chars = outcome.chars
            everything = list(range(len(corpus.texts)))
            dice.shuffle(everything)
            rows = {
                "swarm": outcome.rows,
                "bm25 passages": passages_cut(corpus, passages.search(question.text, 100), chars),
                "bm25 sentences": plain.cite(question.text, chars),
                "bm25 titled sentences": titled.cite(question.text, chars),
                "one window": one.rows,
                "random": passages_cut(corpus, everything, chars),
                "oracle": passages_cut(corpus, [by_id[id_] for id_ in question.gold], chars),
            }
            results.append(
                {
                    "id": question.id,
                    "half": "even" if number % 2 == 0 else "odd",
                    "question": question.text,
                    "gold": list(question.gold),
                    "recall": {row: recall(corpus, question.gold, rows[row]) for row in ROWS},
                    "chars": outcome.chars,
                    "statements": outcome.statements,
                    "rounds": outcome.rounds,
                    "answerable": outcome.answered,
                    "seconds": outcome.seconds,
                    "short": outcome.short,
                    "answers": list(question.answers),
                    "cited": [[corpus.ids[row], q] for row, q in zip(outcome.rows, outcome.quotes, strict=True)],
                }
            )
    return results


def interval(differences: Sequence[float], times: int = 4_000) -> tuple[float, float]:
    """The 95% interval of the mean of paired differences, by bootstrap."""
    dice = random.Random(SEED)
    count = len(differences)
    means = sorted(sum(dice.choices(differences, k=count)) / count for _ in range(times))
    return means[int(0.025 * times)], means[int(0.975 * times)]


def normal(text: str) -> list[str]:
    """As SQuAD's own script compares answers."""
    plain = "".join(c for c in text.lower() if c not in string.punctuation)
    return re.sub(r"\b(a|an|the)\b", " ", plain).split()


def exact_and_f1(short: str | None, answers: Sequence[str]) -> tuple[float, float]:
    if not short:
        return 0.0, 0.0
    said = normal(short)
    exact = best = 0.0
    for one in answers:
        right = normal(one)
        common = sum((Counter(said) & Counter(right)).values())
        exact = max(exact, float(said == right))
        if common:
            best = max(best, 2 * common / (len(said) + len(right)))
    return exact, best


def report(name: str, results: list[dict[str, object]], say: Callable[[str], None]) -> dict[str, object]:
    """Print one set's table and return its numbers."""

    def values(row: str, of: Callable[[float], float], half: str | None = None) -> list[float]:
        return [of(r["recall"][row]) for r in results if half in (None, r["half"])]  # type: ignore[index]

    def mean(numbers: Sequence[float]) -> float:
        return sum(numbers) / len(numbers) if numbers else 0.0

    def whole(value: float) -> float:
        return float(value == 1.0)

    say(f"\n{name}: {len(results)} questions")
    say(f"{'':24}{'all gold':>9}{'even':>7}{'odd':>7}{'recall':>8}   swarm is ahead by (95% interval, all gold)")
    table: dict[str, object] = {}
    for row in ROWS:
        ahead = [a - b for a, b in zip(values("swarm", whole), values(row, whole), strict=True)]
        low, high = interval(ahead)
        all_gold, gold_recall = mean(values(row, whole)), mean(values(row, float))
        even, odd = (mean(values(row, whole, half)) for half in ("even", "odd"))
        note = "" if row == "swarm" else f"{mean(ahead):+.3f} ({low:+.3f} to {high:+.3f})"
        say(f"{row:24}{all_gold:9.3f}{even:7.3f}{odd:7.3f}{gold_recall:8.3f}   {note}")
        table[row] = {
            "all_gold": all_gold, "even": even, "odd": odd, "recall": gold_recall,
            "ahead": mean(ahead), "interval": [low, high],
        }  # fmt: skip
    chars = sorted(int(r["chars"]) for r in results)  # type: ignore[call-overload]
    seconds = sorted(float(r["seconds"]) for r in results)  # type: ignore[arg-type]
    said = {
        "chars_mean": mean(chars), "chars_p95": chars[int(0.95 * len(chars))],
        "statements": mean([int(r["statements"]) for r in results]),  # type: ignore[call-overload]
        "rounds": mean([int(r["rounds"]) for r in results]),  # type: ignore[call-overload]
        "answered": mean([float(bool(r["answerable"])) for r in results]),
        "cpu_seconds_mean": mean(seconds), "cpu_seconds_p95": seconds[int(0.95 * len(seconds))],
    }  # fmt: skip
    say(
        "cited characters {chars_mean:.0f} (p95 {chars_p95}), statements {statements:.1f}, rounds {rounds:.2f}, "
        "answered {answered:.3f}, CPU {cpu_seconds_mean:.2f} s (p95 {cpu_seconds_p95:.2f})".format(**said)
    )  # fmt: skip
    if any(r["short"] for r in results) and any(r["answers"] for r in results):
        pairs = [exact_and_f1(r["short"], r["answers"]) for r in results if r["answers"]]  # type: ignore[arg-type]
        said |= {"exact": mean([e for e, _ in pairs]), "f1": mean([f for _, f in pairs])}
        say("short answers: exact {exact:.3f}, F1 {f1:.3f}".format(**said))
    return {"table": table, "swarm": said}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--only", default="hotpotqa,musique,2wiki,squad,locomo")
    parser.add_argument("--json", type=Path, default=Path("bench-results/evidence.json"))
    options = parser.parse_args()
    out: dict[str, object] = {}
    for name in options.only.split(","):
        with tempfile.TemporaryDirectory(prefix="swarm-bench-") as folder:
            results = asyncio.run(measure(load(options.data, name), Path(folder)))
        out[name] = report(name, results, print) | {"questions": results}
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps(out, indent=1, ensure_ascii=False), "utf-8")
    print(f"\nwritten to {options.json}")


if __name__ == "__main__":
    main()
