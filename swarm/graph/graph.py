"""The shared graph of one run: what was found, what it rests on, and how it hangs together.

Merging is a join: commutative, associative and idempotent, so that reports may come in any order, twice, or from
several processes, and the fingerprint is the same. The graph lives in the store, a projection of the journal; what
is held in memory does not grow with it. It calls no model: a judgement is handed in.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any

import apsw

from swarm.graph import join
from swarm.graph.nodes import Kind, Node, Part, Statement, Summary
from swarm.graph.rows import COLUMNS, EDGES, SHIFT, Memory, Row, delete_graph
from swarm.source import Span
from swarm.store.database import Database
from swarm.task import Finding, Report

MAX_EVIDENCE = 64
"""Spans shown of one finding: the first in the order of source and offset. All are kept."""
_BATCH = 2_000

Change = Callable[[apsw.Connection], None]


class SharedGraph:
    """The graph of the run `run`. `merge` is the way in; reading is safe from any thread. `copy` names one more of
    the same run in the same store."""

    def __init__(self, database: Database, run: str, copy: str = "") -> None:
        self.database, self.run = database, run
        self._name = f"{run}, {copy}" if copy else run
        self._memory = Memory()
        self._undone = database.undone
        self._num: int | None = None

    # Coming in

    def change(self, *parts: Part) -> Change:
        """The merge of these parts, to be run in a transaction of the store, with the record they come from."""
        for part in parts:
            if isinstance(part, Report):
                join.read_ahead(part)

        def apply(connection: apsw.Connection) -> None:
            self._in_rows(connection, parts)

        return apply

    async def merge(self, *parts: Part) -> None:
        """Join parts into the graph; durable once this returns."""
        await self.database.write(self.change(*parts))

    async def clear(self) -> None:
        """Take the graph out of the store, to be merged anew from the journal."""
        if self.num:
            await self.database.write(self._clearing)
            self._cleared()

    def clear_sync(self) -> None:
        """As `clear`, for a thread that is not the event loop's."""
        if self.num:
            self.database.write_sync(self._clearing)
            self._cleared()

    def _clearing(self, connection: apsw.Connection) -> None:
        self.database.end_shared()
        for (num,) in list(connection.execute("SELECT num FROM graphs WHERE run = ?", (self._name,))):
            delete_graph(connection, num)

    def _cleared(self) -> None:
        self._memory.clear()
        self._num = None

    def _in_rows(self, connection: apsw.Connection, parts: Iterable[Part]) -> None:
        """Merge, into rows that all merges of a transaction share."""
        if self._undone != self.database.undone:
            self._undone = self.database.undone
            self._memory.clear()
        try:
            begin = partial(join.Joined, connection, self._name, self._memory)
            join.merge(self.database.shared(f"graph {self._name}", begin), parts)
        except BaseException:
            self._memory.clear()
            raise

    # The whole

    @property
    def num(self) -> int:
        """The number of the graph in the store; 0 as long as nothing was merged."""
        if not self._num:
            rows = self.database.read("SELECT num FROM graphs WHERE run = ?", (self._name,))
            self._num = rows[0][0] if rows else 0
        return self._num

    def _counted(self, column: str, otherwise: Any) -> Any:
        rows = self.database.read(f"SELECT {column} FROM graphs WHERE run = ?", (self._name,))  # noqa: S608
        return rows[0][0] if rows else otherwise

    def fingerprint(self) -> str:
        """Equal for equal graphs, whatever the order in which they were built; 32 hexadecimal digits."""
        return str(self._counted("facts", b"").hex().rjust(64, "0")[:32])

    def __len__(self) -> int:
        """Findings that rest on something."""
        return int(self._counted("findings", 0))

    @property
    def claims(self) -> int:
        """Findings, those that say the same counted once."""
        return int(self._counted("findings - folded", 0))

    @property
    def rejected(self) -> int:
        """Quotes that were not found in the text they were said to be from."""
        return int(self._counted("rejected", 0))

    @property
    def range(self) -> tuple[int, int]:
        """The first and the last number that nodes of this graph may have."""
        return self.num << SHIFT, (self.num + 1 << SHIFT) - 1

    # Nodes

    def rows(self, nums: Iterable[int]) -> list[Row]:
        """The live nodes with these numbers, in the order given."""
        wanted = list(nums)
        sql = f"SELECT {COLUMNS} FROM nodes WHERE state = 'live' AND num IN (SELECT value FROM json_each(?))"  # noqa: S608
        found = {row[0]: Row(*row) for row in self.database.read(sql, (json.dumps(wanted),))}
        return [found[num] for num in wanted if num in found]

    def last_rows(self, kind: Kind, limit: int) -> list[Row]:
        """The live nodes of one kind that came last, the latest first. Not for findings."""
        sql = (
            f"SELECT {COLUMNS} FROM nodes INDEXED BY nodes_by_kind WHERE kind <> 'finding' AND kind = ? "  # noqa: S608
            "AND num BETWEEN ? AND ? AND state = 'live' ORDER BY num DESC LIMIT ?"
        )
        return [Row(*row) for row in self.database.read(sql, (kind, *self.range, limit))]

    def known(self, findings: Iterable[str]) -> list[Row]:
        """The live findings with these ids, in no order; ids that are not here are left out."""
        sql = (
            f"SELECT {COLUMNS} FROM nodes WHERE id IN (SELECT value FROM json_each(?)) "  # noqa: S608
            "AND num BETWEEN ? AND ? AND state = 'live' AND kind = 'finding'"
        )
        return [Row(*row) for row in self.database.read(sql, (json.dumps(list(findings)), *self.range))]

    def row(self, id_: str) -> Row | None:
        """The live node with this id, or with the only id that begins so."""
        sql = (
            f"SELECT {COLUMNS} FROM nodes INDEXED BY nodes_by_id WHERE id >= ? AND id < ? "  # noqa: S608
            "AND num BETWEEN ? AND ? AND state = 'live' LIMIT 2"
        )
        found = self.database.read(sql, (id_, f"{id_}\U0010ffff", *self.range))
        exact = [row for row in found if row[1] == id_]
        return Row(*(exact or found)[0]) if exact or len(found) == 1 else None

    def __contains__(self, finding: str) -> bool:
        row = self.row(finding)
        return row is not None and row.kind == "finding"

    def __getitem__(self, finding: str) -> Finding:
        """The finding with this id.

        Raises:
            KeyError: there is none that rests on anything.
        """
        row = self.row(finding)
        if row is None or row.kind != "finding":
            raise KeyError(finding)
        return self.findings([row])[0]

    def findings(self, rows: Iterable[Row]) -> list[Finding]:
        """Findings as they are read: with the evidence of those they stand for, up to `MAX_EVIDENCE` spans."""
        chosen = list(rows)
        followers = self._followers([row.num for row in chosen])
        return [self._finding(row, followers.get(row.num, [])) for row in chosen]

    def best(self, limit: int) -> list[Finding]:
        """The most relevant findings, best first, one for each claim; equals by id."""
        return self.findings(self.best_rows(limit))

    def best_rows(self, limit: int) -> list[Row]:
        """As `best`, as rows."""
        sql = (
            f"SELECT {COLUMNS} FROM nodes AS n WHERE kind = 'finding' AND state = 'live' AND num >> 32 = ? "  # noqa: S608
            "AND NOT EXISTS (SELECT 1 FROM edges WHERE source = n.num AND kind = ?) "
            "ORDER BY relevance DESC, id LIMIT ?"
        )
        return [Row(*row) for row in self.database.read(sql, (self.num, EDGES["supports"], limit))]

    def leader(self, num: int) -> int:
        """Who stands for a finding: itself, for most."""
        rows = self.database.read(
            "SELECT target FROM edges WHERE source = ? AND kind = ?", (num, EDGES["supports"])
        )
        return int(rows[0][0]) if rows else num

    def _followers(self, nums: list[int]) -> dict[int, list[int]]:
        """Of each of these findings those that it stands for, where there are any."""
        sql = "SELECT target, source FROM edges WHERE target IN (SELECT value FROM json_each(?)) AND kind = ?"
        found: dict[int, list[int]] = {}
        for target, source in self.database.read(sql, (json.dumps(nums), EDGES["supports"])):
            found.setdefault(target, []).append(source)
        return found

    def _finding(self, row: Row, followers: list[int]) -> Finding:
        nums = [row.num, *followers]
        spans: set[Span] = set()
        relevance = row.relevance
        for num in nums[: 1 + MAX_EVIDENCE]:
            sql = "SELECT source, start, end FROM evidence WHERE finding = ? LIMIT ?"
            for source, start, end in self.database.read(sql, (num, MAX_EVIDENCE)):
                spans.add(Span(self._source(source), start, end))
        if len(nums) > 1:
            relevance = max(relevance, *(other.relevance for other in self.rows(nums[1:])))
        fields = json.loads(row.more) if row.more else [None] * 5
        return Finding(
            id=row.id,
            claim=row.text,
            evidence=tuple(sorted(spans)[:MAX_EVIDENCE]),
            relevance=relevance,
            subject=fields[0],
            attribute=fields[1],
            value=fields[2],
            unit=fields[3],
            time=fields[4],
        )

    def _source(self, num: int) -> str:
        known = self._memory.ids.get(num)
        if known is None:
            known = self._memory.ids[num] = str(
                self.database.read("SELECT id FROM nodes WHERE num = ?", (num,))[0][0]
            )
        return known

    def summary(self, num: int) -> Summary:
        """A summary by its number."""
        (row,) = self.rows([num])
        more = json.loads(row.more or "{}")
        return Summary(
            id=row.id,
            level=more["level"],
            statements=tuple(Statement(text=text, rests_on=tuple(ids)) for text, ids in more["statements"]),
            covers=tuple(more["covers"]),
            findings=more["findings"],
        )

    def kind(self, kind: Kind, limit: int | None = None) -> Iterator[Node]:
        """The live nodes of one kind, in the order in which they came."""
        low, high = self.range
        left = limit
        while left is None or left > 0:
            index = "" if kind == "finding" else "INDEXED BY nodes_by_kind WHERE kind <> 'finding' AND"
            sql = (
                f"SELECT {COLUMNS} FROM nodes {index or 'WHERE'} kind = ? AND num BETWEEN ? AND ? "  # noqa: S608
                "AND state = 'live' ORDER BY num LIMIT ?"
            )
            size = _BATCH if left is None else min(left, _BATCH)
            found = self.database.read(sql, (kind, low, high, size))
            for row in found:
                yield as_node(Row(*row))
            if len(found) < size:
                return
            low = found[-1][0] + 1
            left = None if left is None else left - size


def as_node(row: Row) -> Node:
    """A row as it is shown."""
    more = json.loads(row.more) if row.more else None
    shown: dict[str, Any] = {}
    match row.kind:
        case "finding":
            shown["relevance"] = row.relevance
            if more:
                names = ("subject", "attribute", "value", "unit", "time")
                shown |= {name: field for name, field in zip(names, more, strict=True) if field}
        case "source" if more:
            shown |= {"media": more[0], "chars": more[1], "bytes": more[2]}
        case "artifact" if more:
            shown |= {"media": more[0], "ref": more[1]}
        case "slice" | "summary" if more:
            shown |= more
    return Node(id=row.id, kind=row.kind, text=row.text, more=shown)


__all__ = ["MAX_EVIDENCE", "SharedGraph", "as_node"]
