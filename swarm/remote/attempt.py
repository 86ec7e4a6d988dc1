"""One slice, worked under a lease: the prompt that its coordinator would have made, and what comes of it.

All that is recorded on the way is fenced by the lease. Nothing is settled here: what it came to is handed in.
"""

from __future__ import annotations

from dataclasses import replace

from swarm.coordinator.desk import Desk
from swarm.coordinator.offers import Named, Offer, Outcome, Told, broken, failed
from swarm.coordinator.work.knowledge import asks
from swarm.coordinator.work.ledger import SliceLedger
from swarm.coordinator.work.slices import Kept, Slices
from swarm.coordinator.work.state import Branch
from swarm.errors import RunError, StoreError
from swarm.limits.budget import Budget
from swarm.limits.hedged import Hedged
from swarm.limits.timed import in_time
from swarm.observe.log import get_logger
from swarm.observe.scope import within
from swarm.observe.telemetry import working
from swarm.remote.heart import Held
from swarm.remote.joined import Joined
from swarm.store.journal import Entry
from swarm.task import Report, Slice, Usage
from swarm.worker.job import Worked
from swarm.worker.read import Brief, read

log = get_logger("worker")

PLACED = "placed"
"""Records of the machine that began a slice, by the slice and the epoch of its lease."""


async def attempt(joined: Joined, held: Held, offer: Offer, machine: dict[str, str]) -> Outcome:
    """What a slice comes to. `machine` is recorded as the one that began it.

    Raises:
        StaleLease: the slice is another's by now.
        StoreError: the store cannot be reached any more.
    """
    lease, slice_ = held.lease, offer.slice
    await joined.read(slice_)
    joined.enter(slice_)
    journal = joined.store.journal.under(lease)
    await journal.append(lease.run, Entry(kind=PLACED, key=f"{lease.ref}:{lease.epoch}", body=machine))
    template = joined.desk
    gate = template.gate.onto(journal)
    gate.wait_for(joined.turn)
    gate.sure_before_sending(held.sure)
    desk = replace(template, journal=journal, gate=gate)
    with working(lease.run, slice_.id, offer.session, offer.trace), within(run=lease.run, asker=slice_.id):
        try:
            if offer.told is not None:
                outcome = await _read(desk, slice_, offer, offer.told)
            else:
                outcome = await _work(desk, slice_, offer)
        except StoreError:
            raise
        except Exception as error:
            log.warning("slice broke off", slice=slice_.id, exc_info=True)
            outcome = Outcome(failed=broken(error))
    return replace(outcome, machine=machine["machine"], host=machine["host"])


async def _read(desk: Desk, slice_: Slice, offer: Offer, told: Told) -> Outcome:
    share = None if offer.share is None else desk.gate.budget.share(offer.share)
    report, error = None, None
    try:
        report = await in_time(_report(desk, slice_, told, share), share)
    except RunError as raised:
        error = raised
    return Outcome(
        report=report,
        failed=None if error is None else failed(error),
        peak=desk.gate.peak,
        usage=Usage() if share is None else share.spent,
    )


async def _report(desk: Desk, slice_: Slice, told: Told, share: Budget | None) -> Report:
    matches = told.matches
    if matches is not None:
        matches = {source: tuple(desk.library.with_text(several)) for source, several in matches.items()}
    brief = Brief(
        output=told.output,
        paths=told.paths,
        max_findings=told.max_findings,
        reading=told.reading,
        statistics=told.statistics,
        matches=matches,
    )
    return await read(slice_, brief, desk.library, _hedged(desk), desk.reader, share)


async def _work(desk: Desk, slice_: Slice, offer: Offer) -> Outcome:
    plan, order, given = desk.work, slice_.order, offer.given
    assert plan is not None
    assert order is not None
    assert given is not None
    slices = Slices(desk, plan, _hedged(desk))
    ledger = SliceLedger(desk, slice_.id, given.tries, moved=True)
    handoffs: list[tuple[str, tuple[Named, ...]]] = []

    async def handoff(leg: int, worked: Worked) -> None:
        kept = await slices.hand_over(slice_, leg, worked, ledger)
        handoffs.append((ledger.handoff(leg), _named(kept)))

    report, kept, error = None, Kept(), None
    try:
        worked = await slices.attempt(slice_, handoff, ledger, given)
        kept = await slices.keep(worked)
        if kept.entries:
            await desk.journal.append(desk.run, *kept.entries)
        report = worked.report
    except RunError as raised:
        error = raised
    return Outcome(
        report=report,
        failed=None if error is None else failed(error),
        entries=tuple((one.kind, one.key, _body(one)) for one in ledger.entries()),
        kept=_named(kept),
        handoffs=tuple(handoffs),
        asked=_asked(plan.branch_of(slice_), order.name),
        peak=desk.gate.peak,
    )


def _asked(branch: Branch, name: str) -> tuple[str, ...]:
    """What a slice asked the coordinator, taken from the branch that slices here have in common."""
    own = [one for one in branch.reasons if one.startswith(asks(name))]
    branch.reasons[:] = [one for one in branch.reasons if one not in own]
    return tuple(own)


def _hedged(desk: Desk) -> Hedged:
    """Nothing is asked twice here: only the coordinator knows whether a place is idle. What was is found."""
    return Hedged(desk.gate, lambda: 0, resumed=desk.session > 1 and desk.reader.remote)


def _named(kept: Kept) -> tuple[Named, ...]:
    return tuple((source.id, source.path) for source in kept.made)


def _body(entry: Entry) -> dict[str, object]:
    assert not isinstance(entry.body, bytes)
    return dict(entry.body)
