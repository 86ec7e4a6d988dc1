"""What a run knows, in a user's hand: its shared graph with the texts that it rests on.

    with swarm.open_knowledge(run_id) as known:
        print(known.view("What changed our churn?", tokens=4_000).text)

Everything is read from the store, which is locked as long as it is open. This module wires parts and
decides nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from swarm.cards import knowledge_card, opened_card
from swarm.coordinator.kept import library_of
from swarm.display import Displayed
from swarm.errors import StoreError, UsageError
from swarm.graph.disputes import disputed
from swarm.graph.export import removed, write_graphml, write_json
from swarm.graph.graph import SharedGraph, as_node
from swarm.graph.load import merge_all, read_file
from swarm.graph.nodes import KINDS, Edge, Kind, Node, Removal
from swarm.graph.rows import Row
from swarm.graph.search import search
from swarm.graph.show import edges_of
from swarm.source import Location, Span
from swarm.store.journal import Entry, Journal
from swarm.store.opening import DEFAULT_STORE, Store, is_url, open_store, shown
from swarm.task import Finding
from swarm.views.view import View, view

if TYPE_CHECKING:
    import networkx as nx


@dataclass(frozen=True, kw_only=True, slots=True)
class Opened(Displayed, card=opened_card):
    """A node with all that hangs on it. `evidence` are the exact texts that a finding rests on, and where each
    stands; `inside` are the nodes that a summary covers."""

    node: Node
    edges: tuple[Edge, ...]
    evidence: tuple[tuple[Location, Span, str], ...] = ()
    inside: tuple[Node, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Unlearnt:
    """What the removal of a source took along: findings that rested on it alone, and summaries, which spoke for
    them. The summaries are written again when they are next needed."""

    source: str
    findings: int
    kept: int
    """Findings that rest on other sources too."""
    standing: int
    """Findings that one of those that went had stood for."""
    summaries: int


class Knowledge(Displayed, card=knowledge_card):
    """The graph of the run `run` in an open store."""

    def __init__(self, store: Store, run: str) -> None:
        self._database, self._journal = store.database, store.journal
        self.graph = SharedGraph(store.database, run)
        self._library = library_of(store, run)

    def __len__(self) -> int:
        """Findings, those that say the same counted once."""
        return self.graph.claims

    @property
    def run(self) -> str:
        return self.graph.run

    @property
    def fingerprint(self) -> str:
        return self.graph.fingerprint()

    def counts(self) -> dict[Kind, int]:
        """How many nodes there are of each kind."""
        sql = "SELECT kind, count(*) FROM nodes WHERE num BETWEEN ? AND ? AND state = 'live' GROUP BY kind"
        found: dict[str, int] = dict(self._database.read(sql, self.graph.range))
        return {kind: found[kind] for kind in KINDS if kind in found}

    def view(self, about: str, tokens: int = 4_000) -> View:
        """What is known on a question, packed into at most `tokens` o200k tokens."""
        return view(self.graph, about, tokens, self._quote)

    def search(self, text: str, limit: int = 20, kinds: Sequence[Kind] = ()) -> list[Node]:
        """The nodes that share most with a text, best first."""
        return [as_node(row) for row in search(self.graph, text, limit, kinds)]

    def nodes(self, kind: Kind, limit: int | None = None) -> Iterator[Node]:
        """The nodes of one kind, in the order in which they came."""
        return self.graph.kind(kind, limit)

    def findings(self, limit: int = 100) -> list[Finding]:
        """The most relevant findings, best first."""
        return self.graph.best(limit)

    def contradictions(self) -> Iterator[tuple[Finding, Finding]]:
        """What the findings disagree on, and nothing has settled."""
        for relation in disputed(self.graph):
            one, other = self.graph.findings([relation.one, relation.other])
            yield one, other

    def open(self, id_: str, edges: int = 200) -> Opened:
        """One node, by its id or an unambiguous beginning of it, with at most so many `edges` each way.

        Raises:
            UsageError: there is no such node, or several begin so.
        """
        row = self.graph.row(id_)
        if row is None:
            raise UsageError(
                f"no node, or more than one, begins with {id_!r}: search for it, or give more of its id"
            )
        found = tuple(edges_of(self.graph, row, edges))
        return Opened(
            node=as_node(row), edges=found, evidence=self._evidence(row), inside=self._inside(row, found)
        )

    def networkx(self, limit: int | None = None) -> nx.MultiDiGraph[str]:
        """A frozen networkx graph of nodes and edges by kind. It takes about 2 kB a node: past some 200,000
        findings give a `limit`, which keeps the most relevant."""
        from swarm.graph.export import to_networkx

        return to_networkx(self.graph, limit)

    def save(self, path: Path | str) -> None:
        """Write the graph to a file: `.json` (networkx's node-link form) or `.graphml`.

        Raises:
            UsageError: another ending.
        """
        path = Path(path)
        match path.suffix:
            case ".json":
                with path.open("w", encoding="utf-8") as out:
                    write_json(self.graph, out)
            case ".graphml":
                write_graphml(self.graph, path)
            case ".html":
                raise UsageError(f"{path}: a page to look at is written by: swarm report {self.run} -o {path}")
            case other:
                raise UsageError(f"{path}: {other or 'no ending'} is no format: end it in .json or .graphml")

    def load(self, path: Path | str) -> None:
        """Merge a graph that was saved as JSON or GraphML into this one.

        Raises:
            SourceError: the file is no such graph, or is damaged.
        """
        _, parts = read_file(Path(path))
        merge_all(self.graph, parts)

    def unlearn(self, source: str) -> Unlearnt:
        """Remove a source, by its id or its path, and all that rests on it alone.

        Raises:
            UsageError: the graph knows no such source.
        """
        row = self._source(source)
        before, cited, apart = self.counts(), self._cited(row), self.graph.claims
        change = self.graph.change(Removal(source=row.id))
        self._journal.append_sync(
            self.graph.run, Entry(kind="removal", key=row.id, body={"source": row.id}), also=change
        )
        after = self.counts()
        went = before.get("finding", 0) - after.get("finding", 0)
        return Unlearnt(
            source=row.text,
            findings=went,
            kept=cited - went,
            standing=max(0, self.graph.claims - (apart - went)),
            summaries=before.get("summary", 0) - after.get("summary", 0),
        )

    def _cited(self, row: Row) -> int:
        sql = "SELECT count(DISTINCT finding) FROM evidence WHERE source = ?"
        return int(self._database.read(sql, (row.num,))[0][0])

    def _source(self, source: str) -> Row:
        row = self.graph.row(source)
        if row is not None and row.kind == "source":
            return row
        for node in self.graph.kind("source"):
            if source in (node.text, str(Path(node.text))):
                found = self.graph.row(node.id)
                assert found is not None
                return found
        gone = " (it was removed before)" if source in removed(self.graph) else ""
        raise UsageError(f"the graph knows no source {source!r}{gone}: give its id, or its path as it was read")

    def _evidence(self, row: Row) -> tuple[tuple[Location, Span, str], ...]:
        if row.kind != "finding":
            return ()
        (finding,) = self.graph.findings([row])
        return tuple((self._locate(span), span, self._library.text(span)) for span in finding.evidence)

    def _inside(self, row: Row, edges: Sequence[Edge]) -> tuple[Node, ...]:
        if row.kind != "summary":
            return ()
        covered = [
            self.graph.row(edge.target) for edge in edges if edge.kind == "summarises" and edge.source == row.id
        ]
        return tuple(as_node(inner) for inner in covered if inner is not None)

    def _quote(self, span: Span) -> tuple[str, str]:
        return self._library.text(span), str(self._locate(span))

    def _locate(self, span: Span) -> Location:
        row = self.graph.row(span.source)
        return self._library.locate(span, row.text if row is not None and row.text else span.source)


@contextmanager
def open_knowledge(run: str, store: Path | str | None = None) -> Iterator[Knowledge]:
    """What the run `run` knows; the store is closed at the end of the block.

    Raises:
        StoreError: there is no such store, or no such run in it, or another process has it open.
    """
    if not is_url(store or DEFAULT_STORE) and not Path(store or DEFAULT_STORE).exists():
        raise StoreError(f"{store or DEFAULT_STORE} does not exist: name the store of the run with --store")
    with open_store(store) as opened:
        known = Knowledge(opened, run)
        _restore(opened.journal, known.graph, store)
        yield known


def _restore(journal: Journal, graph: SharedGraph, store: Path | str | None) -> None:
    """Merge from the journal what the store's graph lacks."""
    from swarm.coordinator.restore import catch_up

    if not graph.num and journal.record(graph.run, "task", "") is None:
        raise StoreError(
            f"{shown(store or DEFAULT_STORE)} holds no run {graph.run}: check the id, or name another --store"
        )
    catch_up(journal, graph)
