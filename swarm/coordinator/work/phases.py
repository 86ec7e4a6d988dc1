"""The phases of work: a first plan, the pool that works it, and what is judged before the answer is written."""

from __future__ import annotations

from swarm.coordinator.desk import Desk, elsewhere
from swarm.coordinator.disputes import judge_pairs
from swarm.coordinator.work.kit import toolsets
from swarm.coordinator.work.places import workplaces
from swarm.coordinator.work.planner import plan_branch
from swarm.coordinator.work.played import play, program_entry
from swarm.coordinator.work.pool import Pool
from swarm.coordinator.work.take import refill
from swarm.engine.local import LocalEngine
from swarm.errors import CallFailed, LimitReached, PromptTooLong, Rejected
from swarm.limits.hedged import Hedged


async def plan(desk: Desk) -> None:
    """Ask the root's planner for the first time, or take the first orders of a program. A planner that looks into
    a worktree is asked when there are any, as the first thing of the pool.

    Raises:
        Rejected: the provider will accept no call at all.
        RecipeError: a program asks for something that cannot be.
    """
    plan = desk.work
    assert plan is not None
    if desk.program is not None:
        program = program_entry(desk.program, desk.session)
        await desk.journal.append(desk.run, program, *(toolsets(desk, plan) if desk.recorded is None else ()))
    if desk.recorded is not None:
        return
    await refill(desk, plan)
    looks = desk.program is not None and desk.program.planner.workspace != "none"
    if plan.program is None and plan.root.plannings == 0 and desk.stopped is None and not looks:
        try:
            await plan_branch(desk, plan, plan.root, 1)
        except Rejected:
            raise
        except LimitReached as error:
            desk.stop_at(error)
        except (CallFailed, PromptTooLong) as error:
            desk.stopped = f"the goal could not be planned: {error}"


async def dispatch(desk: Desk) -> None:
    """Work the plan until nothing of it is left, or a limit, a stop or the judge ends it.

    Raises:
        Rejected: the provider will accept no call at all (a bad key, an unknown model).
        RecipeError: a program asks for something that cannot be.
    """
    plan = desk.work
    assert plan is not None
    if desk.stopped is not None:
        return
    if desk.recorded is not None:
        await play(desk, plan)
        return
    gate = Hedged(
        desk.gate,
        lambda: 0 if plan.agenda.ready or _halted(desk) else engine.free_slots(),
        ahead=lambda: len(plan.live),
        resumed=desk.session > 1 and desk.reader.remote,
    )
    async with workplaces(desk) as plan.places:
        pool = Pool(desk, plan, gate)
        engine = LocalEngine(desk.concurrency, pool)
        async with elsewhere(desk, lambda ref: ref in plan.live):
            await pool.begin()
            plan.agenda.wake = engine.wake
            await engine.serve(pool.handle)


def _halted(desk: Desk) -> bool:
    """Whether nothing more is begun, for now or for good."""
    return desk.steering.paused or desk.stopped is not None


async def judge(desk: Desk) -> bool:
    """Have findings that may contradict judged, before the answer is written from them. The plan itself was judged
    in the pool."""
    if desk.program is None or desk.program.answer is None:
        await judge_pairs(desk)
    return False
