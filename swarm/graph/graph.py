"""The shared graph: findings, the slices they came from, and the sources they rest on.

Merging is a join: commutative, associative and idempotent. Findings of the same id become one, with the union of
their evidence, the highest relevance and the smallest wording; a report that succeeded beats one that failed
for the same slice. So reports may arrive in any order, twice, or from several processes, and the fingerprint
is the same.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from hashlib import blake2b
from typing import TYPE_CHECKING

from swarm.task import Finding, Report

if TYPE_CHECKING:
    import networkx as nx

MAX_EVIDENCE = 64
"""Spans kept for one finding: the first ones in the order of source and offset. Which they are does not depend on
the order of merging, for the smallest n of a union are the smallest n of the smallest n of its parts."""


class SharedGraph:
    """The graph of one run. `merge` is the only way in."""

    def __init__(self) -> None:
        self._findings: dict[str, Finding] = {}
        self._reports: dict[str, _Outcome] = {}

    @property
    def findings(self) -> Iterable[Finding]:
        return self._findings.values()

    @property
    def rejected(self) -> int:
        """Quotes that were not found in the text they were said to be from."""
        return sum(len(outcome.rejected) for outcome in self._reports.values())

    def __len__(self) -> int:
        return len(self._findings)

    def __contains__(self, finding: str) -> bool:
        return finding in self._findings

    def __getitem__(self, finding: str) -> Finding:
        return self._findings[finding]

    def merge(self, report: Report) -> None:
        """Join a report into the graph."""
        outcome = _Outcome(
            failed=report.failure is not None,
            findings=frozenset(finding.id for finding in report.findings),
            rejected=frozenset(report.rejected),
        )
        known = self._reports.get(report.slice)
        self._reports[report.slice] = outcome if known is None else known.join(outcome)
        for finding in report.findings:
            other = self._findings.get(finding.id)
            self._findings[finding.id] = _joined(finding, finding if other is None else other)

    def join(self, other: SharedGraph) -> None:
        """Join another graph into this one."""
        for finding in other._findings.values():
            mine = self._findings.get(finding.id)
            self._findings[finding.id] = finding if mine is None else _joined(finding, mine)
        for name, outcome in other._reports.items():
            known = self._reports.get(name)
            self._reports[name] = outcome if known is None else known.join(outcome)

    def fingerprint(self) -> str:
        """Equal for equal graphs, whatever the order in which they were built."""
        hash_ = blake2b(digest_size=16)
        for key in sorted(self._findings):
            finding = self._findings[key]
            hash_.update(json.dumps([key, finding.claim, finding.relevance, finding.evidence]).encode())
        for name in sorted(self._reports):
            outcome = self._reports[name]
            hash_.update(
                json.dumps([name, outcome.failed, sorted(outcome.findings), sorted(outcome.rejected)]).encode()
            )
        return hash_.hexdigest()

    def to_networkx(self) -> nx.DiGraph[str]:
        """A copy for algorithms and export: nodes of kind source, slice and finding; edges of kind `cites`
        (finding to source, with its spans), `reports` (slice to finding) and `covers` (finding to finding)."""
        import networkx as nx

        graph: nx.DiGraph[str] = nx.DiGraph()
        for finding in self._findings.values():
            graph.add_node(
                finding.id, kind="finding", claim=finding.claim, relevance=finding.relevance, level=finding.level
            )
            for span in finding.evidence:
                graph.add_node(span.source, kind="source")
                spans = graph.edges.get((finding.id, span.source), {}).get("spans", ())
                graph.add_edge(finding.id, span.source, kind="cites", spans=(*spans, (span.start, span.end)))
            for covered in finding.covers:
                graph.add_edge(finding.id, covered, kind="covers")
        for name, outcome in self._reports.items():
            graph.add_node(name, kind="slice", failed=outcome.failed)
            graph.add_edges_from((name, finding, {"kind": "reports"}) for finding in outcome.findings)
        return graph


class _Outcome:
    """What is kept of a report, beside its findings."""

    __slots__ = ("failed", "findings", "rejected")

    def __init__(self, *, failed: bool, findings: frozenset[str], rejected: frozenset[str]) -> None:
        self.failed, self.findings, self.rejected = failed, findings, rejected

    def join(self, other: _Outcome) -> _Outcome:
        return _Outcome(
            failed=self.failed and other.failed,
            findings=self.findings | other.findings,
            rejected=self.rejected | other.rejected,
        )


def _joined(one: Finding, other: Finding) -> Finding:
    """The least finding that says at least what both say. Their ids are equal, and so is all that is hashed."""
    return replace(
        one,
        claim=min(one.claim, other.claim),
        evidence=tuple(sorted({*one.evidence, *other.evidence})[:MAX_EVIDENCE]),
        relevance=max(one.relevance, other.relevance),
        level=max(one.level, other.level),
    )
