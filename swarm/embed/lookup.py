"""Looking up what a store holds of tasks: how they stand, what they know, and what a citation rests on.

Everything is read, also while this process or another one is at work on the same store, and comes back as plain
values. No model is asked. For threads that are not the event loop's.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from swarm import history
from swarm.coordinator.kept import library_of
from swarm.embed import recorded
from swarm.embed.status import Status
from swarm.embed.status import recorded as status_of
from swarm.errors import NoSuchRun, UsageError
from swarm.graph.graph import SharedGraph
from swarm.graph.nodes import Node
from swarm.history import Shown
from swarm.knowledge import Knowledge, Opened
from swarm.source import Span
from swarm.store.library import Library
from swarm.store.opening import Store, is_url, open_store
from swarm.store.shared import shared_store
from swarm.task import Citation, Finding

LEAST_TOKENS, MOST_TOKENS = 200, 20_000
"""Of a view."""
_MOST_SHOWN = 20  # pieces of evidence, covered nodes and relations of a node
_MOST_CHARS = 4_000  # of a quote, and of a text
_AROUND = 300  # characters of the source on each side of a citation
_LONGEST = 4_000  # characters of a question
_CITATION = re.compile(r"\[?(\d{1,4})\]?")


class Lookup:
    """Of one store, which need not be there yet."""

    def __init__(self, store: Path | str) -> None:
        self._store = store

    def find(self, run: str) -> str:
        """The id of a run, from its beginning or `last`.

        Raises:
            UsageError: there is none, or more than one.
        """
        if not self._there:
            raise UsageError(f"there is no run {run!r:.100}: nothing was begun yet")
        try:
            return history.find(run, self._store)
        except NoSuchRun:  # where the store is, and how to name another, is no business of whoever asks here
            raise UsageError(f"there is no run {run!r:.100}: look which ones there are") from None

    def status(self, run: str) -> Status:
        shown = history.show(run, self._store)
        with self._opened() as store:
            graph = SharedGraph(store.database, shown.run.id)
            why = recorded.failed(store.journal, shown.run.id)
            return status_of(shown, failed=why, findings=graph.claims)

    def runs(self, limit: int) -> list[Status]:
        """Those that were asked something, without their answers."""
        if not self._there:
            return []
        found = (run for run in history.runs(self._store, limit=limit) if run.task is not None)
        shown = (
            Shown(
                run=run, sessions=(), in_doubt=0, failures=(), instructions=(), waiting=0, answer=None, plan=None
            )
            for run in found
        )
        return [status_of(one) for one in shown]

    def view(self, run: str, question: str, tokens: int) -> dict[str, Any]:
        if not question.strip():
            raise UsageError("nothing is asked: say what you want to know")
        if not LEAST_TOKENS <= tokens <= MOST_TOKENS:
            raise UsageError(f"tokens is {tokens}: give a number from {LEAST_TOKENS} to {MOST_TOKENS:,}")
        with self._known(run) as known:
            seen = known.view(question[:_LONGEST], tokens)
            return {
                "run": run,
                "text": seen.text,
                "tokens": seen.tokens,
                "findings": [_finding(one) for one in seen.findings],
                "omitted": seen.omitted,
            }

    def open(self, run: str, id_: str) -> dict[str, Any]:
        wanted = id_.strip()
        if (number := _CITATION.fullmatch(wanted)) is not None:
            return self._citation(run, int(number[1]))
        with self._known(run) as known:
            return {"run": run, **_node(known.open(wanted))}

    def graph(self, run: str, limit: int) -> dict[str, Any]:
        with self._known(run) as known:
            return {
                "run": run,
                "fingerprint": known.fingerprint,
                "counts": dict(known.counts()),
                "findings": [_finding(one) for one in known.findings(limit)],
            }

    # Inside

    @property
    def _there(self) -> bool:
        return is_url(self._store) or Path(self._store).exists()

    @contextmanager
    def _opened(self) -> Iterator[Store]:
        if is_url(self._store):  # what was read is in the file beside it that this process has, if any has it
            with shared_store(self._store) as opened:
                yield opened.store
            return
        with open_store(self._store, read_only=True) as store:
            yield store

    @contextmanager
    def _known(self, run: str) -> Iterator[Knowledge]:
        from swarm.coordinator.restore import catch_up

        with self._opened() as store:
            known = Knowledge(store, run)
            if is_url(self._store):  # the journal is on a server, and the graph on this machine may be behind
                catch_up(store.journal, known.graph)
            yield known

    def _citation(self, run: str, number: int) -> dict[str, Any]:
        """A citation as the answer numbers it, from 1 on."""
        answer = history.show(run, self._store).answer
        if answer is None:
            raise UsageError(f"the run {run} has no answer yet, and so no citations: give the id of a finding")
        if not 1 <= number <= len(answer.citations):
            raise UsageError(f"there is no citation [{number}]: the answer has {len(answer.citations)}")
        one = answer.citations[number - 1]
        with self._opened() as store:
            before, after = _around(library_of(store, run), one)
        return {
            "run": run,
            "id": f"[{number}]",
            "kind": "citation",
            "evidence": [_quoted(str(one), one.source, (one.start, one.end), one.line, one.page, one.quote)],
            "before": before,
            "after": after,
        }


def brief(status: Status) -> Status:
    """Without its answer."""
    return replace(status, answer=None)


def _finding(one: Finding) -> dict[str, Any]:
    return {"id": one.id, "claim": one.claim[:_MOST_CHARS], "relevance": round(one.relevance, 3)}


def _node(opened: Opened) -> dict[str, Any]:
    node = opened.node
    evidence = [
        _quoted(str(place), place.path, (span.start, span.end), place.line, place.page, text)
        for place, span, text in opened.evidence[:_MOST_SHOWN]
    ]
    told: dict[str, Any] = {
        "id": node.id,
        "kind": node.kind,
        "text": node.text[:_MOST_CHARS],
        "evidence": evidence,
    }
    if opened.inside:
        told["covers"] = [_short(one) for one in opened.inside[:_MOST_SHOWN]]
    edges = [edge for edge in opened.edges if edge.kind not in ("cites", "summarises")]
    if edges:
        told["related"] = [
            {"kind": edge.kind, "id": edge.target if edge.source == node.id else edge.source}
            for edge in edges[:_MOST_SHOWN]
        ]
    left = max(len(opened.evidence), len(opened.inside), len(edges)) - _MOST_SHOWN
    return told | ({"left_out": left} if left > 0 else {})


def _short(node: Node) -> dict[str, Any]:
    return {"id": node.id, "kind": node.kind, "text": node.text[:200]}


def _quoted(
    place: str, source: str, span: tuple[int, int], line: int | None, page: int | None, quote: str
) -> dict[str, Any]:
    start, end = span
    told: dict[str, Any] = {"place": place, "source": source, "line": line, "page": page}
    told |= {"start": start, "end": end, "quote": quote[:_MOST_CHARS]}
    if len(quote) > _MOST_CHARS:
        told["cut"] = len(quote) - _MOST_CHARS
    return told


def _around(library: Library, one: Citation) -> tuple[str, str]:
    """The source before and after a citation; nothing where the store does not hold it any more."""
    source = library.source(one.source_id)
    if source is None:
        return "", ""
    before = Span(source.id, max(0, one.start - _AROUND), one.start)
    after = Span(source.id, one.end, min(source.chars, one.end + _AROUND))
    return tuple(library.text(span) if span.start < span.end else "" for span in (before, after))  # type: ignore[return-value]
