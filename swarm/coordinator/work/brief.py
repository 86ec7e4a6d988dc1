"""What a sub-agent is told of the run: its order, the results that it needs, a view of the graph, what was said.

It asks no model.
"""

from __future__ import annotations

from collections.abc import Sequence

from swarm.coordinator.desk import Desk
from swarm.coordinator.found import ask, search
from swarm.coordinator.offers import Given
from swarm.coordinator.show import items_of, size_of
from swarm.coordinator.work.state import RunResults, Work
from swarm.coordinator.work.take import source_at
from swarm.graph.identity import digest
from swarm.orders import Order
from swarm.program import Role
from swarm.prompts.typed import Outcome, Shown
from swarm.source import Passage, Span
from swarm.task import Slice
from swarm.views.pack import FRAME_TOKENS
from swarm.views.view import chosen
from swarm.worker.ledger import Ledger
from swarm.worker.work import Job

_LOOKED_UP = 12  # passages that a search brings
_ASKED = 6  # paths and searches of one handoff
_DECISIONS = 20
_SAID = 8  # instructions, the latest


def given_of(desk: Desk, work: Work, slice_: Slice) -> Given:
    """What the sub-agents of a slice are told of what is known by now."""
    assert slice_.order is not None
    role = work.role_of(slice_.order)
    return Given(
        shown=view_for(desk, slice_.order.objective, role.view_tokens),
        said=said_to(desk, slice_.id),
        settled=decided(desk) if role.view_tokens else (),
        tries=work.tries.get(slice_.id, 0),
    )


def job_of(desk: Desk, work: Work, slice_: Slice, ledger: Ledger, given: Given) -> Job:
    """What the sub-agents of a slice are given."""
    order = slice_.order
    assert order is not None
    role = work.role_of(order)
    results = RunResults(desk.journal, desk.run)
    outcomes, summaries = [], {}
    for need in order.needs:
        outcome, summary = results.both(need)
        outcomes.append(outcome)
        summaries[need] = summary
    return Job(
        slice=slice_.id,
        goal=desk.question,
        order=order,
        role=role,
        basis=(
            *_basis(desk, slice_, order, role, outcomes, fresh=bool(role.view_tokens or given.said)),
            *((f"try {given.tries}",) if given.tries else ()),
        ),
        outcomes=tuple(outcomes),
        summaries=summaries,
        shown=given.shown,
        said=given.said,
        settled=given.settled,
        material=material_of(desk, slice_.spans, role.legs * desk.reader.window) if slice_.spans else (),
        paths=desk.paths,
        ledger=ledger,
    )


def _basis(
    desk: Desk, slice_: Slice, order: Order, role: Role, outcomes: Sequence[Outcome], *, fresh: bool
) -> tuple[str, ...]:
    """What names the calls of a slice: all that it is told. A view of the graph is not a part of it: one who goes
    on after a kill is to find the reply to what was asked before, though the graph has grown since; for that the
    run is, so that no other run takes a reply that rests on what only this one knew."""
    named = digest(
        "basis",
        desk.question,
        order.objective,
        order.done_when,
        order.boundaries,
        order.role,
        role.instructions,
        role.schema_text,
        role.report_tokens,
        [[one.name, one.text] for one in outcomes],
        [list(span) for span in slice_.spans],
    )
    return (named, desk.run, slice_.id) if fresh else (named,)


def view_for(desk: Desk, about: str, tokens: int) -> tuple[Shown, ...]:
    """The findings that bear on an objective, in so many o200k tokens."""
    if not tokens or not len(desk.graph):
        return ()
    items: list[Shown] = []
    room = tokens
    for row in chosen(desk.graph, about, tokens, lambda row: FRAME_TOKENS + len(row.text) // 2):
        made = items_of(desk, row, len(items))
        used = sum(size_of(desk, item) for item in made)
        if used <= room:
            room -= used
            items += made
    return tuple(items)


def said_to(desk: Desk, ref: str) -> tuple[str, ...]:
    """What a person added while the run was on, but for what was said when this had begun: a run that goes on asks
    it the same."""
    said = (one.text for one in desk.steering.instructions if ref not in one.under_way)
    return tuple(said)[-_SAID:]


def decided(desk: Desk) -> tuple[str, ...]:
    """What was settled by those who came before: the last decisions, the latest last."""
    return tuple(row.text for row in reversed(desk.graph.last_rows("decision", _DECISIONS)))


def material_of(desk: Desk, spans: Sequence[Span], tokens: int) -> tuple[Passage, ...]:
    """What the sources of an order hold, up to so many o200k tokens: more than its sub-agents can be shown is not
    read from the disk. A search finds what lies beyond."""
    found: list[Passage] = []
    for passage in desk.library.walk(spans, desk.paths):
        found.append(passage)
        tokens -= passage.tokens
        if tokens < 0:
            break
    return tuple(found)


async def look_up(desk: Desk, asked: Sequence[str]) -> tuple[Passage, ...]:
    """What a sub-agent asked to have shown to its successor: sources by their paths, else what a search finds."""
    found: dict[Span, Passage] = {}
    for wanted in asked[:_ASKED]:
        source = source_at(desk, wanted.strip())
        passages: Sequence[Passage]
        if source is not None:
            passages = material_of(desk, (Span(source.id, 0, source.chars),), desk.reader.window)
        elif wanted.strip() and desk.corpus.sources:
            await ask(desk, (wanted,))
            ranked = search(desk, wanted, _LOOKED_UP)
            passages = sorted(ranked, key=lambda one: (desk.rank[one.span.source], one.span.start))
        else:
            continue
        found |= {passage.span: passage for passage in passages}
    return tuple(found.values())
