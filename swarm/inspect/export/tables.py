"""A run as tables: what its rows are, one batch in memory at a time. Who writes them where is the business of
`swarm/inspect/export/files.py`.

    with open_run("last") as opened:
        for table in tables(Look(opened)):
            print(table.name, [column.name for column in table.columns], next(table.rows(), None))

Keys lead from table to table: `slice` is an `id` of slices, `finding` of findings, `source` of sources. Text is as
sources and models wrote it; whoever writes it for a program that obeys text makes it safe.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final, Literal

from swarm.errors import StoreError
from swarm.graph.disputes import of_finding, relations
from swarm.graph.rows import EDGE_NAMES, EDGES, Row
from swarm.inspect.calls import ANSWERED, FAILED, REFUSED, UNDER_WAY
from swarm.inspect.data.coverage import coverage
from swarm.inspect.follow import Follower
from swarm.inspect.look import Look
from swarm.inspect.opened import Opened
from swarm.observe.log import redact_text
from swarm.source import Span

Type = Literal["text", "whole", "number", "time", "flag"]
"""Of a column: text, whole numbers, floats, seconds since the epoch, true or false. Any of them may be None."""

_BATCH = 5_000
_STATES: Final = {UNDER_WAY: "under way", ANSWERED: "answered", FAILED: "failed", REFUSED: "refused"}
_KEPT = tuple(EDGES[kind] for kind in ("about", "derived_from", "depends_on", "supports", "summarises", "answers"))
"""Edges that stand in the store as they are; contradictions are derived, and `evidence` and `reads` are tables."""


@dataclass(frozen=True, slots=True)
class Column:
    name: str
    type: Type = "text"


@dataclass(frozen=True, slots=True)
class Table:
    """`rows` gives them anew with each call, with one value a column."""

    name: str
    columns: tuple[Column, ...]
    rows: Callable[[], Iterator[tuple[Any, ...]]]


def tables(look: Look) -> tuple[Table, ...]:
    """All tables of a run, as it is by now."""
    opened, followed = look.opened, look.fresh()
    return (
        _table("run", _RUN, lambda: _run(followed)),
        _table("answer", _ANSWER, lambda: _answer(followed)),
        _table("findings", _FINDINGS, lambda: _findings(opened)),
        _table("evidence", _EVIDENCE, lambda: _evidence(opened)),
        _table("edges", _EDGES, lambda: _edges(opened)),
        _table("sources", _SOURCES, lambda: _sources(look)),
        _table("slices", _SLICES, lambda: _slices(opened, followed)),
        _table("reads", _READS, lambda: _reads(followed)),
        _table("calls", _CALLS, lambda: _calls(followed)),
        _table("costs", _COSTS, lambda: _costs(followed)),
    )


def _table(name: str, columns: str, rows: Callable[[], Iterator[tuple[Any, ...]]]) -> Table:
    """`columns` are names, each with its type behind a colon, where it is not text."""
    made = (Column(one.partition(":")[0], one.partition(":")[2] or "text") for one in columns.split())  # type: ignore[arg-type]
    return Table(name, tuple(made), rows)


_RUN = (
    "id status why asked model reader begun:time last:time seconds:number slices:whole slices_done:whole "
    "findings:whole calls:whole input_tokens:whole output_tokens:whole cached_tokens:whole cost_usd:number graph"
)


def _run(followed: Follower) -> Iterator[tuple[Any, ...]]:
    graph, spent, states = followed.opened.graph, followed.spent, followed.plan.states
    session = followed.sessions[-1] if followed.sessions else None
    yield (
        followed.run, followed.status, _told(followed.why), followed.plan.goal,
        session.model if session else None, session.reader if session else None,
        followed.begun, followed.last, _seconds(followed.begun, followed.last), sum(states.values()),
        states["done"], graph.claims, spent.calls, spent.input_tokens, spent.output_tokens, spent.cached_tokens,
        spent.cost_usd, graph.fingerprint(),
    )  # fmt: skip


_ANSWER = (
    "part number:whole item question text citation:whole source path start:whole end:whole line:whole page:whole "
    "quote"
)


def _answer(followed: Follower) -> Iterator[tuple[Any, ...]]:
    """A row a citation; a sentence that has none has a row without."""
    answer = followed.answer or {}
    citations = answer.get("citations") or ()
    if answer.get("short"):
        yield ("short", 1, None, None, answer["short"], *(None,) * 8)
    said: list[tuple[str, int, str | None, str | None, str, Any]] = []
    for number, one in enumerate(answer.get("statements") or (), 1):
        said.append(("sentence", number, None, None, one["text"], one["citations"]))
    for number, one in enumerate(answer.get("cells") or (), 1):
        said.append(("cell", number, one["item"], one["question"], one["text"], one["citations"]))
    for number, one in enumerate(answer.get("contradictions") or (), 1):
        for claim, cited in zip(one["claims"], one["citations"], strict=True):
            said.append(("contradiction", number, None, None, claim, cited))
    if answer.get("text") and not said:
        yield ("text", 1, None, None, answer["text"], *(None,) * 8)
    for *head, cited in said:
        for place in cited or (None,):
            yield (*head, *_citation(place, citations))


def _citation(place: int | None, citations: Any) -> tuple[Any, ...]:
    if place is None:
        return (None,) * 8
    one = citations[place]
    where = (one["source_id"], one["source"], one["start"], one["end"], one.get("line"), one.get("page"))
    return (place + 1, *where, one["quote"])


_FINDINGS = (
    "id claim relevance:number subject attribute value unit time slice stands_for_itself:flag evidence:whole"
)


def _findings(opened: Opened) -> Iterator[tuple[Any, ...]]:
    """In the order in which they came. One that says what another says points to it by an edge `supports`."""
    sql = (
        "SELECT num, id, text, relevance, more, "
        "(SELECT s.id FROM edges AS e JOIN nodes AS s ON s.num = e.target WHERE e.source = n.num AND e.kind = ? "
        "ORDER BY s.num LIMIT 1), "
        "NOT EXISTS (SELECT 1 FROM edges WHERE source = n.num AND kind = ?), "
        "(SELECT count(*) FROM evidence WHERE finding = n.num) "
        "FROM nodes AS n WHERE num > ? AND num <= ? AND kind = 'finding' AND state = 'live' ORDER BY num LIMIT ?"
    )
    kinds = (EDGES["derived_from"], EDGES["supports"])
    for _, id_, text, relevance, more, slice_, leads, spans in _paged(opened, sql, kinds):
        yield (id_, text, relevance, *_fields(more), slice_, bool(leads), spans)


def _fields(more: str | None) -> tuple[str | None, ...]:
    """Subject, attribute, value, unit and time."""
    return tuple(json.loads(more)) if more else (None,) * 5


_EVIDENCE = "finding source path start:whole end:whole line:whole page:whole relevance:number quote"


def _evidence(opened: Opened) -> Iterator[tuple[Any, ...]]:
    """The places on which each finding itself rests. Without a quote where the text is on another machine."""
    graph, database = opened.graph, opened.graph.database
    (low, high), place = graph.range, (0, 0, 0)
    low -= 1
    names: dict[int, tuple[str, str]] = {}
    ids: dict[int, str] = {}
    sql = (
        "SELECT finding, source, start, end, relevance FROM evidence "
        "WHERE (finding, source, start, end) > (?, ?, ?, ?) AND finding <= ? "
        "ORDER BY finding, source, start, end LIMIT ?"
    )
    while found := database.read(sql, (low, *place, high, _BATCH)):
        low, place = found[-1][0], found[-1][1:4]
        _name(opened, names, [row[1] for row in found if row[1] not in names])
        ids = {row.num: row.id for row in graph.rows(dict.fromkeys(row[0] for row in found))}
        for finding, source, start, end, relevance in found:
            if finding in ids:
                id_, path = names[source]
                told = _quoted(opened, Span(id_, start, end), path)
                yield (ids[finding], id_, path, start, end, *told[:2], relevance, told[2])


def _name(opened: Opened, names: dict[int, tuple[str, str]], nums: list[int]) -> None:
    """Ids and paths of sources by their numbers."""
    sql = "SELECT num, id, text FROM nodes WHERE num IN (SELECT value FROM json_each(?))"
    for num, id_, text in opened.graph.database.read(sql, (json.dumps(list(dict.fromkeys(nums))),)):
        names[num] = (id_, text or id_)


def _quoted(opened: Opened, span: Span, path: str) -> tuple[int | None, int | None, str | None]:
    try:
        where = opened.library.locate(span, path)
        return where.line, where.page, opened.library.text(span)
    except StoreError:
        return None, None, None


_EDGES = "one kind other"


def _edges(opened: Opened) -> Iterator[tuple[Any, ...]]:
    """Those that are derived (contradicts, supersedes) last."""
    graph, database = opened.graph, opened.graph.database
    low, high = graph.range
    place = (low - 1, 0, 0)
    sql = (
        "SELECT e.source, e.kind, e.target, s.id, t.id, s.state = 'live' AND t.state = 'live' FROM edges AS e "
        "JOIN nodes AS s ON s.num = e.source JOIN nodes AS t ON t.num = e.target "
        "WHERE (e.source, e.kind, e.target) > (?, ?, ?) AND e.source <= ? "
        "ORDER BY e.source, e.kind, e.target LIMIT ?"
    )
    while found := database.read(sql, (*place, high, _BATCH)):
        place = found[-1][:3]
        for _, kind, _, one, other, live in found:
            if live and kind in _KEPT:
                yield (one, EDGE_NAMES[kind], other)
    yield from _disputes(opened)


def _disputes(opened: Opened) -> Iterator[tuple[str, str, str]]:
    """What contradicts what, each pair once, and what holds now before what held before."""
    graph, database = opened.graph, opened.graph.database
    sql = "SELECT slot FROM disputed WHERE graph = ? AND prose = 0 ORDER BY slot"
    for (slot,) in database.read(sql, (graph.num,)):
        for one in relations(graph, slot):
            yield (one.one.id, one.kind, one.other.id)
    judged = (
        "SELECT source, target FROM edges INDEXED BY verdicts WHERE kind IN (5, 6, 11, 12) AND kind IN (?, ?) "
        "AND source BETWEEN ? AND ?"
    )
    kinds = (EDGES["contradicts"], EDGES["supersedes"])
    nums = {num for pair in database.read(judged, (*kinds, *graph.range)) for num in pair}
    for row in graph.rows(sorted(nums)):
        if not _has_value(row):
            for one in of_finding(graph, row):
                if one.one.num == row.num:
                    yield (one.one.id, one.kind, one.other.id)


def _has_value(row: Row) -> bool:
    return all(_fields(row.more)[:3])


_SOURCES = (
    "id path media chars:whole bytes:whole read_chars:whole cited_chars:whole failed_chars:whole "
    "unread_chars:whole findings:whole skipped"
)
_SOURCES_AT_ONCE = 200


def _sources(look: Look) -> Iterator[tuple[Any, ...]]:
    """What was read of each source; then what was left out of the reading, with the reason."""
    corpus = look.follower.plan.corpus
    if corpus is None:
        return
    for first in range(0, len(corpus.sources), _SOURCES_AT_ONCE):
        told = coverage(look, offset=first, limit=_SOURCES_AT_ONCE)["sources"]
        for source, one in zip(corpus.sources[first : first + _SOURCES_AT_ONCE], told, strict=True):
            yield (
                source.id, source.path, source.media, source.chars, source.bytes, one["read"], one["cited"],
                one["failed"], one["unread"], one["findings"], None,
            )  # fmt: skip
    for skip in corpus.skipped:
        yield (None, skip.source, None, skip.chars, skip.bytes, 0, 0, 0, 0, 0, _told(skip.reason))


_SLICES = (
    "id name branch asked question round:whole item parent depth:whole state why begun:time ended:time "
    "seconds:number chars:whole material_tokens:whole findings:whole calls:whole tokens:whole cost_usd:number "
    "machine moved:whole"
)


def _slices(opened: Opened, followed: Follower) -> Iterator[tuple[Any, ...]]:
    sql = (
        "SELECT count(*) FROM edges AS e JOIN nodes AS s ON s.num = e.target JOIN nodes AS f ON f.num = e.source "
        "WHERE s.id = ? AND s.num BETWEEN ? AND ? AND e.kind = ? AND f.kind = 'finding' AND f.state = 'live'"
    )
    graph = opened.graph
    for id_, seen in followed.plan.slices.items():
        one = seen.slice
        found = graph.database.read(sql, (id_, *graph.range, EDGES["derived_from"]))[0][0]
        yield (
            id_, followed.names.of(seen), seen.branch, followed.plan.branches[seen.branch].asked, one.question,
            one.round, one.item, one.parent, one.depth, seen.state, seen.why or None, seen.begun, seen.ended,
            _seconds(seen.begun, seen.ended), one.chars, one.tokens, found, seen.calls, seen.tokens, seen.cost_usd,
            seen.machine or None, seen.moved,
        )  # fmt: skip


def _seconds(begun: float | None, ended: float | None) -> float | None:
    """From one moment to another, to a microsecond."""
    return None if begun is None or ended is None else round(ended - begun, 6)


_READS = "slice source start:whole end:whole state"


def _reads(followed: Follower) -> Iterator[tuple[Any, ...]]:
    """The stretches of sources that each slice was given."""
    for id_, seen in followed.plan.slices.items():
        for span in seen.slice.spans:
            yield (id_, *span, seen.state)


_CALLS = (
    "key slice asked_by branch model kind state begun:time ended:time seconds:number window_tokens:whole "
    "counted_tokens:whole fill:number input_tokens:whole output_tokens:whole cached_tokens:whole cost_usd:number "
    "machine"
)


def _calls(followed: Follower) -> Iterator[tuple[Any, ...]]:
    """A row a call, with what all of its tries came to."""
    calls, plan = followed.calls, followed.plan
    for row in range(len(calls)):
        asker = calls.asked_by(row)
        begun, ended = calls.begun[row], calls.over(row)
        seen = plan.slices.get(asker)
        yield (
            calls.keys[row].hex(), asker if seen is not None else None, asker, plan.branch_of(asker),
            calls.models.texts[calls.model[row]], calls.kinds.texts[calls.kind[row]], _STATES[calls.state[row]],
            begun, ended, _seconds(begun, ended), calls.room[row] or None, calls.counted[row],
            calls.fill(row), calls.input_tokens[row], calls.output_tokens[row], calls.cached_tokens[row],
            calls.cost_usd[row], (seen.machine_at(begun) or None) if seen is not None else None,
        )  # fmt: skip


_COSTS = (
    "model kind branch asked calls:whole failed_tries:whole input_tokens:whole output_tokens:whole "
    "cached_tokens:whole cost_usd:number seconds:number"
)


def _costs(followed: Follower) -> Iterator[tuple[Any, ...]]:
    """What calls of one model, for one kind of prompt, in one branch came to."""
    for (model, kind, key), cost in sorted(followed.costs.items()):
        branch = followed.plan.branches.get(key)
        yield (
            model, kind, key, branch.asked if branch is not None else None, cost.calls, cost.failed,
            cost.input_tokens, cost.output_tokens, cost.cached_tokens, cost.cost_usd, round(cost.seconds, 6),
        )  # fmt: skip


def _told(reason: str | None) -> str | None:
    """Why something went wrong, in a provider's words, without the secrets in it; None where nothing did."""
    return redact_text(reason) if reason else None


def _paged(opened: Opened, sql: str, before: tuple[Any, ...]) -> Iterator[tuple[Any, ...]]:
    """The rows of a query over numbers of nodes, which it gives first, a batch after the other."""
    low, high = opened.graph.range
    last = low - 1
    while found := opened.graph.database.read(sql, (*before, last, high, _BATCH)):
        yield from found
        last = found[-1][0]
