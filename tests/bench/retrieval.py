"""Retrieval over real questions of one to four hops: are the passages that hold the evidence among what is shown?

    python tests/bench/retrieval.py --data DIR [--only hotpotqa,squad] [--out bench-results/retrieval.json]

The graph is made with no language model, and nothing is simulated: every sentence of every passage is a finding,
with the sentence as its evidence and the passage's title as its subject; a passage is a source and a report. So
this measures what choosing from a graph is worth, and says nothing of how well a model reads.

Recall is the share of a question's gold passages that are found: among the first five passages, and in what 1,000
and 4,000 o200k tokens hold. `all` is the share of questions with every gold passage found. Whatever is the first
not to fit a budget is clipped there and counts, for each row but the view, which pays for its frame and ids.

- bm25 passages: SQLite's full-text index over title and text, whole passages in the order of their rank;
- bm25 sentences: the graph's own search over findings, a finding a line as a view shows it;
- pagerank: the walk of `swarm/views/candidates.py` alone, in the order in which it reaches findings;
- nx.pagerank: networkx over the exported graph with the same seeds, as a reference from outside, on small sets;
- view: `view(graph, question, tokens)`, without quotes; the first five passages are those of `candidates`;
- title alone: passages whose whole title the question says, longest first: what can be had without reading them;
- random passages, and an oracle that shows the gold passages first.

A difference counts when its 95% interval, by paired bootstrap, excludes zero. The weights of the view were chosen
on the questions of even number of hotpotqa, musique and 2wiki: what it is worth shows on the odd half.
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import networkx as nx
import numpy as np
from evidence import SEED, Corpus, Index, Question, load
from networkx.algorithms.link_analysis.pagerank_alg import _pagerank_python  # type: ignore[attr-defined]

from swarm.graph.export import to_networkx
from swarm.graph.graph import SharedGraph
from swarm.graph.identity import digest, finding_id, name_of, slice_id
from swarm.graph.nodes import Part
from swarm.graph.rows import Row
from swarm.graph.search import scored
from swarm.models.extractive.sentences import split
from swarm.source import Source, Span
from swarm.store.database import Database
from swarm.task import Finding, Report
from swarm.terms import terms
from swarm.tokens import o200k
from swarm.views import candidates as walking
from swarm.views.candidates import candidates
from swarm.views.view import SHORT_ID, view

SETS = "hotpotqa,musique,2wiki,squad"
SMALL = ("hotpotqa", "musique")  # where networkx takes one to three seconds for a question
SQUAD_SAMPLE = 150
FIRST = 5
BUDGETS = (1_000, 4_000)
MEASURES = (f"@{FIRST}", *(f"@{budget // 1000}k" for budget in BUDGETS))
ROWS = "bm25 passages,bm25 sentences,pagerank,nx.pagerank,view,title alone,random,oracle".split(",")
COMPARED = ("bm25 passages", "bm25 sentences", "pagerank")
RESAMPLES = 10_000
_BATCH = 400  # parts in one transaction
_DEEP = 400  # findings or passages looked at


@dataclass(slots=True)
class Found:
    """What a row of the table finds for one question: passages by number, in order; and within each budget."""

    first: list[int]
    within: dict[int, set[int]]


def parts(corpus: Corpus) -> Iterator[Part]:
    """A source and a report of each passage."""
    for id_, title, text in zip(corpus.ids, corpus.titles, corpus.texts, strict=True):
        source = digest("source", id_, text)
        found: dict[str, Finding] = {}
        for start, end in split(text, lines=False):
            claim = text[start:end]
            one = finding_id(claim, title)
            spans = found[one].evidence if one in found else ()
            evidence = (*spans, Span(source, start, end))
            found[one] = Finding(id=one, claim=claim, evidence=evidence, subject=title)
        yield Source(id=source, path=title, media="text", chars=len(text), bytes=len(text.encode()))
        whole = slice_id("", [Span(source, 0, len(text))], 1, "")
        yield Report(slice=whole, question="", findings=tuple(found.values()))


def build(database: Database, corpus: Corpus) -> SharedGraph:
    graph = SharedGraph(database, corpus.name)
    many = list(parts(corpus))
    for at in range(0, len(many), _BATCH):
        database.write_sync(graph.change(*many[at : at + _BATCH]))
    return graph


class Bench:
    """One set: its graph, its index, and what each row finds for a question."""

    def __init__(self, corpus: Corpus, graph: SharedGraph, networkx: bool) -> None:
        self.corpus, self.graph = corpus, graph
        self.number = {id_: at for at, id_ in enumerate(corpus.ids)}
        pairs = enumerate(zip(corpus.ids, corpus.texts, strict=True))
        self._of = {digest("source", id_, text): at for at, (id_, text) in pairs}
        self._texts = [f"{title}\n{text}" for title, text in zip(corpus.titles, corpus.texts, strict=True)]
        self._index = Index(self._texts)
        self._titles = [set(terms(title.split(" (")[0])) for title in corpus.titles]
        self._dice = random.Random(SEED)
        self._plain = _plain(graph) if networkx else None
        self.milliseconds: list[float] = []

    def rows(self, question: Question) -> dict[str, Found]:
        graph, text = self.graph, question.text
        reached = [one for one in candidates(graph, text, 20 * _DEEP) if one.reached > 0]
        reached.sort(key=lambda one: (-one.reached, one.row.id))
        everything = list(range(len(self._texts)))
        self._dice.shuffle(everything)
        gold = [self.number[id_] for id_ in question.gold]
        result = {
            "bm25 passages": self._passages(self._index.search(text, _DEEP)),
            "bm25 sentences": self._lines([row for row, _ in scored(graph, text, _DEEP, ("finding",))]),
            "pagerank": self._lines([one.row for one in reached[:_DEEP]]),
            "view": self._view(text),
            "title alone": self._passages(self._said(text)),
            "random": self._passages(everything[:_DEEP]),
            "oracle": self._passages(gold),
        }
        if self._plain is not None:
            result["nx.pagerank"] = self._lines(self._outside(self._plain, text))
        return result

    def _view(self, question: str) -> Found:
        within = {}
        for budget in BUDGETS:
            begun = time.perf_counter()
            seen = view(self.graph, question, budget)
            took = time.perf_counter() - begun
            within[budget] = {at for finding in seen.findings for at in self._holding(finding)}
        self.milliseconds.append(1000 * took)
        found = self.graph.findings(one.row for one in candidates(self.graph, question, 100))
        return Found(first=_distinct(self._holding(finding) for finding in found), within=within)

    def _holding(self, finding: Finding) -> list[int]:
        return list(dict.fromkeys(self._of[span.source] for span in finding.evidence))

    def _passages(self, order: Sequence[int]) -> Found:
        return _filled([((at,), o200k(self._texts[at])) for at in order])

    def _lines(self, rows: Sequence[Row]) -> Found:
        return _filled([(self._holding(one), o200k(_line(one)) + 1) for one in self.graph.findings(rows)])

    def _said(self, question: str) -> list[int]:
        words = set(terms(question))
        said = [at for at, title in enumerate(self._titles) if title and title <= words]
        return sorted(said, key=lambda at: (-len(self._titles[at]), at))

    def _outside(self, plain: nx.DiGraph[str], question: str) -> list[Row]:
        """Findings as networkx's PageRank orders them, from the seeds of the walk; in its form without scipy."""
        matched = scored(self.graph, question, walking._SEEDS, ("finding",))
        if not matched:
            return []
        best = matched[0][1]
        start = {row.num: (score / best) ** walking._SHARPNESS for row, score in matched}
        start = walking._with_names(self.graph, question, start)
        seeds = {row.id: start[row.num] for row in self.graph.rows(start)}
        rank: dict[str, float] = _pagerank_python(plain, alpha=1 - walking._DAMPING, personalization=seeds)
        order = sorted((id_ for id_ in rank if id_.startswith("f")), key=lambda id_: (-rank[id_], id_))
        return [row for id_ in order[:_DEEP] if (row := self.graph.row(id_)) is not None]


def _plain(graph: SharedGraph) -> nx.DiGraph[str]:
    """The exported graph: findings, what they are about and cite, each edge both ways and without attributes."""
    whole = to_networkx(graph)
    kept = {"about", "cites", "supports"}
    made: nx.DiGraph[str] = nx.DiGraph()
    made.add_nodes_from(whole)
    for one, other, kind in whole.edges(keys=True):
        if kind in kept:
            made.add_edges_from(((one, other), (other, one)))
    return made


def _line(finding: Finding) -> str:
    """As a view shows it."""
    claim, title = " ".join(finding.claim.split()), finding.subject or ""
    claim = claim if name_of(title) in claim.casefold() else f"{title}: {claim}"
    return f"- [{finding.id[:SHORT_ID]}] {claim}"


def _filled(shown: Sequence[tuple[Sequence[int], int]]) -> Found:
    """Of passages shown and the tokens that takes, in order."""
    within: dict[int, set[int]] = {}
    for budget in BUDGETS:
        left, taken = budget, within.setdefault(budget, set())
        for passages, cost in shown:
            if left <= 0:
                break
            taken.update(passages)
            left -= cost
    return Found(first=_distinct(passages for passages, _ in shown), within=within)


def _distinct(groups: Iterable[Sequence[int]]) -> list[int]:
    return list(dict.fromkeys(at for group in groups for at in group))


def measure(bench: Bench) -> list[dict[str, Any]]:
    """For each question, the recall of each row by each measure."""
    results = []
    for number, question in enumerate(bench.corpus.questions):
        gold = {bench.number[id_] for id_ in question.gold}
        recall = {}
        for name, row in bench.rows(question).items():
            sets = (set(row.first[:FIRST]), *(row.within[budget] for budget in BUDGETS))
            found = [len(gold & one) / len(gold) for one in sets]
            recall[name] = dict(zip(MEASURES, found, strict=True))
        results.append({"id": question.id, "question": question.text, "odd": number % 2 == 1, "recall": recall})
    return results


def interval(differences: Sequence[float]) -> tuple[float, float]:
    """The 95% interval of the mean of paired differences, by bootstrap."""
    values = np.asarray(differences)
    drawn = np.random.default_rng(SEED).integers(0, len(values), (RESAMPLES, len(values)))
    low, high = np.quantile(values[drawn].mean(axis=1), (0.025, 0.975))
    return float(low), float(high)


def report(title: str, results: Sequence[Mapping[str, Any]], say: Callable[[str], None]) -> dict[str, Any]:
    """Print one table and return its numbers."""

    def values(row: str, by: str) -> list[float]:
        return [one["recall"][row][by] for one in results]

    def all_found(row: str, by: str) -> list[float]:
        return [float(value == 1.0) for value in values(row, by)]

    say(f"\n{title}: {len(results)} questions")
    head = [f"recall{by}" for by in MEASURES] + [f"all{by}" for by in MEASURES]
    say(f"{'':16}" + "".join(f"{one:>10}" for one in head))
    rows = [row for row in ROWS if row in results[0]["recall"]]
    table: dict[str, Any] = {"rows": {}, "view ahead": {}}
    for row in rows:
        means = [float(np.mean(of(row, by))) for of in (values, all_found) for by in MEASURES]
        say(f"{row:16}" + "".join(f"{mean:10.3f}" for mean in means))
        table["rows"][row] = dict(zip(head, means, strict=True))
    for row in COMPARED:
        ahead = table["view ahead"][row] = {}
        for name, of in (("recall", values), ("all", all_found)):
            said = []
            for by in MEASURES:
                pairs = [a - b for a, b in zip(of("view", by), of(row, by), strict=True)]
                low, high = interval(pairs)
                counts = "*" if low > 0 or high < 0 else " "
                ahead[f"{name}{by}"] = {"mean": float(np.mean(pairs)), "interval": [low, high]}
                said.append(f"{by} {np.mean(pairs):+.3f} ({low:+.3f} to {high:+.3f}){counts}")
            say(f"view - {row:15}{name:7}" + "  ".join(said))
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--only", default=SETS)
    parser.add_argument("--out", type=Path, default=Path("bench-results/retrieval.json"))
    options = parser.parse_args()
    out: dict[str, Any] = {}
    for name in options.only.split(","):
        (corpus,) = load(options.data, name)
        if name == "squad":
            corpus.questions = random.Random(SEED).sample(corpus.questions, SQUAD_SAMPLE)
        with tempfile.TemporaryDirectory(prefix="swarm-bench-") as folder:
            database = Database.open(Path(folder) / "store.db")
            begun = time.perf_counter()
            graph = build(database, corpus)
            seconds, findings = time.perf_counter() - begun, len(graph)
            bench = Bench(corpus, graph, name in SMALL)
            results = measure(bench)
            database.close()
        tables = {"all": report(name, results, print)}
        tables["odd"] = report(f"{name}, odd half", [one for one in results if one["odd"]], print)
        took = {"median": float(np.median(bench.milliseconds)), "worst": max(bench.milliseconds)}
        print(f"graph of {findings:,} findings in {seconds:.1f} s; a view of {BUDGETS[-1]:,} tokens in ", end="")
        print(f"{took['median']:.0f} ms (median), {took['worst']:.0f} ms (worst)", flush=True)
        out[name] = {"tables": tables, "milliseconds": took, "findings": findings, "questions": results}
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(out, indent=1, ensure_ascii=False), "utf-8")
    print(f"\nwritten to {options.out}")


if __name__ == "__main__":
    main()
