"""Work all that is ready, as many at once as there are places: sub-agents, planners and judges in one pool.

There are no rounds: what a report makes ready, what it leads to and what a planner adds starts as soon as a place
is free. What came of a slice is in the journal, with what follows from it, before anyone goes by it.
"""

from __future__ import annotations

from swarm.coordinator.desk import Desk
from swarm.coordinator.work.answer import joined
from swarm.coordinator.work.judge import Verdict, judge_branch
from swarm.coordinator.work.planner import drop, dropped_entries, left_of, plan_branch
from swarm.coordinator.work.slices import Slices
from swarm.coordinator.work.state import Branch, RunResults, Work
from swarm.coordinator.work.take import refill
from swarm.errors import CallFailed, LimitReached, PromptTooLong, Rejected
from swarm.events import SliceStarted
from swarm.observe.log import get_logger
from swarm.task import Report, Slice
from swarm.worker.work import Ask, Worked

log = get_logger("work")

_MANY_REASONS = 8  # for planning anew, though other slices of the branch are ready
_FIRST, _LATER = 1_000, 900  # priorities of judges and planners: what they say makes more ready


class Pool(Slices):
    """One run's work on its way."""

    def __init__(self, desk: Desk, plan: Work, gate: Ask) -> None:
        super().__init__(desk, plan, gate)
        self._refilling = False

    async def begin(self) -> None:
        """Go by the verdicts that were found and not gone by when the run was left, the deepest branch first. Then
        see what the root wants; other branches are opened again by the slices that they are."""
        for branch in sorted(self.plan.branches.values(), key=lambda one: -one.depth):
            if branch.found:
                branch.found = False
                await self.ask_judge(branch, branch.judgings + 1)
        self._look(self.plan.root)

    def take(self) -> str | None:
        """The next that is ready, as long as the run may go on."""
        desk, plan = self.desk, self.plan
        if desk.stopped is None and desk.stopping.is_set():
            desk.stopped = "interrupted"
        if desk.stopped is not None:
            return None
        ref = plan.agenda.take()
        if ref is not None:
            plan.running += 1
        return ref

    async def handle(self, ref: str) -> None:
        """Have one slice worked, planned or judged, and see what that makes ready."""
        desk, plan = self.desk, self.plan
        try:
            await desk.steering.turn()
            self._hear()
            if desk.stopping.is_set():
                desk.stopped = desk.stopped or "interrupted"
            if desk.stopped is None:
                with desk.steering.under_way(ref):
                    await self._handle(ref)
        except LimitReached as error:
            desk.stop_at(error)
        finally:
            plan.running -= 1
        if desk.stopped is None:
            self._hear()
            if plan.supply is not None:
                await self._refill()
            self._unblock()

    async def _handle(self, ref: str) -> None:
        kind, _, rest = ref.partition(":")
        if not rest:
            slice_ = self.plan.live.get(ref)
            if slice_ is not None and ref not in self.plan.leaving and ref not in self.desk.dropped:
                await self._slice(slice_)
            return
        name, _, number = rest.rpartition(":")
        branch = self.plan.branches.get(name)
        if branch is None:
            pass
        elif kind == "plan":
            await self.ask_planner(branch, int(number))
        else:
            await self.ask_judge(branch, int(number))
        self.plan.agenda.settle(ref)

    def _hear(self) -> None:
        """What a person added is a reason to look at the plan again."""
        said = self.desk.steering.instructions[self.plan.heard :]
        if said and self.plan.program is None and not self.plan.root.over:
            self.plan.root.reasons += [f"The person who asked adds: {one.text}" for one in said]
            self.plan.root.urgent = True
            self._look(self.plan.root)
        self.plan.heard += len(said)

    # Slices

    async def _slice(self, slice_: Slice) -> None:
        desk, plan = self.desk, self.plan
        assert slice_.order is not None
        try:
            desk.gate.budget.check_slices(plan.begun)
        except LimitReached as error:
            desk.stop_at(error)
            return
        plan.begun += 1
        desk.emit(SliceStarted(slice=slice_))
        if slice_.order.kind == "plan":
            await self.open(slice_)
            return
        plan.under_way.add(slice_.id)
        try:
            await self.work(slice_, slice_.order)
        finally:
            plan.under_way.discard(slice_.id)

    # Branches

    async def open(self, slice_: Slice) -> None:
        """A slice that is planned further: it has a branch of its own from here on, and is settled with it."""
        plan = self.plan
        assert slice_.order is not None
        branch = plan.branches.get(slice_.id)
        if branch is None:
            branch = plan.branches[slice_.id] = Branch(
                order=slice_.order, depth=slice_.depth + 1, parent=plan.branch_of(slice_).id
            )
        plan.under_way.add(slice_.id)
        self._look(branch)

    def _look(self, branch: Branch) -> None:
        """See whether a branch wants its judge or its planner."""
        plan = self.plan
        if branch.over or branch.busy:
            return
        if plan.program is not None:
            if branch.open == 0 and plan.supply is None:
                self._ask(branch, "judge")
        elif branch.plannings == 0 or branch.replan:
            self._ask(branch, "plan")
        elif branch.open == 0:
            self._ask(branch, "judge")
        elif (
            branch.plannings < self.desk.rounds_allowed
            and not branch.mute
            and (
                branch.urgent or len(branch.reasons) >= _MANY_REASONS or (branch.reasons and not plan.agenda.ready)
            )
        ):
            self._ask(branch, "plan")

    def _ask(self, branch: Branch, what: str) -> None:
        branch.busy = True
        number = (branch.plannings if what == "plan" else branch.judgings) + 1
        priority = _LATER if what == "plan" else _FIRST
        self.plan.agenda.add(f"{what}:{branch.id}:{number}", priority=priority, branch=branch.name)

    async def ask_planner(self, branch: Branch, number: int) -> None:
        try:
            await plan_branch(self.desk, self.plan, branch, number)
        except Rejected:
            raise
        except (CallFailed, PromptTooLong) as error:
            await self._unplanned(branch, f"it could not be planned: {error}")
        except LimitReached as error:
            if error.scope != "slice":
                raise
            await self._unplanned(branch, str(error))
        branch.busy = False
        for one in list(self.plan.branches.values()):  # what is dropped may have been the last of another branch
            if one.parent is None or one.id in self.plan.under_way:
                self._look(one)

    async def _unplanned(self, branch: Branch, reason: str) -> None:
        """A planner that cannot be asked while slices of its branch are open ends nothing: they are worked first,
        and the judge may ask for it once more."""
        if branch.open and not branch.mute:
            branch.mute, branch.replan = True, False
            log.warning("not planned", branch=branch.name, reason=reason)
        else:
            await self.end(branch, Verdict(verdict="stop", reason=reason))

    async def ask_judge(self, branch: Branch, number: int) -> None:
        desk = self.desk
        try:
            verdict = await judge_branch(desk, self.plan, branch, number)
        except LimitReached as error:
            if error.scope != "slice":
                raise
            verdict = Verdict(verdict="stop", reason=str(error))
        branch.judgings = number
        branch.busy = False
        if verdict.verdict == "replan":
            branch.replan = True
            branch.reasons += verdict.missing
            self._look(branch)
        else:
            await self.end(branch, verdict)

    async def end(self, branch: Branch, verdict: Verdict) -> None:
        """A branch is done, or goes no further."""
        desk, plan = self.desk, self.plan
        branch.over = True
        if verdict.verdict == "stop":
            if branch.parent is None:
                desk.stopped = desk.stopped or verdict.reason
                return
            failed = Report(slice=branch.id, question=branch.order.objective, failure=verdict.reason)
            await self._fail(plan.live[branch.id], branch.order, failed)
            return
        left = left_of(plan, branch)
        entries = dropped_entries(desk, left)
        if branch.parent is None:
            if entries:
                await desk.journal.append(desk.run, *entries)
        else:
            result = joined(RunResults(desk.journal, desk.run), branch, plan.role_of(branch.order).report_tokens)
            report = Report(
                slice=branch.id, question=branch.order.objective, result=result, summary=verdict.reason
            )
            await self._done(plan.live[branch.id], branch.order, Worked(report=report), *entries)
        for name, reason in left:
            drop(plan, name, reason)
        if branch.parent is None:
            desk.dropped.clear()
            desk.failures.clear()  # what failed on the way was made up for: the journal tells of it
        else:
            plan.branches.pop(branch.id, None)
        for one in list(plan.branches.values()):
            if one.parent is None or one.id in plan.under_way:
                self._look(one)

    # The pool as a whole

    async def _refill(self) -> None:
        if self._refilling:
            return
        self._refilling = True
        try:
            await refill(self.desk, self.plan)
        finally:
            self._refilling = False
        self._look(self.plan.root)

    def _unblock(self) -> None:
        """Where nothing is ready and nothing runs though slices are open, they wait for what failed: the deepest
        such branch is planned anew or judged; a program can only stop."""
        desk, plan = self.desk, self.plan
        if plan.running or plan.agenda.ready or self._refilling:
            return
        blocked = [one for one in plan.branches.values() if not one.over and not one.busy and one.open]
        if not blocked:
            return
        if plan.program is not None:
            waiting = len(plan.live) - len(plan.failed)
            also = f", and {waiting:,} more wait for it" if waiting else ""
            first = next(iter(plan.failed.items()), ("", "nothing is ready"))
            desk.stopped = desk.stopped or f"{first[0]!r} failed: {first[1]}{also}"
            return
        self._ask(max(blocked, key=lambda one: one.depth), "judge")
