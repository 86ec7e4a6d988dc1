"""What two runs found, held against each other: set by set in the store, so that it takes seconds for 100,000.

Findings are the same by id, which is a hash of what is claimed; those that are not may say the same in other
words, by the keys under which a graph keeps them (`swarm/graph/alike.py`). Where there are very many, only those
are looked at so closely that share what they are about, or their words, with one of the other run. This module
judges nothing: prose is not held against prose.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from swarm.graph import alike
from swarm.graph.rows import EDGES
from swarm.inspect.diff.parts import Dispute, Findings, OfSource
from swarm.inspect.opened import Opened
from swarm.inspect.why.down import place
from swarm.inspect.why.parts import Near
from swarm.source import Span
from swarm.store.database import Database

CLOSELY = 20_000
"""Findings without a same one, of both, up to which all of them are looked at closely."""
_BATCH = 5_000
_PAIRS = 200_000  # that may say the same
_MEMBERS = 3  # findings of one slot and run that are held against those of the other: the latest
_DISPUTES = 20_000  # pairs that are held against each other
_WORD, _HALF, _ODD = 1 << 64, (1 << 32) - 1, 0x9E3779B97F4A7C15
_A, _B = "diff_a", "diff_b"


@dataclass(frozen=True, slots=True)
class _Side:
    """One run within the connection that both are read by: its schema, its numbers, and its table of findings."""

    opened: Opened
    schema: str
    table: str

    @property
    def range(self) -> tuple[int, int]:
        return self.opened.graph.range


def compared(a: Opened, b: Opened, limit: int) -> Findings:
    """The findings of two runs.

    Raises:
        StoreError: a store cannot be read.
    """
    with _together(a, b) as (database, one, other):
        for side in (one, other):
            _gather(database, side)
        _mark(database, one, other)
        same = _count(database, one, "state = 'id'")
        _by_words(database, one, other)
        pairs, more_pairs = _disputes(database, one, other)
        sources, more = _sources(database, one, other, limit)
        return Findings(
            same=same,
            alike_a=_count(database, one, "state = 'words'"),
            alike_b=_count(database, other, "state = 'words'"),
            only_a=_count(database, one, "state = ''"),
            only_b=_count(database, other, "state = ''"),
            some_a=tuple(_some(database, one, limit)),
            some_b=tuple(_some(database, other, limit)),
            disputes=len(pairs),
            more_disputes=more_pairs,
            some_disputes=tuple(
                Dispute(a=_near(database, one, x), b=_near(database, other, y)) for x, y in pairs[:limit]
            ),
            sources=sources,
            more_sources=more,
        )


@contextmanager
def _together(a: Opened, b: Opened) -> Iterator[tuple[Database, _Side, _Side]]:
    """Both graphs in one connection, which is A's: B's store beside it, where that is another file."""
    database = a.graph.database
    apart = database.path.resolve() != b.graph.database.path.resolve()
    if apart:
        database.read("ATTACH DATABASE ? AS other", (str(b.graph.database.path.resolve()),))
    try:
        yield database, _Side(a, "main", _A), _Side(b, "other" if apart else "main", _B)
    finally:
        for table in (f"{name}{part}" for name in (_A, _B) for part in ("", "_near", "_keys", "_sources")):
            database.read(f"DROP TABLE IF EXISTS temp.{table}")
        if apart:
            database.read("DETACH DATABASE other")


def _gather(database: Database, side: _Side) -> None:
    """The findings of a run, each with who stands for it. `state` is that of whoever stands: how the other run has
    it, or empty."""
    database.read(
        f"CREATE TABLE temp.{side.table} (num INTEGER PRIMARY KEY, id TEXT, leader INTEGER, state TEXT DEFAULT '')"
    )
    database.read(
        f"INSERT INTO temp.{side.table} (num, id, leader) SELECT n.num, n.id, coalesce((SELECT target FROM "  # noqa: S608
        f"{side.schema}.edges WHERE source = n.num AND kind = ?), n.num) FROM {side.schema}.nodes AS n "
        "WHERE n.kind = 'finding' AND n.state = 'live' AND n.num BETWEEN ? AND ?",
        (EDGES["supports"], *side.range),
    )
    for column in ("id", "leader"):
        database.read(f"CREATE INDEX temp.{side.table}_{column} ON {side.table} ({column})")


def _mark(database: Database, one: _Side, other: _Side) -> None:
    """Mark the claims of which a finding has the same id in the other run."""
    for mine, theirs in ((one, other), (other, one)):
        database.read(
            f"UPDATE temp.{mine.table} SET state = 'id' WHERE leader IN "  # noqa: S608 - names from above, here and below
            f"(SELECT x.leader FROM temp.{mine.table} AS x JOIN temp.{theirs.table} AS y ON y.id = x.id)"
        )


def _count(database: Database, side: _Side, where: str) -> int:
    sql = f"SELECT count(*) FROM temp.{side.table} WHERE num = leader AND {where}"  # noqa: S608
    return int(database.read(sql)[0][0])


# The same in other words


def _by_words(database: Database, one: _Side, other: _Side) -> None:
    """Mark the claims that say the same as one of the other run, by the keys that these share."""
    left = _count(database, one, "state = ''") + _count(database, other, "state = ''")
    for mine, theirs in ((one, other), (other, one)):
        where = "" if left <= CLOSELY else _near_to(mine, theirs)
        _keep_keys(database, mine, where)
    joined = f"temp.{one.table}_keys AS x JOIN temp.{other.table}_keys AS y ON y.key = x.key"
    for side, name in ((one, "x"), (other, "y")):
        same = f"SELECT {name}.num FROM {joined} AND y.rest = x.rest"  # noqa: S608 - names from above
        database.read(f"UPDATE temp.{side.table} SET state = 'words' WHERE leader IN ({same})")  # noqa: S608
    sql = (
        f"SELECT DISTINCT x.num, y.num FROM {joined} JOIN temp.{one.table} AS l ON l.num = x.num "  # noqa: S608
        f"JOIN temp.{other.table} AS r ON r.num = y.num WHERE l.state = '' OR r.state = '' "
        "ORDER BY x.num, y.num LIMIT ?"
    )
    pairs = database.read(sql, (_PAIRS,))
    for start in range(0, len(pairs), _BATCH):
        some = pairs[start : start + _BATCH]
        facts = _facts(database, one, [x for x, _ in some]), _facts(database, other, [y for _, y in some])
        same_ = [(x, y) for x, y in some if alike.say_the_same(facts[0][x], facts[1][y])]
        for side, nums in ((one, [x for x, _ in same_]), (other, [y for _, y in same_])):
            database.read(
                f"UPDATE temp.{side.table} SET state = 'words' "  # noqa: S608
                "WHERE leader IN (SELECT value FROM json_each(?)) AND state = ''",
                (json.dumps(nums),),
            )


def _near_to(mine: _Side, theirs: _Side) -> str:
    """Of very many claims those that may say the same as one of the other run: they are about the same, or about
    nothing in particular, or have the same words."""
    shifted = _shifted("s.slot", theirs.opened.graph.num - mine.opened.graph.num)
    own = f"s.num BETWEEN {mine.range[0]} AND {mine.range[1]}"
    return (
        f"AND (n.num IN (SELECT s.num FROM {mine.schema}.slots AS s WHERE {own} AND EXISTS "  # noqa: S608
        f"(SELECT 1 FROM {theirs.schema}.slots AS o WHERE o.slot = {shifted})) "
        f"OR n.num NOT IN (SELECT s.num FROM {mine.schema}.slots AS s WHERE {own}) "
        f"OR n.text IN (SELECT text FROM {theirs.schema}.nodes AS t JOIN temp.{theirs.table} AS l "
        "ON l.num = t.num WHERE l.state = ''))"
    )


def _shifted(slot: str, graphs: int) -> str:
    """A slot's key in one graph as it is in another, so many graphs further: a sum of 64 bits, which SQLite would
    make a fraction of where it overflows (`alike.slot_key`)."""
    by = graphs * _ODD % _WORD
    low = f"(({slot} & {_HALF}) + {by & _HALF})"
    high = f"((({slot} >> 32) & {_HALF}) + {by >> 32} + ({low} >> 32))"
    return f"((({high} & {_HALF}) << 32) | ({low} & {_HALF}))"


def _keep_keys(database: Database, side: _Side, where: str) -> None:
    """The keys of the claims that the other run does not have by id, of which `where` leaves some out."""
    near = f"temp.{side.table}_near"
    database.read(
        f"CREATE TABLE {near} AS SELECT l.num FROM temp.{side.table} AS l JOIN {side.schema}.nodes AS n "  # noqa: S608
        f"ON n.num = l.num WHERE l.num = l.leader AND l.state = '' {where} ORDER BY l.num"
    )
    database.read(f"CREATE TABLE temp.{side.table}_keys (key INTEGER, rest TEXT, num INTEGER)")
    last = 0
    while True:
        rows = database.read(f"SELECT rowid, num FROM {near} WHERE rowid > ? LIMIT ?", (last, _BATCH))  # noqa: S608
        facts = _facts(database, side, [num for _, num in rows])
        keys = [[key, rest, num] for num, one in facts.items() for key, rest in _keyed(one)]
        database.read(
            f"INSERT INTO temp.{side.table}_keys SELECT value ->> 0, value ->> 1, value ->> 2 FROM json_each(?)",  # noqa: S608
            (json.dumps(keys),),
        )
        if len(rows) < _BATCH:
            break
        last = rows[-1][0]
    database.read(f"CREATE INDEX temp.{side.table}_by_key ON {side.table}_keys (key, rest, num)")


def _keyed(facts: alike.Facts) -> Iterator[tuple[int, str]]:
    """The keys of a finding, each with the rest of what `alike.say_the_same` asks for: where both are equal, two
    findings say the same, and nobody has to look at them again."""
    rest = (" ".join(facts.claim.words), " ".join(sorted(facts.names)))
    yield from zip(alike.keys(facts, 0), rest, strict=False)


def _facts(database: Database, side: _Side, nums: list[int]) -> dict[int, alike.Facts]:
    sql = f"SELECT num, text, more FROM {side.schema}.nodes WHERE num IN (SELECT value FROM json_each(?))"  # noqa: S608
    found = {}
    for num, text, more in database.read(sql, (json.dumps(nums),)):
        found[num] = alike.facts_of(text, *(json.loads(more) if more else [None] * 5))
    return found


# What cannot both hold


def _disputes(database: Database, one: _Side, other: _Side) -> tuple[list[tuple[int, int]], bool]:
    """Claims that the other run does not have, with another value of the same property at the same time; whether
    there may be more."""
    shifted = _shifted("s.slot", other.opened.graph.num - one.opened.graph.num)
    sql = (
        f"WITH mine AS ({_ranked(one, shifted)}), theirs AS ({_ranked(other, 's.slot')}) "  # noqa: S608
        "SELECT mine.num, theirs.num, max(mine.members, theirs.members) FROM mine JOIN theirs ON "
        f"theirs.slot = mine.slot JOIN {one.schema}.nodes AS n ON n.num = mine.num "
        "WHERE mine.place <= ? AND theirs.place <= ? AND n.more IS NOT NULL ORDER BY mine.num, theirs.num LIMIT ?"
    )
    pairs = database.read(sql, (_MEMBERS, _MEMBERS, _DISPUTES))
    found: list[tuple[int, int]] = []
    for start in range(0, len(pairs), _BATCH):
        some = [(x, y) for x, y, _ in pairs[start : start + _BATCH]]
        mine = _facts(database, one, [x for x, _ in some])
        theirs = _facts(database, other, [y for _, y in some])
        found += [(x, y) for x, y in some if _excludes(mine[x], theirs[y])]
    return found, len(pairs) == _DISPUTES or any(members > _MEMBERS for _, _, members in pairs)


def _ranked(side: _Side, slot: str) -> str:
    """The claims that the other run does not have, by what they are about, the latest first."""
    return (
        f"SELECT {slot} AS slot, s.num, "  # noqa: S608
        "row_number() OVER (PARTITION BY s.slot ORDER BY s.start DESC, s.rank) AS place, "
        "count(*) OVER (PARTITION BY s.slot) AS members "
        f"FROM {side.schema}.slots AS s JOIN temp.{side.table} AS l ON l.num = s.num "
        "WHERE l.num = l.leader AND l.state = ''"
    )


def _excludes(one: alike.Facts, other: alike.Facts) -> bool:
    if one.slot is None or one.slot != other.slot or one.value is None or other.value is None:
        return False
    return one.value.differs_from(other.value) and one.when.overlaps(other.when)


# What is shown of it


def _some(database: Database, side: _Side, limit: int) -> Iterator[Near]:
    """The most relevant claims that the other run does not have."""
    sql = (
        f"SELECT n.num FROM temp.{side.table} AS l JOIN {side.schema}.nodes AS n ON n.num = l.num "  # noqa: S608
        "WHERE l.num = l.leader AND l.state = '' ORDER BY n.relevance DESC, n.id LIMIT ?"
    )
    for (num,) in database.read(sql, (limit,)):
        yield _near(database, side, num)


def _near(database: Database, side: _Side, num: int) -> Near:
    nodes, evidence = f"{side.schema}.nodes", f"{side.schema}.evidence"
    sql = (
        f"SELECT n.id, n.text, s.id, e.start, e.end FROM {nodes} AS n LEFT JOIN {evidence} AS e "  # noqa: S608
        f"ON e.finding = n.num LEFT JOIN {nodes} AS s ON s.num = e.source WHERE n.num = ? LIMIT 1"
    )
    id_, text, source, start, end = database.read(sql, (num,))[0]
    where = place(side.opened, Span(source, start, end)) if source is not None else ""
    return Near(id=id_, claim=text, where=where)


def _sources(database: Database, one: _Side, other: _Side, limit: int) -> tuple[tuple[OfSource, ...], int]:
    """The sources of which the runs have found most unlike many claims; how many more there are. They are matched
    by their paths, or by their content where that matches more of them."""
    for side in (one, other):
        database.read(
            f"CREATE TABLE temp.{side.table}_sources AS SELECT s.id, s.text AS path, count(DISTINCT l.leader) AS "  # noqa: S608
            "claims, count(DISTINCT CASE WHEN l.state = '' THEN l.leader END) AS alone "
            f"FROM temp.{side.table} AS l JOIN {side.schema}.evidence AS e ON e.finding = l.num "
            f"JOIN {side.schema}.nodes AS s ON s.num = e.source GROUP BY e.source"
        )
    counted = {
        by: database.read(f"SELECT count(*) FROM temp.{_A}_sources JOIN temp.{_B}_sources USING ({by})")[0][0]  # noqa: S608
        for by in ("path", "id")
    }
    by = "path" if counted["path"] >= counted["id"] else "id"
    joined = f"temp.{_A}_sources AS x FULL JOIN temp.{_B}_sources AS y ON x.{by} = y.{by}"
    sql = (
        "SELECT coalesce(x.path, y.path), coalesce(x.claims, 0), coalesce(x.alone, 0), coalesce(y.claims, 0), "  # noqa: S608
        f"coalesce(y.alone, 0), coalesce(x.id <> y.id, 0), count(*) OVER () FROM {joined} "
        "ORDER BY abs(coalesce(x.claims, 0) - coalesce(y.claims, 0)) DESC, 1 LIMIT ?"
    )
    rows = database.read(sql, (limit,))
    told = tuple(
        OfSource(path=path, a=a, only_a=only_a, b=b, only_b=only_b, changed=bool(changed))
        for path, a, only_a, b, only_b, changed, _ in rows
    )
    return told, max(0, rows[0][6] - limit) if rows else 0
