"""A run from its journal: where it stands, so that it can go on, and its graph, where the store has lost it.

Nothing is worked again to find out: plans, splits and decisions are records, and the graph is there. What went
wrong before is planned again.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from swarm.coordinator.desk import Desk
from swarm.coordinator.kept import kept_source
from swarm.coordinator.listen import restore_steering
from swarm.coordinator.records import (
    DROPPED,
    READ,
    REPORT,
    SUMMARY,
    VERDICT,
    children,
    corpus_of,
    cuts_of,
    halves_of,
    plans_of,
    slices_of,
)
from swarm.coordinator.work import again
from swarm.coordinator.work.take import slices_from
from swarm.graph.graph import SharedGraph
from swarm.graph.identity import question_id
from swarm.graph.load import merge_all
from swarm.graph.nodes import Part, Removal, Summary
from swarm.source import Source
from swarm.store.journal import Journal
from swarm.task import Report, Slice, SliceFailure

_REPORTS = ("handoff", "report", "failure")


def restore(desk: Desk) -> None:
    """Bring a desk to where its run was left: what is done, split and asked, and what is still to be worked."""
    journal, run = desk.journal, desk.run
    restore_steering(desk)
    if desk.task.mode == "work":
        again.begin(desk)
        return
    for plan in plans_of(journal, run, desk.corpus):
        desk.add(plan)
    for record in cuts_of(journal, run):
        parent = desk.slices[record.key]
        made = children(parent, halves_of(record.body))
        desk.slices |= {child.id: child for child in made}
        if record.kind == "split":
            desk.split.add(parent.id)
    desk.done |= set(journal.keys(run, "report"))
    for record in journal.records(run, "unmatched"):
        desk.done |= set(record.body["slices"])
    for record in journal.records(run, DROPPED):
        if (dropped := desk.slices.get(record.key)) is not None:
            reason = record.body["reason"]
            desk.dropped[dropped.id] = SliceFailure(slice=dropped.id, spans=dropped.spans, reason=reason)
    settled = desk.done | desk.split | desk.dropped.keys()
    desk.planned = [id_ for id_ in desk.slices if id_ not in settled]
    desk.removed = journal.count(run, "removal")
    asked = set(journal.keys(run, "settled"))
    desk.settling = {text: pair for text, pair in desk.settling.items() if question_id(text) not in asked}
    if desk.task.output == "table":
        _restore_cells(desk)


def _restore_cells(desk: Desk) -> None:
    for record in desk.journal.records(desk.run, "report"):
        if record.key in desk.slices and desk.slices[record.key].item:
            desk.items[record.key] = [finding["id"] for finding in record.body.get("findings", ())]


def catch_up(journal: Journal, graph: SharedGraph) -> bool:
    """Merge into a graph what the journal says and the graph lacks: it was made by an older version, its store is
    another one, or a process died between the two. Tells whether anything was missing."""
    behind = _is_behind(journal, graph)
    if behind or journal.apart:
        merge_all(graph, _parts(journal, graph, reports=behind))
    return behind


def _is_behind(journal: Journal, graph: SharedGraph) -> bool:
    reported = len({key.partition(":")[0] for kind in _REPORTS for key in journal.keys(graph.run, kind)})
    sql = (
        "SELECT count(*) FROM nodes INDEXED BY nodes_by_kind WHERE kind <> 'finding' AND kind = 'slice' "
        "AND state = 'live' AND num BETWEEN ? AND ?"
    )
    return bool(reported > graph.database.read(sql, graph.range)[0][0])


def _parts(journal: Journal, graph: SharedGraph, *, reports: bool) -> Iterator[Part]:
    """What the records of a run say of its graph, with its reports or without: whether these are there can be told
    by their number."""
    run = graph.run
    for record in journal.records(run, "removal"):
        yield Removal(source=record.body["source"])
    if reports:
        yield from _reported(journal, run)
    for record in journal.records(run, "verdict"):
        yield VERDICT.validate_python(record.body)
    yield from _summaries(journal, graph)


def _summaries(journal: Journal, graph: SharedGraph) -> Iterator[Summary]:
    """Those that the graph lacks and no later one has replaced: one that is merged again takes the place of what
    stands on its branch by now, and the branch counts as read to its end."""
    made = [SUMMARY.validate_python(record.body) for record in journal.records(graph.run, "summary")]
    last = {(one.level, child): one.id for one in made for child in one.covers}
    for one in made:
        if graph.row(one.id) is None and all(last[one.level, child] == one.id for child in one.covers):
            yield one


def _reported(journal: Journal, run: str) -> Iterator[Part]:
    corpus = corpus_of(journal, run)
    slices: dict[str, Slice] = {}
    sources: dict[str, Source] = {}
    if corpus is not None:
        slices = {slice_.id: slice_ for slice_ in slices_of(journal, run, corpus)}
        sources = {source.id: source for source in corpus.sources}
    made = {record.key: kept_source(record.key, record.body) for record in journal.records(run, "kept")}
    named = {one.key: made[ref] for one in journal.records(run, "artifact") if (ref := one.body["ref"]) in made}
    paths = named | {source.path: source for source in sources.values()}
    for record in journal.records(run, "named"):
        source = replace(made[record.body["id"]], path=record.body["path"])
        sources.setdefault(source.id, source)
        yield source
    sources = made | sources
    slices |= {slice_.id: slice_ for slice_ in slices_from(journal, run, paths.get)}
    for record in journal.records(run, "slice"):
        if "objective" in record.body:
            continue  # of work, and known
        read = READ.validate_python(record.body)
        slices[read.slice.id] = read.slice
        sources |= {source.id: source for source in read.sources}
    for kind in _REPORTS:
        for record in journal.records(run, kind):
            report = REPORT.validate_python(record.body)
            yield slices[report.slice]
            yield from _sources(report, sources)
            yield report


def _sources(report: Report, sources: dict[str, Source]) -> Iterator[Source]:
    for id_ in sorted({span.source for finding in report.findings for span in finding.evidence}):
        yield sources[id_]
