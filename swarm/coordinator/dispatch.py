"""Work the planned slices, as many at once as there are places, and merge what they report.

A report is in the journal before it is merged; a slice whose report is there already is not worked again. One that
is too long is succeeded by its halves; one that fails is recorded and holds no other back; a limit ends the
handing out, while what is in flight finishes.
"""

from __future__ import annotations

from collections.abc import Set

import apsw

from swarm.coordinator.desk import READ, REPORT, Desk, Read
from swarm.coordinator.plan import make_slice
from swarm.engine.local import LocalEngine
from swarm.errors import CallFailed, LimitReached, PromptTooLong, Rejected
from swarm.events import SliceFailed, SliceFinished, SliceSplit, SliceStarted
from swarm.graph.identity import digest
from swarm.observe.log import get_logger
from swarm.source import Source, Span
from swarm.sources.slicing import halve, tokens_of
from swarm.task import Report, Slice, SliceFailure
from swarm.worker.read import read

log = get_logger("dispatch")

_CLOSER = 4  # times that a slice is halved because its reader had more to say


async def dispatch(desk: Desk) -> None:
    """Work everything that is planned, or as much as a limit or a stop allows.

    Raises:
        Rejected: the provider will accept no call at all (a bad key, an unknown model).
    """
    reports = {record.key: record.body for record in desk.journal.records(desk.run, "report")}
    splits = {record.key: record.body["spans"] for record in desk.journal.records(desk.run, "split")}
    engine = LocalEngine(desk.concurrency)
    await _pass_over(desk, reports.keys() | splits.keys())

    async def work(ref: str) -> None:
        slice_ = desk.slices[ref]
        if ref in reports:
            report = REPORT.validate_python(reports[ref])
            await desk.graph.merge(slice_, *_cited(desk, report), report)
            _done(desk, slice_, report, replayed=True)
            _read_closer(desk, engine, slice_, report)
        elif ref in splits:
            desk.split.add(ref)
            _succeed_by(desk, engine, slice_, [tuple(Span(*span) for span in half) for half in splits[ref]])
        elif desk.stopped is not None or desk.stopping.is_set():
            desk.stopped = desk.stopped or "interrupted"
            engine.cancel_ready()
        else:
            desk.emit(SliceStarted(slice=slice_))
            await _work(desk, engine, slice_)

    # in the order in which they were reported: the graph grows again as it grew, and shows what it showed
    found = {ref: place for place, ref in enumerate(reports)}
    engine.submit(sorted(desk.planned, key=lambda ref: found.get(ref, len(found))))
    desk.planned.clear()
    await engine.serve(work)


async def _pass_over(desk: Desk, known: Set[str]) -> None:
    """Settle the slices in which the search found nothing: a selective reader has nothing to be asked about them.

    The index has read every passage of theirs, and none holds a word of the question. One record tells them all.
    """
    unmatched = [
        ref
        for ref in desk.planned
        if ref not in known and not desk.briefs[desk.slices[ref].question].matched(desk.slices[ref].spans)
    ]
    if not unmatched:
        return
    name = digest("unmatched", sorted(unmatched))
    await desk.journal.append(desk.run, "unmatched", name, {"slices": unmatched})
    for ref in unmatched:
        _done(desk, desk.slices[ref], Report(slice=ref, question=desk.slices[ref].question))
    left_out = set(unmatched)
    desk.planned = [ref for ref in desk.planned if ref not in left_out]


async def _work(desk: Desk, engine: LocalEngine, slice_: Slice) -> None:
    """Have one slice read, and settle what became of it."""
    try:
        report = await read(slice_, desk.briefs[slice_.question], desk.library, desk.gate, desk.reader)
    except PromptTooLong as error:
        await _split(desk, engine, slice_, error)
    except LimitReached as error:
        desk.stopped = str(error)
        engine.cancel_ready()
    except Rejected:
        raise
    except CallFailed as error:
        await _fail(desk, slice_, str(error))
    else:
        await _report(desk, "report", slice_, report)
        _done(desk, slice_, report)
        _read_closer(desk, engine, slice_, report)


def _cited(desk: Desk, report: Report) -> tuple[Source, ...]:
    cited = {span.source for finding in report.findings for span in finding.evidence}
    return tuple(desk.sources[id_] for id_ in sorted(cited))


async def _report(desk: Desk, kind: str, slice_: Slice, report: Report) -> None:
    """Write a report to the journal, with its slice and the sources that it cites, and merge all of it."""
    read = Read(slice=slice_, sources=_cited(desk, report))
    record = desk.journal.insertion(desk.run, "slice", slice_.id, READ.dump_json(read))
    merge = desk.graph.change(slice_, *read.sources, report)

    def also(connection: apsw.Connection) -> None:
        record(connection)
        merge(connection)

    await desk.journal.append(desk.run, kind, slice_.id, REPORT.dump_json(report), also=also)


def _done(desk: Desk, slice_: Slice, report: Report, *, replayed: bool = False) -> None:
    desk.done.add(slice_.id)
    desk.failures.pop(slice_.id, None)
    if slice_.item:
        desk.items[slice_.id] = [finding.id for finding in report.findings]
    desk.emit(SliceFinished(slice=slice_, report=report, replayed=replayed))


async def _split(desk: Desk, engine: LocalEngine, slice_: Slice, error: PromptTooLong) -> None:
    halves = halve(slice_.spans, desk.library)
    if halves is None:
        await _fail(desk, slice_, str(error))
        return
    await desk.journal.append(
        desk.run, "split", slice_.id, {"spans": [[list(span) for span in half] for half in halves]}
    )
    log.info("slice split", slice=slice_.id, reason=str(error))
    desk.split.add(slice_.id)
    _succeed_by(desk, engine, slice_, list(halves))


def _succeed_by(desk: Desk, engine: LocalEngine, slice_: Slice, halves: list[tuple[Span, ...]]) -> None:
    children = []
    for spans in halves:
        tokens = tokens_of(desk.library.passages_in(spans))
        children.append(
            make_slice(slice_.question, spans, tokens, round_=slice_.round, item=slice_.item, parent=slice_.id)
        )
    desk.slices |= {child.id: child for child in children}
    desk.emit(SliceSplit(slice=slice_, into=len(children)))
    engine.submit(child.id for child in children)


def _read_closer(desk: Desk, engine: LocalEngine, slice_: Slice, report: Report) -> None:
    """Have both halves of a slice read as well, whose reader said as much as it may: there is more in it."""
    given = len(report.findings) + len(report.rejected) + report.echoed
    full = given >= desk.briefs[slice_.question].max_findings
    if not full or desk.reader.selective or desk.task.output != "answer" or _depth(desk, slice_) >= _CLOSER:
        return
    halves = halve(slice_.spans, desk.library)
    if halves is not None:
        _succeed_by(desk, engine, slice_, list(halves))


def _depth(desk: Desk, slice_: Slice) -> int:
    """How many slices this one was cut from."""
    depth = 0
    while slice_.parent is not None:
        slice_ = desk.slices[slice_.parent]
        depth += 1
    return depth


async def _fail(desk: Desk, slice_: Slice, reason: str) -> None:
    """A failure is a state: recorded, shown in the answer, and tried again when the run is resumed."""
    desk.failures[slice_.id] = SliceFailure(slice=slice_.id, spans=slice_.spans, reason=reason)
    report = Report(slice=slice_.id, question=slice_.question, failure=reason)
    await _report(desk, "failure", slice_, report)
    log.warning("slice failed", slice=slice_.id, reason=reason)
    desk.emit(SliceFailed(slice=slice_, reason=reason))
