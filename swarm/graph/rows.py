"""The rows of one graph in the store, inside one transaction: nodes by their ids, edges, and the sum of all facts.

The fingerprint of a graph is a sum of hashes, one for each fact (Bellare and Micciancio 1997, "A new paradigm for
collision-free hashing: incrementality at reduced cost"): it is kept as facts come and go, costs the same for a
million as for ten, and does not depend on their order. This module does not know what the nodes mean.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import blake2b
from typing import Any, NamedTuple

import apsw

from swarm.graph.nodes import EdgeKind, Kind
from swarm.source import Source

SHIFT = 32
"""The nodes of graph `n` have the numbers from `n << SHIFT` on."""
LIVE, STUB, GONE = "live", "stub", "gone"
EDGES: dict[EdgeKind, int] = {
    "about": 1, "derived_from": 2, "depends_on": 3, "supports": 4, "contradicts": 5, "supersedes": 6,
    "summarises": 7, "answers": 8, "cites": 9, "covers": 10,
}  # fmt: skip
EDGE_NAMES: dict[int, EdgeKind] = {number: name for name, number in EDGES.items()}
SAME, COMPATIBLE = 11, 12  # a model's verdicts on two findings, which are no edges of their own
_MODULUS = 1 << 256
_REMEMBERED = 50_000


class Row(NamedTuple):
    num: int
    id: str
    kind: Kind
    state: str
    text: str
    relevance: float
    more: str | None
    place: bytes | None


COLUMNS = ", ".join(Row._fields)


class Memory:
    """What is kept of a graph between transactions: the numbers of nodes that many others point to (entities,
    slices, sources; the latest used stay), and of sources the names and paths by their numbers, and what was
    merged last of each: most reports cite what the one before did."""

    def __init__(self) -> None:
        self._numbers: OrderedDict[str, int] = OrderedDict()
        self.ids: dict[int, str] = {}
        self.paths: dict[int, str] = {}
        self.joined: dict[str, Source] = {}

    def number(self, id_: str) -> int | None:
        num = self._numbers.get(id_)
        if num is not None:
            self._numbers.move_to_end(id_)
        return num

    def keep(self, id_: str, num: int) -> None:
        self._numbers[id_] = num
        if len(self._numbers) > _REMEMBERED:
            self._numbers.popitem(last=False)

    def forget(self, id_: str) -> None:
        self._numbers.pop(id_, None)

    def clear(self) -> None:
        """After a transaction that was undone: what was remembered of it may not be there."""
        self._numbers.clear()
        self.ids.clear()
        self.paths.clear()
        self.joined.clear()


@dataclass(slots=True)
class Pending:
    """Rows of new findings, to be written together: what is in order is written much faster."""

    nodes: list[tuple[Any, ...]] = field(default_factory=list)
    ids: set[str] = field(default_factory=set)
    evidence: list[tuple[int, int, int, int, float]] = field(default_factory=list)
    edges: list[tuple[int, int, int]] = field(default_factory=list)
    alike: list[tuple[int, int, int]] = field(default_factory=list)
    slots: list[tuple[int, str, int, int]] = field(default_factory=list)
    texts: list[tuple[int, str]] = field(default_factory=list)
    bands: set[int] = field(default_factory=set)
    shared: dict[int, tuple[int, bool]] = field(default_factory=dict)
    """The slots by their keys, and whether their findings are prose, without values."""


class Rows:
    """One transaction over one graph.

    New findings wait in `pending`; `flush` writes them, and must come before any statement that reads their rows.
    `close` writes the rest and what was counted; it must be the last call.
    """

    def __init__(self, connection: apsw.Connection, run: str, memory: Memory) -> None:
        self.execute = connection.execute
        self.many = connection.executemany
        self._changes = connection.changes
        self._memory = memory
        self.ids, self.paths, self.joined = memory.ids, memory.paths, memory.joined
        sql = "SELECT num, next, facts, findings, folded, rejected FROM graphs WHERE run = ?"
        row = self.execute(sql, (run,)).fetchone()
        if row is None:
            new = "INSERT INTO graphs (run, next, facts, findings, folded, rejected) VALUES (?, 1, ?, 0, 0, 0)"
            self.execute(new, (run, b""))
            row = (connection.last_insert_rowid(), 1, b"", 0, 0, 0)
        self.graph: int = row[0]
        self._next: int = row[1]
        self._sum = int.from_bytes(row[2], "big")
        self.findings: int = row[3]
        self.folded: int = row[4]
        self.rejected: int = row[5]
        self.low, self.high = self.graph << SHIFT, (self.graph + 1 << SHIFT) - 1
        self.pending = Pending()
        self.seedlings: list[tuple[bytes, int, int, int]] = []
        """New findings without a place in the tree: place, number, rank, tokens."""

    def flush(self) -> None:
        """Write what waits."""
        new, self.pending = self.pending, Pending()
        for sql, rows in (
            (f"INSERT INTO nodes ({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)", new.nodes),  # noqa: S608
            ("INSERT INTO evidence VALUES (?, ?, ?, ?, ?)", new.evidence),
            ("INSERT OR IGNORE INTO edges VALUES (?, ?, ?)", new.edges),
            ("INSERT OR IGNORE INTO alike VALUES (?, ?, ?)", new.alike),
            ("INSERT OR IGNORE INTO slots VALUES (?, ?, ?, ?)", new.slots),
            ("INSERT INTO node_index (rowid, text) VALUES (?, ?)", new.texts),
        ):
            if rows:
                self.many(sql, rows)
        if new.slots:
            sql = (
                "SELECT value FROM json_each(?) "
                "WHERE (SELECT count(*) FROM (SELECT 1 FROM slots WHERE slot = value LIMIT 2)) > 1"
            )
            shared = list(self.execute(sql, (json.dumps([slot for slot, *_ in new.slots]),)))
            disputed = [(self.graph, new.shared[key][1], new.shared[key][0]) for (key,) in shared]
            self.many("INSERT OR IGNORE INTO disputed VALUES (?, ?, ?)", disputed)

    def close(self) -> None:
        self.flush()
        facts = self._sum.to_bytes(32, "big")
        self.execute(
            "UPDATE graphs SET next = ?, facts = ?, findings = ?, folded = ?, rejected = ? WHERE num = ?",
            (self._next, facts, self.findings, self.folded, self.rejected, self.graph),
        )

    @cached_property
    def removed(self) -> set[int]:
        """The sources that were removed."""
        sql = (
            "SELECT num FROM nodes INDEXED BY removed_sources WHERE kind = 'source' AND state = 'gone' "
            "AND num BETWEEN ? AND ?"
        )
        return {num for (num,) in self.execute(sql, (self.low, self.high))}

    # Facts

    def add_fact(self, *parts: object) -> None:
        self._sum = (self._sum + _fact(parts)) % _MODULUS

    def drop_fact(self, *parts: object) -> None:
        self._sum = (self._sum - _fact(parts)) % _MODULUS

    # Nodes

    def find(self, id_: str) -> Row | None:
        if id_ in self.pending.ids:
            self.flush()
        sql = f"SELECT {COLUMNS} FROM nodes WHERE id = ? AND num BETWEEN ? AND ?"  # noqa: S608
        row = self.execute(sql, (id_, self.low, self.high)).fetchone()
        return None if row is None else Row(*row)

    def node(self, num: int) -> Row:
        (row,) = self.execute(f"SELECT {COLUMNS} FROM nodes WHERE num = ?", (num,))  # noqa: S608
        return Row(*row)

    def insert(
        self,
        id_: str,
        kind: Kind,
        text: str,
        *,
        state: str = LIVE,
        relevance: float = 0.0,
        more: str | None = None,
        place: bytes | None = None,
    ) -> int:
        num = self.low + self._next
        self._next += 1
        row = (num, id_, kind, state, text, relevance, more, place)
        self.execute(f"INSERT INTO nodes ({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)  # noqa: S608
        return num

    def insert_later(self, id_: str, text: str, relevance: float, more: str | None, place: bytes) -> int:
        """A live finding, written at the next flush."""
        num = self.low + self._next
        self._next += 1
        self.pending.nodes.append((num, id_, "finding", LIVE, text, relevance, more, place))
        self.pending.ids.add(id_)
        return num

    def update(self, num: int, **columns: Any) -> None:
        names = ", ".join(f"{name} = ?" for name in columns)
        self.execute(f"UPDATE nodes SET {names} WHERE num = ?", (*columns.values(), num))  # noqa: S608

    def number(self, id_: str, kind: Kind, text: str | None = None) -> int:
        """The number of a node that others point to; made where it is not there: with a text it is live, without
        one a stub that waits for its own facts."""
        num = self._memory.number(id_)
        if num is None:
            row = self.find(id_)
            if row is None:
                num = self.insert(id_, kind, text or "", state=STUB if text is None else LIVE)
            else:
                num = row.num
            if text is not None and (row is None or row.state == STUB):
                if row is not None:
                    self.update(num, state=LIVE, text=text)
                self.index(num, text)
            if text is not None or kind in ("slice", "source"):
                self._memory.keep(id_, num)
        return num

    def delete(self, row: Row) -> None:
        """Take a node out that nothing points to any more."""
        self.execute("DELETE FROM nodes WHERE num = ?", (row.num,))
        self.unindex(row.num)
        self._memory.forget(row.id)

    def index(self, num: int, text: str) -> None:
        self.execute("INSERT INTO node_index (rowid, text) VALUES (?, ?)", (num, text))

    def unindex(self, num: int) -> None:
        self.execute("DELETE FROM node_index WHERE rowid = ?", (num,))

    # Edges

    def link(self, source: int, kind: int, targets: Iterable[int]) -> None:
        self.many("INSERT OR IGNORE INTO edges VALUES (?, ?, ?)", [(source, kind, target) for target in targets])

    def new_link(self, source: int, kind: int, target: int) -> bool:
        """Whether the edge was not there before."""
        self.execute("INSERT OR IGNORE INTO edges VALUES (?, ?, ?)", (source, kind, target))
        return self._changes() > 0

    def unlink(self, source: int, kind: int) -> None:
        self.execute("DELETE FROM edges WHERE source = ? AND kind = ?", (source, kind))

    def targets(self, source: int, kind: int) -> list[int]:
        return [
            t for (t,) in self.execute("SELECT target FROM edges WHERE source = ? AND kind = ?", (source, kind))
        ]

    def sources(self, target: int, kind: int) -> list[int]:
        return [
            s for (s,) in self.execute("SELECT source FROM edges WHERE target = ? AND kind = ?", (target, kind))
        ]

    # Evidence

    def place_evidence(self, finding: int, span: tuple[int, int, int], relevance: float) -> float | None:
        """Add a span (source, start, end) or raise its relevance: None where it is new, else what it had."""
        self.execute("INSERT OR IGNORE INTO evidence VALUES (?, ?, ?, ?, ?)", (finding, *span, relevance))
        if self._changes():
            return None
        place = (finding, *span)
        where = "WHERE finding = ? AND source = ? AND start = ? AND end = ?"
        known = list(self.execute(f"SELECT relevance FROM evidence {where}", place))  # noqa: S608
        before = float(known[0][0])
        if relevance > before:
            self.execute(f"UPDATE evidence SET relevance = ? {where}", (relevance, *place))  # noqa: S608
        return before


def delete_graph(connection: apsw.Connection, num: int) -> None:
    """Delete all rows of a graph. What is kept by hashes is looked for one by one: in the time that it takes to
    read these rows of the whole store."""
    low, high = num << SHIFT, (num + 1 << SHIFT) - 1
    for table, column in (
        ("node_index", "rowid"),
        ("nodes", "num"),
        ("evidence", "finding"),
        ("edges", "source"),
        ("alike", "num"),
        ("slots", "num"),
    ):
        connection.execute(f"DELETE FROM {table} WHERE {column} BETWEEN ? AND ?", (low, high))  # noqa: S608
    for table, column in (("tree", "graph"), ("branches", "graph"), ("disputed", "graph"), ("graphs", "num")):
        connection.execute(f"DELETE FROM {table} WHERE {column} = ?", (num,))  # noqa: S608


def _fact(parts: tuple[object, ...]) -> int:
    return int.from_bytes(blake2b(repr(parts).encode("utf-8", "surrogatepass"), digest_size=32).digest(), "big")
