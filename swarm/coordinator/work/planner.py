"""The planner: asked like any slice, in a fresh window, for slices to add and slices to drop.

Planners only plan. What one proposes is looked through by a program before it is let in; what is refused is told
to it the next time. It is asked again when the judge finds something missing, and at once when a slice fails.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence

from swarm.agenda.admit import Admitted, admit, content_of
from swarm.coordinator.desk import Desk
from swarm.coordinator.plan import LISTED_SOURCES
from swarm.coordinator.show import view_prompt
from swarm.coordinator.work.brief import said_to
from swarm.coordinator.work.equip import asked_with_tools
from swarm.coordinator.work.state import ROOT, Branch, Work, order_id
from swarm.coordinator.work.take import enter, order_entries, source_at, state_of
from swarm.limits.budget import Budget
from swarm.observe.log import get_logger
from swarm.observe.scope import within
from swarm.orders import Order
from swarm.program import PLANNER, Role
from swarm.prompts.replies import OutlineReply
from swarm.prompts.typed import OutlinePrompt
from swarm.store.journal import Entry
from swarm.task import Limits

log = get_logger("planner")

AT_ONCE = 200
"""Slices that one planning may add."""
_REASONS, _REFUSED = 20, 10
_SHARE = 0.5  # of what is left to its parent goes to a branch, at the most


async def plan_branch(desk: Desk, work: Work, branch: Branch, number: int) -> None:
    """Ask a branch's planner, for the `number`th time, and let in what it adds. One that was asked before the run
    went on is not asked again.

    Raises:
        LimitReached, CallFailed, PromptTooLong: the planner could not be asked.
    """
    if branch.plannings >= number:
        return
    if branch.budget is None and branch.parent is not None:
        branch.budget = share_of(budget_of(desk, work.branches[branch.parent]))
    told, branch.urgent = len(branch.reasons), False  # what comes in while it thinks is a reason to ask it again
    reasons = (*branch.reasons[-_REASONS:], *branch.refused[:_REFUSED])
    room = min(
        AT_ONCE, _slices_left(desk, work)
    )  # is asked for; a plan that is longer is let in, to go on with later
    role = desk.program.planner if desk.program is not None else PLANNER
    with within(asker=f"plan:{branch.name}:{number}"):
        reply = await _reply(desk, work, branch, number, role, reasons, room)
    async with work.planning:
        await _let_in(desk, work, branch, number, reply)
    del branch.reasons[:told]


async def _reply(
    desk: Desk, work: Work, branch: Branch, number: int, role: Role, reasons: tuple[str, ...], room: int
) -> OutlineReply:
    return await view_prompt(
        desk,
        f"outline:{branch.name}:{number}",
        lambda shown, omitted: OutlinePrompt(
            question=branch.order.objective,
            shown=shown,
            omitted=omitted,
            basis=(desk.run, branch.name, str(number)),
            goal=desk.question if branch.name else "",
            done_when=branch.order.done_when,
            standings=tuple(branch.standings.values()),
            unlisted=branch.unlisted,
            reasons=reasons,
            said=said_to(desk, f"plan:{branch.id}:{number}"),
            sources=tuple(source.path for source in desk.corpus.sources[:LISTED_SOURCES]),
            count=len(desk.corpus.sources),
            room=room,
            may_nest=branch.depth < desk.limits.depth,
            instructions=role.instructions,
        ),
        budget=branch.budget,
        ask=asked_with_tools(desk, work, role, f"plan:{branch.name}:{number}", branch),
    )


async def _let_in(desk: Desk, work: Work, branch: Branch, number: int, reply: OutlineReply) -> None:
    """Record what a planner wants, and go by it: all that is decided here rests on what was recorded before."""
    dropped = _to_drop(work, branch, reply)
    gone = {name for name, _ in dropped}
    proposed = list(_named(desk, work, branch, reply))
    admitted = admit(
        proposed,
        state=lambda name: "dropped" if name in gone else state_of(desk, work, name),
        same=lambda content: _same(desk, work, content, gone)[0],
        sources=lambda path: source_at(desk, path) is not None,
        room=AT_ONCE,
        may_nest=branch.depth < desk.limits.depth,
    )
    asks = [(_same(desk, work, content_of(one), gone)[1], one.name) for one in admitted.orders]
    leaving = {order_id(name) for name in gone}
    work.leaving |= leaving  # nobody begins what is about to be dropped
    await _record(desk, branch, number, reply, len(proposed), admitted, dropped, asks)
    work.leaving -= leaving
    branch.plannings = number
    branch.proposed, branch.admitted = len(proposed), len(admitted.orders)
    branch.replan = branch.mute = False
    for name, reason in dropped:
        drop(work, name, reason)
    enter(desk, work, branch, admitted.orders)
    branch.refused = [f'"{one.name}" was not let in: it {one.reason}' for one in admitted.refused]


def drop(work: Work, name: str, reason: str) -> None:
    """Take a slice that is not done out of the plan; what waits for it was told to be dropped too."""
    slice_ = work.live.pop(order_id(name), None)
    if slice_ is None:
        return
    work.failed.pop(name, None)
    branch = work.branches.get(slice_.parent or ROOT)
    if branch is not None:  # else it was dropped before, and this as a part of it
        branch.open -= 1
        branch.stands(name, "dropped", reason)
    work.agenda.drop(slice_.id)
    work.under_way.discard(slice_.id)
    work.branches.pop(slice_.id, None)


def waiting_for(work: Work, names: Iterable[str]) -> dict[str, str]:
    """The live slices that wait for one of these or are a part of it, directly or not, each with what it is."""
    waiters: dict[str, list[str]] = {}
    for slice_ in work.live.values():
        assert slice_.order is not None
        for need in (*slice_.order.needs, *([work.branch_of(slice_).name] if slice_.parent else ())):
            waiters.setdefault(need, []).append(slice_.order.name)
    found: dict[str, str] = {}
    queue = list(names)
    for name in queue:  # grows while it is walked
        for waiter in waiters.get(name, ()):
            if waiter not in found:
                found[waiter] = name
                queue.append(waiter)
    return found


async def _record(
    desk: Desk,
    branch: Branch,
    number: int,
    reply: OutlineReply,
    proposed: int,
    admitted: Admitted,
    dropped: Sequence[tuple[str, str]],
    asks: Iterable[tuple[str, str]],
) -> None:
    body = {
        "branch": branch.name,
        "number": number,
        "reason": reply.reason[:600],
        "proposed": proposed,
        "orders": [order.name for order in admitted.orders],
        "refused": [[one.name[:200], one.reason] for one in admitted.refused],
        "dropped": [list(one) for one in dropped],
    }
    entries = [Entry(kind="planned", key=f"{branch.name}:{number}", body=body)]
    entries += order_entries(branch, admitted.orders)
    entries += [Entry(kind="asks", key=key, body={"name": name}) for key, name in asks]
    entries += dropped_entries(desk, dropped)
    await desk.journal.append(desk.run, *entries)
    if admitted.refused:
        log.info("orders refused", branch=branch.name, refused=len(admitted.refused))


def dropped_entries(desk: Desk, dropped: Iterable[tuple[str, str]]) -> list[Entry]:
    """What a person cancelled was recorded as dropped then."""
    known = set(desk.journal.keys(desk.run, "dropped")) if dropped else ()
    return [Entry(kind="dropped", key=name, body={"reason": why}) for name, why in dropped if name not in known]


def _named(desk: Desk, work: Work, branch: Branch, reply: OutlineReply) -> Iterable[Order]:
    """What was proposed as orders, under names of the branch's own: two planners may use the same."""
    own = {one.name for one in reply.orders}

    def whole(name: str) -> str:
        if not branch.name:
            return name
        inside = f"{branch.name}/{name}"
        return inside if name in own or state_of(desk, work, inside) is not None else name

    for one in reply.orders:
        yield Order(
            name=f"{branch.name}/{one.name}" if branch.name else one.name,
            objective=one.objective,
            needs=tuple(dict.fromkeys(whole(need) for need in one.needs)),
            done_when=one.done_when,
            boundaries=one.boundaries,
            sources=tuple(dict.fromkeys(one.sources)),
            priority=max(-100, min(100, one.priority)),
            kind=one.kind,
        )


def _to_drop(work: Work, branch: Branch, reply: OutlineReply) -> list[tuple[str, str]]:
    """The slices of this branch, by their whole names, that are to go: only what has not begun, or has failed."""
    found: dict[str, str] = {}
    for one in reply.drop:
        for name in (f"{branch.name}/{one.name}", one.name) if branch.name else (one.name,):
            slice_ = work.live.get(order_id(name))
            if slice_ is not None and work.branch_of(slice_) is branch and slice_.id not in work.under_way:
                found.setdefault(name, one.reason[:300] or "its planner dropped it")
    return with_waiting(work, found)


def left_of(work: Work, branch: Branch) -> list[tuple[str, str]]:
    """What is open of a branch that is done all the same, and what waits for it elsewhere."""
    left = [one.order for one in work.live.values() if (one.parent or ROOT) == branch.id and one.order is not None]
    return with_waiting(work, {order.name: "it was done without it" for order in left})


def with_waiting(work: Work, found: dict[str, str]) -> list[tuple[str, str]]:
    """The slices that are to go, by name and with the reason, and after them all that would wait for them."""
    waiting = waiting_for(work, found)
    also = {name: f'needs "{of}", which was dropped' for name, of in waiting.items() if name not in found}
    return [*found.items(), *also.items()]


def _same(desk: Desk, work: Work, content: str, gone: Container[str]) -> tuple[str | None, str]:
    """The slice that asks the same, as long as it is in the plan: what was dropped may be asked for again. With
    the key under which the next one that asks it is named."""
    number, key = 0, content
    while (record := desk.journal.record(desk.run, "asks", key)) is not None:
        name = str(record.body["name"])
        if name not in gone and state_of(desk, work, name) not in ("dropped", "failed"):
            return name, key
        number += 1
        key = f"{content}:{number}"
    return None, key


def _slices_left(desk: Desk, work: Work) -> int:
    return AT_ONCE if desk.limits.slices is None else max(1, desk.limits.slices - work.begun - len(work.live))


def budget_of(desk: Desk, branch: Branch) -> Budget:
    return branch.budget or desk.gate.budget


def share_of(parent: Budget) -> Budget:
    """What a branch may spend: half of what is left of its parent's limits, as long as they are."""
    left = parent.limits.left(parent.spent)
    return parent.share(
        Limits(
            cost_usd=None if left.cost_usd is None else left.cost_usd * _SHARE,
            tokens=None if left.tokens is None else int(left.tokens * _SHARE),
            calls=None if left.calls is None else int(left.calls * _SHARE),
        )
    )
