"""Orders are let into the plan: recorded first, then live.

An order of a program is taken as it comes; what a planner model proposes is looked through before
(`swarm/agenda/admit.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import fields
from functools import partial
from itertools import islice
from typing import Any

from swarm.coordinator.desk import Desk
from swarm.coordinator.work.state import ROOT, Branch, Work, order_id
from swarm.errors import RecipeError
from swarm.events import SlicesPlanned
from swarm.orders import Order
from swarm.source import Source, Span
from swarm.store.journal import Entry, Journal
from swarm.task import Slice

_AHEAD = 2_048  # live slices of a program, above which no more of its orders are taken
_AT_ONCE = 256
_LEFT_OUT = {field.name: field.default for field in fields(Order) if field.name not in ("name", "objective")}


def order_body(order: Order, branch: Branch) -> dict[str, Any]:
    """An order as it is recorded: what is as usual is left out."""
    body = {"objective": order.objective}
    for name, usual in _LEFT_OUT.items():
        if (value := getattr(order, name)) != usual:
            body[name] = value
    if branch.name:
        body["branch"] = branch.name
    return body


def order_of(name: str, body: dict[str, Any]) -> Order:
    given = {key: value for key, value in body.items() if key in _LEFT_OUT}
    for key in ("needs", "sources"):
        if key in given:
            given[key] = tuple(given[key])
    return Order(name=name, objective=body["objective"], **given)


def order_entries(branch: Branch, orders: Iterable[Order]) -> list[Entry]:
    """The records by which orders are let in."""
    return [Entry(kind="slice", key=order.name, body=order_body(order, branch)) for order in orders]


def state_of(desk: Desk, work: Work, name: str) -> str | None:
    """Where an order of that name stands: None where there is none."""
    id_ = order_id(name)
    if name in work.failed:
        return "failed"
    if id_ in work.live:
        return "live"
    if desk.journal.record(desk.run, "slice", name) is None:
        return None
    if desk.journal.record(desk.run, "dropped", name) is not None:
        return "dropped"
    if desk.journal.record(desk.run, "report", id_) is None:
        return "dropped"  # its branch came to an end without it
    return "done"


def enter(desk: Desk, work: Work, branch: Branch, orders: Sequence[Order], *, tell: bool = True) -> None:
    """Go by orders that were recorded."""
    for order in orders:
        slice_ = slice_of(order, branch.id, partial(source_at, desk), branch.depth)
        if slice_.id in work.live:
            continue
        work.live[slice_.id] = slice_
        branch.open += 1
        if work.program is None:
            branch.stands(order.name, "planned", order.objective)
        work.agenda.add(slice_.id, needs=slice_.needs, priority=order.priority, branch=branch.name)
    if orders and tell:
        desk.emit(SlicesPlanned(slices=len(orders), round=max(1, branch.plannings)))


def slice_of(order: Order, parent: str, find: Callable[[str], Source | None], depth: int = 0) -> Slice:
    """The slice that an order is; `find` tells the source that a path names."""
    named = (find(path) for path in order.sources)
    return Slice(
        id=order_id(order.name),
        question=order.objective,
        spans=tuple(Span(source.id, 0, source.chars) for source in named if source is not None),
        tokens=0,
        parent=parent or None,
        order=order,
        needs=tuple(order_id(need) for need in order.needs),
        depth=depth,
    )


def slices_from(journal: Journal, run: str, find: Callable[[str], Source | None]) -> Iterator[Slice]:
    """All slices of the work of a run, as they were let in."""
    for record in journal.records(run, "slice"):
        if "objective" in record.body:  # older versions kept slices that were read under this kind
            branch = record.body.get("branch", ROOT)
            yield slice_of(order_of(record.key, record.body), order_id(branch) if branch else ROOT, find)


def source_at(desk: Desk, path: str) -> Source | None:
    """The source that a path names: of the task's material, or an artifact that was made before."""
    if (source := desk.by_path.get(path)) is not None:
        return source
    record = desk.journal.record(desk.run, "artifact", path)
    return desk.sources.get(record.body["ref"]) if record is not None else None


async def refill(desk: Desk, work: Work) -> None:
    """Take more orders of the program, as long as few are live: a plan of millions is never held at once."""
    while work.supply is not None and len(work.live) < _AHEAD and desk.stopped is None:
        await pull(desk, work)


async def pull(desk: Desk, work: Work) -> None:
    """Take the next orders of the program, some at once."""
    orders = list(islice(work.supply or (), _AT_ONCE))
    if not orders:
        work.supply = None
    else:
        checked(desk, work, orders)
        work.pulled += len(orders)
        pulled = Entry(kind="pulled", key=str(work.pulled), body={})
        await desk.journal.append(desk.run, pulled, *order_entries(work.root, orders))
        enter(desk, work, work.root, orders)


def checked(desk: Desk, work: Work, orders: Sequence[Order]) -> None:
    """See to it that the orders of a program can be worked.

    Raises:
        RecipeError: a name that is taken, an order that needs one that did not come before it, a role or a source
            that is not there.
    """
    new: set[str] = set()
    for order in orders:
        if not isinstance(order, Order):
            raise RecipeError(f"the plan gave {str(order)[:80]!r} for an order: give a swarm.Order")
        if (problem := _problem(desk, work, order, new)) is not None:
            raise RecipeError(f"the order {order.name[:80]!r} {problem}")
        new.add(order.name)


def _problem(desk: Desk, work: Work, order: Order, new: set[str]) -> str | None:
    if not order.name or not order.objective.strip():
        return "needs a name and an objective"
    if order.name in new or order.name in work.coming or state_of(desk, work, order.name) is not None:
        return "has a name that another has: give each its own"
    if order.role not in work.roles:
        known = ", ".join(repr(name) for name in work.roles if name) or "none"
        return f"names the role {order.role!r}, which is not among the program's: {known}"
    if order.kind == "plan":
        return "is of the kind 'plan', which only a planner model can ask for"
    for need in order.needs:
        if need not in new and need not in work.coming and state_of(desk, work, need) is None:
            return f"needs {need!r}, which no order before it is called"
    for path in order.sources:
        if source_at(desk, path) is None:
            return f"names the source {path!r}, which the task's paths do not hold"
    return None
