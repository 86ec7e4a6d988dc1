"""Work the planned slices, as many at once as there are places, and merge what they report.

A report is in the journal before it is merged, and what was settled before is not planned any more. A slice that
is too long is succeeded by its halves; one that fails is recorded and holds no other back; a limit ends the
handing out, while what is in flight finishes.
"""

from __future__ import annotations

from swarm.agenda.agenda import Agenda
from swarm.coordinator.desk import Desk, Elsewhere, elsewhere
from swarm.coordinator.listen import hear
from swarm.coordinator.offers import NotBegun, Offer, raised, told
from swarm.coordinator.plan import CLOSELY, brief_for, brief_of
from swarm.coordinator.records import DROPPED, REPORT, Half, children, halves_entry
from swarm.coordinator.steering import CANCELLED
from swarm.engine.local import LocalEngine
from swarm.errors import CallFailed, LimitReached, PromptTooLong, Rejected, SliceCancelled
from swarm.events import SliceDropped, SliceFailed, SliceFinished, SliceSplit, SliceStarted
from swarm.graph.identity import digest
from swarm.limits.hedged import Hedged
from swarm.limits.timed import in_time
from swarm.observe.log import get_logger
from swarm.observe.scope import within
from swarm.source import Source
from swarm.sources.slicing import halve, tokens_of
from swarm.store.journal import Entry, Record
from swarm.task import Report, Slice, SliceFailure
from swarm.worker.read import read

log = get_logger("dispatch")

CLOSER = 4  # times that a slice is halved because its reader had more to say


async def dispatch(desk: Desk) -> None:
    """Work everything that is planned, or as much as a limit or a stop allows.

    Raises:
        Rejected: the provider will accept no call at all (a bad key, an unknown model).
    """
    await _pass_over(desk)
    agenda = Agenda()
    if desk.recorded is None:
        await _serve(desk, agenda)
    else:
        await _work_again(desk, agenda)
    desk.planned = [ref for ref in desk.planned if not _settled(desk, ref)]


async def _serve(desk: Desk, agenda: Agenda) -> None:
    """Work what is planned, and what becomes of it, on all places."""
    engine = LocalEngine(desk.concurrency, agenda)
    resumed = desk.session > 1 and desk.reader.remote
    gate = Hedged(desk.gate, lambda: _spare(desk, agenda, engine), ahead=lambda: len(agenda), resumed=resumed)
    begun = len(desk.done | desk.split | desk.failures.keys())

    def may_begin() -> bool:
        if desk.stopped is None and desk.stopping.is_set():
            desk.stopped = "interrupted"
        if desk.stopped is None:
            try:
                desk.gate.budget.check_slices(begun)
            except LimitReached as error:
                desk.stop_at(error)
        return desk.stopped is None

    async def work(ref: str) -> None:
        nonlocal begun
        await desk.steering.turn()
        if may_begin():
            begun += 1
            desk.emit(SliceStarted(slice=desk.slices[ref]))
            with desk.steering.under_way(ref):
                await _work(desk, agenda, gate, desk.slices[ref])
                _settle_away(desk, ref)
        if desk.stopped is not None:
            agenda.clear()
        agenda.settle(ref)

    for ref in desk.planned:
        if not _settled(desk, ref):
            _add(agenda, desk.slices[ref])
    agenda.wake = engine.wake
    async with elsewhere(desk, lambda ref: ref in desk.slices and not _settled(desk, ref)):
        await engine.serve(work)


def _spare(desk: Desk, agenda: Agenda, engine: LocalEngine) -> int:
    """Places for which there is nothing to do."""
    return 0 if agenda.ready or desk.steering.paused or desk.stopping.is_set() else engine.free_slots()


def _add(agenda: Agenda, slice_: Slice) -> None:
    """A question is a branch: one that a search found much for does not hold up the others."""
    agenda.add(slice_.id, branch=slice_.question)


async def _work_again(desk: Desk, agenda: Agenda) -> None:
    """In a replay: the slices that were settled this time, in the order in which they were."""
    assert desk.recorded is not None
    gate = Hedged(desk.gate, lambda: 0, resumed=True)
    said = {record.key: record for record in desk.recorded.instructions(desk.session)}
    waiting: list[
        Record
    ] = []  # until a slice is worked after them: what comes last may have come after the reading
    for ref in desk.recorded.order(desk.session):
        if ref in said:
            waiting.append(said[ref])
        elif ref in desk.slices and not _settled(desk, ref):
            while waiting:
                await hear(desk, waiting.pop(0))
            await _work(desk, agenda, gate, desk.slices[ref])
    if any(not _settled(desk, ref) for ref in desk.slices):
        desk.stopped, desk.limit = desk.recorded.stopped(desk.session)


def _settled(desk: Desk, ref: str) -> bool:
    return ref in desk.done or ref in desk.split or ref in desk.failures or ref in desk.dropped


async def _pass_over(desk: Desk) -> None:
    """Settle the slices in which the search found nothing: a selective reader has nothing to be asked about them.

    The index has read every passage of theirs, and none holds a word of the question. One record tells them all.
    """
    if not desk.reader.selective:
        return
    unmatched = [
        ref
        for ref in desk.planned
        if not brief_of(desk, desk.slices[ref].question).matched(desk.slices[ref].spans)
    ]
    if not unmatched:
        return
    name = digest("unmatched", sorted(unmatched))
    await desk.journal.append(desk.run, Entry(kind="unmatched", key=name, body={"slices": unmatched}))
    for ref in unmatched:
        _done(desk, desk.slices[ref], Report(slice=ref, question=desk.slices[ref].question))


async def _work(desk: Desk, agenda: Agenda, gate: Hedged, slice_: Slice) -> None:
    """Have one slice read, and settle what became of it."""
    try:
        _fail_again(desk, slice_)
        report = await desk.steering.work(slice_.id, lambda: _read(desk, gate, slice_))
    except NotBegun:
        return
    except SliceCancelled as error:
        await _drop(desk, slice_, str(error))
    except PromptTooLong as error:
        await _split(desk, agenda, slice_, error)
    except LimitReached as error:
        if error.scope == "slice":
            await _fail(desk, slice_, str(error))
        else:
            desk.stop_at(error)
            agenda.clear()
    except Rejected:
        raise
    except CallFailed as error:
        await _fail(desk, slice_, str(error))
    else:
        halves = _closer(desk, slice_, report)
        entries = [Entry(kind="report", key=slice_.id, body=REPORT.dump_json(report, exclude_defaults=True))]
        entries += [halves_entry("closer", slice_, halves)] if halves else []
        await _record(desk, slice_, report, *entries)
        _done(desk, slice_, report)
        _succeed_by(desk, agenda, slice_, halves)


async def _read(desk: Desk, gate: Hedged, slice_: Slice) -> Report:
    if desk.away is not None:
        return await _read_away(desk, desk.away, slice_)
    brief, share = brief_for(desk, slice_), desk.share_of(slice_)
    with within(asker=slice_.id):
        reading = read(slice_, brief, desk.library, gate, desk.reader, share)
        return await in_time(reading, share if desk.recorded is None else None)


async def _read_away(desk: Desk, away: Elsewhere, slice_: Slice) -> Report:
    reading, share = told(brief_for(desk, slice_), slice_), desk.left_for(slice_)
    with within(asker=slice_.id):
        outcome = await away.attempt(Offer(session=desk.session, slice=slice_, told=reading, share=share))
    desk.gate.peak = max(desk.gate.peak, outcome.peak)
    if share is not None:
        desk.left[slice_.id] = share.left(outcome.usage)
    if outcome.report is None:
        raise raised(outcome.failed)
    return outcome.report


def _settle_away(desk: Desk, ref: str) -> None:
    if desk.away is not None:
        desk.away.settle(ref)


def _fail_again(desk: Desk, slice_: Slice) -> None:
    """In a replay: what happened to a slice for reasons that its replies do not tell."""
    if desk.recorded is None:
        return
    if (reason := desk.recorded.failed(slice_.id, desk.session)) is not None:
        raise CallFailed(reason)
    if desk.recorded.cancelled(slice_.id, desk.session):
        raise SliceCancelled(CANCELLED)
    if desk.recorded.too_long(slice_.id):
        raise PromptTooLong("too long when it was recorded")


async def _record(desk: Desk, slice_: Slice, report: Report, *entries: Entry) -> None:
    """Write what became of a slice to the journal, and merge it with the sources that it cites."""
    merge = desk.graph.change(slice_, *cited(desk, report), report)
    await desk.journal.append(desk.run, *entries, also=merge)


def cited(desk: Desk, report: Report) -> tuple[Source, ...]:
    """The sources that a report rests on."""
    ids = {span.source for finding in report.findings for span in finding.evidence}
    return tuple(desk.sources[id_] for id_ in sorted(ids))


def _done(desk: Desk, slice_: Slice, report: Report) -> None:
    desk.done.add(slice_.id)
    desk.failures.pop(slice_.id, None)
    if slice_.item:
        desk.items[slice_.id] = [finding.id for finding in report.findings]
    desk.emit(SliceFinished(slice=slice_, report=report))


async def _split(desk: Desk, agenda: Agenda, slice_: Slice, error: PromptTooLong) -> None:
    halves = _halves(desk, slice_) if _depth(desk, slice_) < desk.limits.depth else []
    if not halves:
        await _fail(desk, slice_, str(error))
        return
    await desk.journal.append(desk.run, halves_entry("split", slice_, halves))
    log.info("slice split", slice=slice_.id, reason=str(error))
    desk.split.add(slice_.id)
    _succeed_by(desk, agenda, slice_, halves)


def _halves(desk: Desk, slice_: Slice) -> list[Half]:
    """The halves of a slice with their tokens; none where it cannot be cut."""
    return [
        (spans, tokens_of(desk.library.passages_in(spans))) for spans in halve(slice_.spans, desk.library) or ()
    ]


def _succeed_by(desk: Desk, agenda: Agenda, slice_: Slice, halves: list[Half]) -> None:
    if not halves:
        return
    made = children(slice_, halves)
    desk.slices |= {child.id: child for child in made}
    desk.planned += [child.id for child in made]
    desk.emit(SliceSplit(slice=slice_, into=len(made)))
    for child in made:
        _add(agenda, child)


def _closer(desk: Desk, slice_: Slice, report: Report) -> list[Half]:
    """Both halves of a slice, to be read as well, whose reader said as much as it may: there is more in it."""
    given = len(report.findings) + len(report.rejected) + report.echoed
    full = given >= brief_of(desk, slice_.question).max_findings
    most = min(CLOSER, desk.limits.depth)
    if not full or desk.reader.selective or desk.task.output not in CLOSELY or _depth(desk, slice_) >= most:
        return []
    return _halves(desk, slice_)


def _depth(desk: Desk, slice_: Slice) -> int:
    """How many slices this one was cut from."""
    depth = 0
    while slice_.parent is not None:
        slice_ = desk.slices[slice_.parent]
        depth += 1
    return depth


async def _drop(desk: Desk, slice_: Slice, reason: str) -> None:
    """Leave a slice as it is, unread, for good: it is not worked when the run goes on."""
    desk.dropped[slice_.id] = SliceFailure(slice=slice_.id, spans=slice_.spans, reason=reason)
    desk.failures.pop(slice_.id, None)
    await desk.journal.append(desk.run, Entry(kind=DROPPED, key=slice_.id, body={"reason": reason}))
    log.info("slice dropped", slice=slice_.id, reason=reason)
    desk.emit(SliceDropped(slice=slice_, reason=reason))


async def _fail(desk: Desk, slice_: Slice, reason: str) -> None:
    """A failure is a state: recorded, shown in the answer, and tried again when the run is resumed."""
    desk.failures[slice_.id] = SliceFailure(slice=slice_.id, spans=slice_.spans, reason=reason)
    report = Report(slice=slice_.id, question=slice_.question, failure=reason)
    body = REPORT.dump_json(report, exclude_defaults=True)
    await _record(desk, slice_, report, Entry(kind="failure", key=f"{slice_.id}:{desk.session}", body=body))
    log.warning("slice failed", slice=slice_.id, reason=reason)
    desk.emit(SliceFailed(slice=slice_, reason=reason))
