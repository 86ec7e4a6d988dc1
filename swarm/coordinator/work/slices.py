"""What becomes of one slice: a sub-agent's report, a failure, or a person's word that it is to be left alone.

What came of it is in the journal, with what follows from it, before anyone goes by it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass, replace

from swarm.coordinator.desk import Desk, Elsewhere
from swarm.coordinator.kept import bring_back, kept_entries
from swarm.coordinator.offers import Given, Named, NotBegun, Offer, raised
from swarm.coordinator.records import DROPPED, REPORT
from swarm.coordinator.work.brief import given_of, job_of, look_up
from swarm.coordinator.work.equip import equipped
from swarm.coordinator.work.ledger import SliceLedger
from swarm.coordinator.work.planner import budget_of
from swarm.coordinator.work.state import Branch, Work
from swarm.coordinator.work.take import checked, enter, order_entries
from swarm.errors import CallFailed, LimitReached, PromptTooLong, Rejected, SliceCancelled
from swarm.events import SliceDropped, SliceFailed, SliceFinished
from swarm.limits.timed import in_time
from swarm.observe.log import get_logger
from swarm.observe.scope import within
from swarm.orders import Order
from swarm.source import Source
from swarm.sources.kept import keep
from swarm.store.journal import Entry
from swarm.task import Limits, Report, Slice, SliceFailure
from swarm.worker.work import Ask, Handoff, Worked, work

log = get_logger("work")

_BROKEN_OFF = "its sub-agent could not be asked, or had no more to spend"


@dataclass(frozen=True, kw_only=True, slots=True)
class Kept:
    """What is to be recorded of the texts of a report, the sources that it cites, and those that it made."""

    entries: Sequence[Entry] = ()
    sources: Sequence[Source] = ()
    made: Sequence[Source] = ()


class Slices:
    """Works slices of a plan, and settles what became of them."""

    def __init__(self, desk: Desk, plan: Work, gate: Ask) -> None:
        self.desk, self.plan, self.gate = desk, plan, gate

    def _look(self, branch: Branch) -> None:
        """See what a branch wants, now that something of it came to an end."""
        raise NotImplementedError

    async def work(self, slice_: Slice, order: Order) -> None:
        """Have a slice worked, and settle what became of it."""
        ledger = SliceLedger(self.desk, slice_.id, self.plan.tries.get(slice_.id, 0))

        if self.desk.away is not None:
            await self.conclude(slice_, order, self._elsewhere(self.desk.away, slice_, ledger), ledger)
            self.desk.away.settle(slice_.id)
            return

        async def handoff(leg: int, worked: Worked) -> None:
            await self.hand_over(slice_, leg, worked, ledger)

        await self.conclude(slice_, order, self.attempt(slice_, handoff, ledger), ledger)

    async def attempt(
        self, slice_: Slice, handoff: Handoff, ledger: SliceLedger, given: Given | None = None
    ) -> Worked:
        """What a slice comes to. Nothing is settled by it. `given` is what it is told, where that was decided
        elsewhere."""
        desk, plan, order = self.desk, self.plan, slice_.order
        assert order is not None
        each, branch = desk.limits.each_slice, plan.branch_of(slice_)
        budget = branch.budget
        if each is not None or plan.role_of(order).tools:  # of its own, so that it is known what it comes to
            budget = budget_of(desk, branch).share(each or Limits())
        if desk.recorded is not None:
            budget = None  # what a limit ended is told by the records
        given = given or given_of(desk, plan, slice_)
        job = equipped(desk, plan, slice_, job_of(desk, plan, slice_, ledger, given), ledger, budget)
        with within(asker=slice_.id):
            return await desk.steering.work(
                slice_.id,
                lambda: in_time(
                    work(job, self.gate, desk.reader, lambda asked: look_up(desk, asked), handoff, budget), budget
                ),
            )

    async def _elsewhere(self, away: Elsewhere, slice_: Slice, ledger: SliceLedger) -> Worked:
        """What a slice comes to on another machine. What was kept and handed over there is in the journal: it is
        merged here, before anyone goes by it."""
        desk = self.desk
        offer = Offer(session=desk.session, slice=slice_, given=given_of(desk, self.plan, slice_))
        with within(asker=slice_.id):
            outcome = await desk.steering.work(slice_.id, lambda: away.attempt(offer))
        desk.gate.peak = max(desk.gate.peak, outcome.peak)
        ledger.add(outcome.recorded())
        self.plan.branch_of(slice_).reasons += outcome.asked
        for key, named in outcome.handoffs:
            kept = await self._kept(named)
            record = desk.journal.record(desk.run, "handoff", key)
            if record is not None:
                report = REPORT.validate_python(record.body)
                cited = (await self.keep(Worked(report=report, kept=kept))).sources
                await desk.graph.merge(slice_, *cited, report)
        kept = await self._kept(outcome.kept)
        if outcome.report is None:
            raise raised(outcome.failed)
        return Worked(report=outcome.report, kept=kept)

    async def _kept(self, named: Sequence[Named]) -> tuple[Source, ...]:
        """Sources that another machine kept, each under the path that it had there."""
        desk = self.desk
        if named:
            ids = [id_ for id_, _ in named]
            await asyncio.to_thread(bring_back, desk.journal, desk.run, desk.library, ids)
        return tuple(replace(desk.sources[id_], path=path) for id_, path in named)

    async def conclude(self, slice_: Slice, order: Order, attempt: Awaitable[Worked], ledger: SliceLedger) -> None:
        """Settle what an attempt comes to."""
        desk = self.desk
        try:
            worked = await attempt
        except NotBegun:
            return
        except SliceCancelled as error:
            await self.cancel(slice_, order, str(error))
        except (Rejected, asyncio.CancelledError):
            raise
        except LimitReached as error:
            if error.scope != "slice":
                desk.stop_at(error)
                return
            await self._failed(slice_, order, self._broken_off(slice_, order, error), _BROKEN_OFF, ledger)
        except (CallFailed, PromptTooLong) as error:
            await self._failed(slice_, order, self._broken_off(slice_, order, error), _BROKEN_OFF, ledger)
        else:
            if worked.report.failure is None:
                await self._done(slice_, order, worked, *ledger.entries())
            else:
                await self._failed(slice_, order, worked.report, worked.report.failure, ledger)

    async def _failed(self, slice_: Slice, order: Order, report: Report, why: str, ledger: SliceLedger) -> None:
        """A slice that failed; of a role that may fail it is done with that."""
        if not self.plan.role_of(order).may_fail:
            await self._fail(slice_, order, report, *ledger.entries())
            return
        log.warning("slice failed, and may", slice=slice_.id, reason=report.failure)
        done = replace(report, failure=None, result=f"It failed: {why}")
        await self._done(slice_, order, Worked(report=done), *ledger.entries())

    def _broken_off(self, slice_: Slice, order: Order, error: Exception) -> Report:
        """In a replay the reason is the recorded one: a reply that never came does not tell why."""
        recorded = self.desk.recorded
        known = recorded.failed(slice_.id, self.desk.session) if recorded is not None else None
        return Report(slice=slice_.id, question=order.objective, failure=known or str(error))

    async def hand_over(self, slice_: Slice, leg: int, worked: Worked, ledger: SliceLedger) -> Kept:
        """What a sub-agent leaves to its successor is in the graph for all, before it is gone on with."""
        kept = await self.keep(worked)
        body = REPORT.dump_json(worked.report, exclude_defaults=True)
        handoff = Entry(kind="handoff", key=ledger.handoff(leg), body=body)
        merge = self.desk.graph.change(slice_, *kept.sources, worked.report)
        await self.desk.journal.append(self.desk.run, *kept.entries, *ledger.entries(), handoff, also=merge)
        return kept

    async def keep(self, worked: Worked) -> Kept:
        """Keep the texts that findings rest on, and name artifacts."""
        desk, report = self.desk, worked.report
        entries: list[Entry] = []
        made = {source.id: source for source in worked.kept}
        ids = sorted({span.source for finding in report.findings for span in finding.evidence})
        for text in worked.texts:
            source = await asyncio.to_thread(keep, desk.library, text.text, text.path)
            made[source.id] = source
            first = desk.sources.first(source)
            entries += kept_entries(first, source, text.text, cited=source.id in ids)
        entries += [Entry(kind="artifact", key=one.name, body={"ref": one.ref}) for one in report.artifacts]
        cited = tuple(made.get(id_) or desk.sources[id_] for id_ in ids)
        return Kept(entries=entries, sources=cited, made=tuple(made.values()))

    async def _done(self, slice_: Slice, order: Order, worked: Worked, *more: Entry) -> None:
        desk, plan, report = self.desk, self.plan, worked.report
        branch = plan.branch_of(slice_)
        kept = await self.keep(worked) if worked.texts or report.findings else Kept()
        entries = [*kept.entries]
        entries.append(Entry(kind="report", key=slice_.id, body=REPORT.dump_json(report, exclude_defaults=True)))
        followers: list[Order] = []
        if desk.program is not None and desk.program.follow is not None:
            followers = list(desk.program.follow(order, report) or ())  # a function may return nothing
            checked(desk, plan, followers)
            entries += order_entries(branch, followers)
        names = {one.name for one in followers}
        plan.coming |= names
        await desk.journal.append(desk.run, *entries, *more, also=desk.graph.change(slice_, *kept.sources, report))
        plan.coming -= names
        enter(desk, plan, branch, followers)
        self._settle(branch, slice_, order, report)
        if plan.places is not None and plan.role_of(order).workspace != "none":
            await plan.places.close(slice_.id)
        planned = {one.objective for one in followers}
        for proposal in report.proposed:
            if proposal.objective not in planned:
                branch.reasons.append(f'"{order.name}" proposes: {proposal.objective[:400]}')
        self._look(branch)

    def _settle(self, branch: Branch, slice_: Slice, order: Order, report: Report) -> None:
        """A slice is done: whoever waited for it may begin."""
        desk, plan = self.desk, self.plan
        del plan.live[slice_.id]
        plan.done += 1
        plan.given |= {span.source for span in slice_.spans}
        branch.open -= 1
        branch.done += 1
        if plan.program is None:
            branch.stands(order.name, "done", report.summary or report.result)
            branch.ended(order)
        desk.failures.pop(slice_.id, None)
        plan.failed.pop(order.name, None)
        plan.under_way.discard(slice_.id)
        plan.agenda.settle(slice_.id)
        desk.emit(SliceFinished(slice=slice_, report=report))

    async def _fail(self, slice_: Slice, order: Order, report: Report, *more: Entry) -> None:
        """A failure is a state: recorded, told to the planner, shown in the answer, and tried again when the run
        goes on. What waits for the slice waits on: its planner may find another way."""
        desk, plan = self.desk, self.plan
        branch, reason = plan.branch_of(slice_), report.failure or "failed"
        body = REPORT.dump_json(report, exclude_defaults=True)
        entry = Entry(kind="failure", key=f"{slice_.id}:{desk.session}", body=body)
        plan.failed[order.name] = reason  # a planner whose reply is here after this goes by it
        plan.under_way.discard(slice_.id)
        await desk.journal.append(desk.run, *more, entry, also=desk.graph.change(slice_, report))
        desk.failures[slice_.id] = SliceFailure(
            slice=slice_.id, spans=slice_.spans, reason=reason, name=order.name
        )
        branch.stands(order.name, "failed", reason)
        branch.urgent = True
        branch.reasons.append(f'"{order.name}" failed: {reason[:400]}')
        branch.reasons += [f'"{order.name}" proposes instead: {one.objective[:400]}' for one in report.proposed]
        log.warning("slice failed", slice=slice_.id, reason=reason)
        desk.emit(SliceFailed(slice=slice_, reason=reason))
        self._look(branch)

    async def cancel(self, slice_: Slice, order: Order, reason: str) -> None:
        """A person cancelled a slice: it is not worked any more, and its planner hears of it. What waits for it
        waits on."""
        desk = self.desk
        await desk.journal.append(desk.run, Entry(kind=DROPPED, key=order.name, body={"reason": reason}))
        branch = self.plan.branch_of(slice_)
        self.plan.failed[order.name] = reason
        desk.dropped[slice_.id] = SliceFailure(slice=slice_.id, spans=slice_.spans, reason=reason, name=order.name)
        branch.stands(order.name, "dropped", reason)
        branch.urgent = True
        branch.reasons.append(f'"{order.name}" was {reason}')
        desk.emit(SliceDropped(slice=slice_, reason=reason))
        self._look(branch)
