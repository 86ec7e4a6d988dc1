"""The tree of summaries over all findings, whose shape depends on the findings alone.

Findings stand in reading order: by the path of their source, then by offset. A finding whose hash ends in enough
zeros ends a group, one in sixteen on average; one in 256 also ends a group of groups, and so on. So the
levels grow with the logarithm of the number of findings, the shape is the same whatever the order of arrival, and
one finding more touches its own branch only. (Skip lists, Pugh 1990; content-defined boundaries as in
Muthitacharoen et al. 2001; trees of this kind are known as prolly trees.)

A branch is a group with what is known of it: its summary, if one was written, and the tokens that came after.
This module moves rows; it writes no summaries and knows no claims.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from hashlib import blake2b
from typing import Any, NamedTuple

from swarm.graph.rows import EDGES, LIVE, Row, Rows

BITS = 4
"""A group ends, on average, after 2 ** BITS children."""
_MASK = (1 << BITS) - 1
_MAX_LEVEL = 16
LAST = b"\xff"
"""The place where the last group of each level ends: behind all findings."""
STALE = -1
"""For `fresh`: the whole group is to be read again."""
_PATH_BYTES = 200
_BEFORE = "SELECT place FROM tree WHERE graph = ? AND level = ? AND place < ? ORDER BY place DESC LIMIT 1"

Read = Callable[[str, Sequence[Any]], list[tuple[Any, ...]]]


class Branch(NamedTuple):
    """The group of `level` (1: of findings) that ends at `place`."""

    level: int
    place: bytes
    fresh: int = STALE
    summary: int | None = None


def rank(id_: str) -> int:
    """A hash of an id, uniform over 63 bits: the order in which findings stand for one another, and the
    boundaries."""
    return int.from_bytes(blake2b(id_.encode(), digest_size=8, person=b"rank").digest(), "big") >> 1


def height(rank_: int) -> int:
    """The highest level of which a finding ends a group; 0 for most."""
    level = 0
    while level < _MAX_LEVEL and rank_ & _MASK == 0:
        level += 1
        rank_ >>= BITS
    return level


def place_of(path: str, source: str, start: int, rank_: int) -> bytes:
    """Where a finding stands in reading order."""
    head = path.encode("utf-8", "replace")[:_PATH_BYTES].replace(b"\xff", b"\xfe")
    return b"\0".join((head, source.encode()[:40])) + start.to_bytes(6, "big") + rank_.to_bytes(8, "big")


def mass(text: str) -> int:
    """About how many tokens a node takes in a view: only sums of it are compared."""
    return 24 + len(text) // 4


# Changing, inside a transaction


def plant(rows: Rows) -> None:
    """Give the new findings of a transaction their places in the tree."""
    if rows.seedlings:
        new, rows.seedlings = sorted(rows.seedlings), []
        add_all(rows, new)


def add_all(rows: Rows, findings: Sequence[tuple[bytes, int, int, int]]) -> None:
    """Findings come to stand at their places: (place, number, rank, tokens), in the order of their places."""
    rows.many(
        "INSERT OR REPLACE INTO tree VALUES (?, 0, ?, ?)",
        [(rows.graph, place, num) for place, num, _, _ in findings],
    )
    for place, num, rank_, _ in findings:
        for level in range(1, height(rank_) + 1):  # it ends a group: the group around it is cut in two
            rows.execute("INSERT OR REPLACE INTO tree VALUES (?, ?, ?, ?)", (rows.graph, level, place, num))
            _spoil(rows, level, _end(rows, level, place, after=True))
            _spoil(rows, level, place)
    grown: dict[tuple[int, bytes], int] = {}
    end = b""
    for place, _, rank_, tokens in findings:
        above = height(rank_) + 1
        if above == 1 and not place <= end:
            end = _end(rows, 1, place)
        group = (above, end if above == 1 else _end(rows, above, place))
        grown[group] = grown.get(group, 0) + tokens
    for (level, place), tokens in grown.items():
        _grow(rows, level, place, tokens)


def add(rows: Rows, num: int, place: bytes, rank_: int, tokens: int) -> None:
    """One finding comes to stand at `place`."""
    add_all(rows, [(place, num, rank_, tokens)])


def take(rows: Rows, place: bytes, rank_: int, *, spoil: bool) -> None:
    """A finding no longer stands at `place`. `spoil` where no summary may go on speaking for it."""
    top = height(rank_)
    for level in range(top + 1):
        rows.execute("DELETE FROM tree WHERE graph = ? AND level = ? AND place = ?", (rows.graph, level, place))
        if level:
            drop_summary(rows, Branch(level, place))
            rows.execute(
                "DELETE FROM branches WHERE graph = ? AND level = ? AND place = ?", (rows.graph, level, place)
            )
            _spoil(rows, level, _end(rows, level, place, after=True))
    level = top + 1
    while spoil and level <= _MAX_LEVEL:
        end = _end(rows, level, place)
        _spoil(rows, level, end)
        if end == LAST and not _has_level(rows, level):
            break
        level += 1


def set_summary(rows: Rows, branch: Branch, summary: int, tokens: int) -> None:
    """A summary was written of all that the branch holds; the branch above has `tokens` more to read. One that
    stands there already is left as it is."""
    there = rows.execute(
        "SELECT 1 FROM branches WHERE graph = ? AND level = ? AND place = ? AND summary = ?",
        (rows.graph, branch.level, branch.place, summary),
    ).fetchone()
    if there is not None:
        return
    drop_summary(rows, branch)
    rows.execute(
        "INSERT OR REPLACE INTO branches VALUES (?, ?, ?, 0, ?)", (rows.graph, branch.level, branch.place, summary)
    )
    if _has_level(rows, branch.level):
        _grow(rows, branch.level + 1, _end(rows, branch.level + 1, branch.place), tokens)


def drop_summary(rows: Rows, branch: Branch) -> int | None:
    """Take the summary off a branch; what no other summary covers is deleted."""
    key = (rows.graph, branch.level, branch.place)
    found = rows.execute(
        "SELECT summary FROM branches WHERE graph = ? AND level = ? AND place = ?", key
    ).fetchone()
    if found is None or found[0] is None:
        return None
    rows.execute("UPDATE branches SET summary = NULL WHERE graph = ? AND level = ? AND place = ?", key)
    discard(rows, found[0])
    return int(found[0])


def discard(rows: Rows, summary: int) -> None:
    """Delete a summary that no branch has and no other summary covers, and what only it kept."""
    if rows.sources(summary, EDGES["summarises"]):
        return
    if rows.execute("SELECT 1 FROM branches WHERE summary = ?", (summary,)).fetchone():
        return
    covered = rows.targets(summary, EDGES["summarises"])
    rows.unlink(summary, EDGES["summarises"])
    rows.unindex(summary)
    rows.execute("DELETE FROM nodes WHERE num = ?", (summary,))
    for num in covered:
        if rows.execute("SELECT 1 FROM nodes WHERE num = ? AND kind = 'summary'", (num,)).fetchone():
            discard(rows, num)


def branch_over(rows: Rows, level: int, covered: Sequence[Row]) -> Branch | None:
    """The branch of a level below which all these stand: findings, or summaries of lower levels. None where
    there is none, because something was added or taken since."""
    if not covered:
        return None
    places = [_stands(rows, row, level) for row in covered]
    if any(place is None for place in places):
        return None
    known = [place for place in places if place is not None]
    end = _end(rows, level, known[0])
    before = rows.execute(_BEFORE, (rows.graph, level, end)).fetchone()
    if any(place > end or (before is not None and place <= bytes(before[0])) for place in known):
        return None
    return Branch(level, end)


def _stands(rows: Rows, row: Row, level: int) -> bytes | None:
    """Where a finding stands, or the branch of a summary below `level` ends."""
    if row.state != LIVE:
        return None
    if row.kind == "finding":
        return row.place
    sql = "SELECT place FROM branches WHERE summary = ? AND level < ?"
    found = rows.execute(sql, (row.num, level)).fetchone()
    return None if found is None else bytes(found[0])


def _grow(rows: Rows, level: int, end: bytes, tokens: int) -> None:
    rows.execute(
        "INSERT INTO branches VALUES (?1, ?2, ?3, ?4, NULL) ON CONFLICT DO UPDATE SET "
        "fresh = CASE WHEN summary IS NULL THEN -1 ELSE fresh + ?4 END",
        (rows.graph, level, end, tokens),
    )


def _spoil(rows: Rows, level: int, place: bytes) -> None:
    drop_summary(rows, Branch(level, place))
    rows.execute("INSERT OR REPLACE INTO branches VALUES (?, ?, ?, -1, NULL)", (rows.graph, level, place))


def _end(rows: Rows, level: int, place: bytes, *, after: bool = False) -> bytes:
    """Where the group of `level` that holds `place` ends; `after`: the next one behind it."""
    sign = ">" if after else ">="
    found = rows.execute(
        f"SELECT place FROM tree WHERE graph = ? AND level = ? AND place {sign} ? ORDER BY place LIMIT 1",  # noqa: S608
        (rows.graph, level, place),
    ).fetchone()
    return LAST if found is None else bytes(found[0])


def _has_level(rows: Rows, level: int) -> bool:
    sql = "SELECT 1 FROM tree WHERE graph = ? AND level = ? LIMIT 1"
    return rows.execute(sql, (rows.graph, level)).fetchone() is not None


# Reading


def levels(read: Read, graph: int) -> int:
    """The number of levels above the findings: the highest has one branch, the root. 0 for an empty tree."""
    rows = read("SELECT coalesce(max(level), -1) FROM tree WHERE graph = ?", (graph,))
    top = int(rows[0][0])
    return 0 if top < 0 else top + 1


def branches(read: Read, graph: int, level: int) -> Iterator[Branch]:
    """All groups of a level in reading order, also those of which nothing is known yet."""
    known = {
        bytes(place): (fresh, summary)
        for place, fresh, summary in read(
            "SELECT place, fresh, summary FROM branches WHERE graph = ? AND level = ?", (graph, level)
        )
    }
    for place in _ends(read, graph, level):
        yield Branch(level, place, *known.get(place, (STALE, None)))


def branch(read: Read, graph: int, level: int, place: bytes) -> Branch:
    """One group by where it ends."""
    for fresh, summary in read(
        "SELECT fresh, summary FROM branches WHERE graph = ? AND level = ? AND place = ?", (graph, level, place)
    ):
        return Branch(level, place, fresh, summary)
    return Branch(level, place)


def begin(read: Read, graph: int, group: Branch) -> bytes:
    """The place behind which a group begins."""
    found = read(_BEFORE, (graph, group.level, group.place))
    return bytes(found[0][0]) if found else b""


def below(read: Read, graph: int, group: Branch) -> list[Branch] | list[int]:
    """What a group is made of, in reading order: branches one level below, or the numbers of findings."""
    low = begin(read, graph, group)
    rows = read(
        "SELECT place, num FROM tree WHERE graph = ? AND level = ? AND place > ? AND place <= ? ORDER BY place",
        (graph, group.level - 1, low, group.place),
    )
    if group.level == 1:
        return [num for _, num in rows]
    ends = [bytes(place) for place, _ in rows]
    if group.place == LAST and read(
        "SELECT 1 FROM tree WHERE graph = ? AND level = 0 AND place > ? LIMIT 1",
        (graph, ends[-1] if ends else low),
    ):
        ends.append(LAST)
    sql = "SELECT place, fresh, summary FROM branches WHERE graph = ? AND level = ? AND place > ? AND place <= ?"
    known = {bytes(row[0]): row[1:] for row in read(sql, (graph, group.level - 1, low, group.place))}
    return [Branch(group.level - 1, end, *known.get(end, (STALE, None))) for end in ends]


def _ends(read: Read, graph: int, level: int) -> Iterator[bytes]:
    last = b""
    for (place,) in read("SELECT place FROM tree WHERE graph = ? AND level = ? ORDER BY place", (graph, level)):
        last = bytes(place)
        yield last
    if read("SELECT 1 FROM tree WHERE graph = ? AND level = 0 AND place > ? LIMIT 1", (graph, last)):
        yield LAST
