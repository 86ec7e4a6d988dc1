"""The findings of a file: those that must be there, then the most relevant, as many as there is room for.

What the answer rests on and what is in dispute must be there. A finding is a row with the places that it rests on,
who stands for it, and who reported it; its words at those places come along where its source does not. Rows go by
their place in the list from here on.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from swarm.graph.rows import EDGES
from swarm.inspect.look import Look
from swarm.inspect.report.blocks import Blocks
from swarm.inspect.report.texts import Texts
from swarm.source import Span

LIST = "findings"
_TOGETHER = 1_000
_EVIDENCE = 16  # places of one finding
_QUOTES = 4  # of a finding whose source is not there, in words
_QUOTE_CHARS, _MUST_QUOTE_CHARS = 500, 2_000
_CLAIM_CHARS = 4_000
_BYTES, _BESIDE = 200, 45
"""About what a finding that must be there takes, and what one takes besides its row: its entity, its place."""


@dataclass(slots=True)
class Packed:
    """`place` gives the row of a finding by its number in the graph, `by_id` by its id, and `entities` that of an
    entity; the first `leaders` findings stand for themselves. `total` and `claims` are those of the graph, the
    second without those that say what another says. `quoted` are places in sources, by the numbers of these in
    the file."""

    total: int = 0
    claims: int = 0
    leaders: int = 0
    place: dict[int, int] = field(default_factory=dict)
    by_id: dict[str, int] = field(default_factory=dict)
    entities: dict[int, int] = field(default_factory=dict)
    quoted: dict[int, list[tuple[int, int]]] = field(default_factory=dict)


def pack(
    look: Look, blocks: Blocks, texts: Texts, must: Collection[int], slices: dict[str, int], keep: int
) -> Packed:
    """Write the findings into blocks. `must` are numbers in the graph, `slices` the places of slices by their ids,
    and `keep` the bytes of room that are left for others."""
    packed = Packed(total=len(look.graph), claims=look.graph.claims)
    for leads in (True, False):
        order = _order(look, leads=leads)
        waiting = sum(num in must for num in order)
        numbers = iter(order)
        while several := list(islice(numbers, _TOGETHER)):
            wanted = [num for num in several if num in must]
            waiting -= len(wanted)
            needed = _BYTES * (waiting + len(several)) + _BESIDE * len(packed.place)
            if blocks.left - keep - needed > 0:
                wanted = several
            _put(look, blocks, texts, packed, wanted, must, slices)
        if leads:
            packed.leaders = len(packed.place)
    blocks.end(LIST)
    return packed


def _order(look: Look, *, leads: bool) -> list[int]:
    """The numbers of findings, the most relevant first, as the list of findings has them: first those that stand
    for themselves."""
    sql = (
        "SELECT num FROM nodes AS n INDEXED BY findings_by_relevance WHERE kind = 'finding' AND state = 'live' "
        "AND num >> 32 = ? AND EXISTS (SELECT 1 FROM edges WHERE source = n.num AND kind = ?) = ? "
        "ORDER BY relevance DESC, num DESC"
    )
    wanted = (look.graph.num, EDGES["supports"], not leads)
    return [num for (num,) in look.graph.database.read(sql, wanted)]


def _put(
    look: Look,
    blocks: Blocks,
    texts: Texts,
    packed: Packed,
    nums: list[int],
    must: Collection[int],
    slices: dict[str, int],
) -> None:
    edges = _edges(look, nums)
    places = _places(look, nums)
    texts.know(source for spans in places.values() for source, _, _ in spans)
    rows = look.graph.rows(nums)
    reporters = _reporters(look, edges)
    for row in rows:
        out = edges.get(row.num, {})
        spans = places.get(row.num, [])
        evidence, quotes = _evidence(texts, packed, spans[:_EVIDENCE], row.num in must)
        leader = next(iter(out.get(EDGES["supports"], ())), None)
        packed.by_id[row.id] = packed.place[row.num] = len(packed.place)
        blocks.add(
            LIST,
            [
                row.id,
                row.text[:_CLAIM_CHARS],
                round(row.relevance, 4),
                json.loads(row.more) if row.more else 0,
                evidence,
                len(spans),
                packed.place.get(leader, -1) if leader is not None else -1,
                [slices[id_] for num in out.get(EDGES["derived_from"], ()) if (id_ := reporters[num]) in slices],
                [_number(packed.entities, num) for num in out.get(EDGES["about"], ())],
                quotes,
            ],
        )


def _number(numbers: dict[int, int], num: int) -> int:
    return numbers.setdefault(num, len(numbers))


def _edges(look: Look, nums: list[int]) -> dict[int, dict[int, list[int]]]:
    """The edges that leave findings, by finding and kind."""
    sql = (
        "SELECT source, kind, target FROM edges WHERE source IN (SELECT value FROM json_each(?)) "
        "AND kind IN (?, ?, ?) ORDER BY source, kind, target"
    )
    kinds = (EDGES["about"], EDGES["derived_from"], EDGES["supports"])
    found: dict[int, dict[int, list[int]]] = {}
    for source, kind, target in look.graph.database.read(sql, (json.dumps(nums), *kinds)):
        found.setdefault(source, {}).setdefault(kind, []).append(target)
    return found


def _reporters(look: Look, edges: dict[int, dict[int, list[int]]]) -> dict[int, str]:
    """The ids of slices by their numbers in the graph."""
    nums = {num for out in edges.values() for num in out.get(EDGES["derived_from"], ())}
    sql = "SELECT num, id FROM nodes WHERE num IN (SELECT value FROM json_each(?))"
    return dict(look.graph.database.read(sql, (json.dumps(sorted(nums)),)))


def _places(look: Look, nums: list[int]) -> dict[int, list[tuple[int, int, int]]]:
    """Of each finding the places that it rests on, its own first and the most relevant of these at the top, then
    those of the findings that it stands for."""
    read = look.graph.database.read
    sql = "SELECT target, source FROM edges WHERE target IN (SELECT value FROM json_each(?)) AND kind = ?"
    stands = {follower: num for num, follower in read(sql, (json.dumps(nums), EDGES["supports"]))}
    sql = (
        "SELECT finding, source, start, end FROM evidence WHERE finding IN (SELECT value FROM json_each(?)) "
        "ORDER BY finding, relevance DESC, source, start"
    )
    own: dict[int, dict[tuple[int, int, int], None]] = {}
    others: list[tuple[int, tuple[int, int, int]]] = []
    asked = [*nums, *stands]
    for finding, *place in read(sql, (json.dumps(asked),)):
        span = (place[0], place[1], place[2])
        if finding in stands:
            others.append((stands[finding], span))
        if finding not in stands or finding in nums:
            own.setdefault(finding, {})[span] = None
    for num, span in others:
        own.setdefault(num, {}).setdefault(span)
    return {num: list(spans) for num, spans in own.items()}


def _evidence(
    texts: Texts, packed: Packed, spans: Iterable[tuple[int, int, int]], must: bool
) -> tuple[list[list[int]], Any]:
    """Places as source, start, end and line (a page: below 0); and the words at the first of them, 0 where all can
    be read in the texts that are there."""
    evidence: list[list[int]] = []
    quotes: list[str | None] = []
    needed = False
    for num, start, end in spans:
        kept = texts.of(num)
        span = Span(kept.id, start, end)
        evidence.append([kept.number, start, end, texts.place(span, kept)])
        packed.quoted.setdefault(kept.number, []).append((start, end))
        if kept.whole or len(quotes) >= _QUOTES:
            quotes.append(None)
        else:
            quotes.append(texts.quote(span, _MUST_QUOTE_CHARS if must else _QUOTE_CHARS))
            needed = True
    return evidence, quotes if needed else 0
