"""Ask the coordinator's model about what is known: as much as fits its window, what bears most on the question
first.

A selective model, which ranks by itself, gets the most relevant findings. Any other gets a view: all findings
where they fit, else summaries that stand for all of them, and beside these the findings that say most about the
question.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import TypeVar

from swarm.coordinator.desk import Desk
from swarm.errors import PromptTooLong
from swarm.graph.cover import cut, is_below, stretches_of
from swarm.graph.disputes import of_finding
from swarm.graph.nodes import Statement, Summary
from swarm.graph.probe import ALSO
from swarm.graph.rows import Row
from swarm.limits.budget import Budget
from swarm.limits.gate import reserved_output
from swarm.prompts.replies import Reply
from swarm.prompts.typed import Shown, ViewPrompt
from swarm.source import Span
from swarm.store.journal import Entry
from swarm.task import Finding
from swarm.views.pack import FRAME_TOKENS, QUOTES, shown, size
from swarm.views.view import chosen

R = TypeVar("R", bound=Reply)
Make = Callable[[tuple[Shown, ...], int], ViewPrompt[R]]

_SHRINK = 0.8
_TRIES = 8
SUMMARIES = 0.4  # of the room go to summaries where not all findings fit
_MARKUP_TOKENS, _QUOTE_TOKENS = 6, 5  # around a finding and around each of its quotes, as they are rendered
_MISSES = 8  # findings that did not fit before a view counts as full


def view_budget(desk: Desk, make: Make[R]) -> int:
    """Tokens of o200k that the findings of a prompt may take, in the window and in what may still be spent."""
    model = desk.model
    output = reserved_output(model)
    room = model.window - output
    affordable = desk.gate.budget.affordable_input(model.price, output)
    if affordable is not None:
        room = min(room, affordable)
    return max(0, int((room - model.count(make((), 0))) / model.ratio()))


async def room(desk: Desk, name: str, tokens: Callable[[], int]) -> int:
    """The o200k tokens of a view, by its name: as the journal has them, else as they are now, and recorded. They
    depend on what models have told of themselves until now, and a run that goes on is to show what it showed."""
    record = desk.journal.record(desk.run, "room", name)
    if record is None:
        found = tokens()
        await desk.journal.append(desk.run, Entry(kind="room", key=name, body={"tokens": found}))
        return found
    return int(record.body["tokens"])


async def view_prompt(
    desk: Desk,
    name: str,
    make: Make[R],
    rows: Callable[[int], Sequence[Row]] | None = None,
    budget: Budget | None = None,
    ask: Callable[[ViewPrompt[R], Budget | None], Awaitable[R]] | None = None,
) -> R:
    """Ask over a view of the graph (or of `rows` for so many tokens, in their order), made smaller until it passes
    the gate. `name` tells this view from all others; `budget` pays, where it is not the run's. `ask` is how it is
    asked, where that is not at the gate.

    Raises:
        PromptTooLong: not even the empty view fits.
        LimitReached, CallFailed: as `Gate.ask`.
    """
    for attempt in range(_TRIES):
        tokens = await room(desk, f"{name}#{attempt}", partial(_shrunk, desk, make, attempt))
        if desk.journal.record(desk.run, "room", f"{name}#{attempt + 1}") is not None:
            continue  # this much was too long before
        if rows is None:
            items, omitted = _view(desk, tokens)
        else:
            chosen_rows = rows(tokens)
            items, omitted = _pack(desk, chosen_rows, tokens, len(chosen_rows))
        try:
            prompt = make(tuple(items), omitted)
            if ask is not None:
                return await ask(prompt, budget)
            return await desk.gate.ask(desk.model, prompt, budget=budget)
        except PromptTooLong:
            if not items:
                raise
    raise PromptTooLong("the findings do not fit the window, however few are shown")


def _shrunk(desk: Desk, make: Make[R], times: int) -> int:
    return int(view_budget(desk, make) * _SHRINK**times)


def best(desk: Desk, limit: int) -> list[Finding]:
    """The findings that bear most on the question, best first."""
    return desk.graph.best(limit)


def _view(desk: Desk, budget: int) -> tuple[list[Shown], int]:
    """What is shown, and how many findings are not."""
    graph = desk.graph
    claims = graph.claims
    most = budget // FRAME_TOKENS + _MISSES
    ranked = graph.best_rows(most)
    items, left_out = _pack(desk, ranked, budget, claims)
    if desk.model.selective or not left_out:
        return items, left_out
    overview: list[int] = []
    summaries: list[Shown] = []
    room = budget
    for num in cut(graph, int(budget * SUMMARIES)):
        summary = graph.summary(num)
        for made in (_of_summary(desk, summary, len(summaries)), [_in_one(desk, summary, len(summaries))]):
            tokens = sum(size_of(desk, item) for item in made)
            if budget - room + tokens <= budget * SUMMARIES:
                break
        else:
            continue
        overview.append(num)
        summaries += made
        room -= tokens
    rows = chosen(graph, desk.question, room, lambda row: FRAME_TOKENS + 2 * (len(row.text) // 4))
    items, _ = _pack(desk, rows, room, claims, labelled=len(summaries))
    covered = stretches_of(graph, overview)
    apart = sum(not is_below(covered, row) for row in rows[: len(items)])
    below = sum(graph.summary(num).findings for num in overview)
    return summaries + items, max(0, claims - below - apart)


def _pack(desk: Desk, rows: Sequence[Row], budget: int, of: int, *, labelled: int = 0) -> tuple[list[Shown], int]:
    """As many as fit, in the order given, and how many of all are left out. One that does not fit is passed over,
    until the view is as good as full: so the work grows with the budget, and not with the number of findings."""
    items: list[Shown] = []
    used = misses = taken = 0
    for row in rows:
        if misses == _MISSES:
            break
        made = items_of(desk, row, labelled + len(items))
        tokens = sum(size_of(desk, item) for item in made)
        if used + tokens > budget:
            misses += 1
            continue
        used += tokens
        taken += 1
        items += made
    return items, of - taken


def size_of(desk: Desk, item: Shown) -> int:
    """Tokens that an item takes in a prompt of the coordinator's model: one that reads text sees the marks."""
    markup = 0 if desk.model.selective else _MARKUP_TOKENS + _QUOTE_TOKENS * len(item.quotes)
    return size(item) + markup


def items_of(desk: Desk, row: Row, labelled: int) -> list[Shown]:
    """A node as it is shown: a finding, or the statements of a summary; labels go on from `labelled`."""
    if row.kind == "summary":
        return _of_summary(desk, desk.graph.summary(row.num), labelled)
    (finding,) = desk.graph.findings([row])
    return [_shown(desk, finding, labelled)]


def _of_summary(desk: Desk, summary: Summary, labelled: int) -> list[Shown]:
    items: list[Shown] = []
    for statement in summary.statements:
        finding = as_finding(desk, summary, statement)
        if finding.evidence:  # what it rests on may have been unlearnt since
            items.append(_shown(desk, finding, labelled + len(items)))
    return items


def _in_one(desk: Desk, summary: Summary, labelled: int) -> Shown:
    """A summary as one item, where there is no room for its sentences one by one."""
    whole = Statement(text=summary.text, rests_on=summary.covers)
    return replace(_shown(desk, as_finding(desk, summary, whole), labelled), quotes=())


def as_finding(desk: Desk, summary: Summary, statement: Statement) -> Finding:
    """A sentence of a summary as a finding of its level, with the first evidence of what it rests on."""
    spans: list[Span] = []
    waiting = list(reversed(statement.rests_on))
    seen: set[str] = set()
    while waiting and len(spans) < QUOTES:
        id_ = waiting.pop()
        row = desk.graph.row(id_) if id_ not in seen else None
        seen.add(id_)
        if row is None:
            continue
        if row.kind == "summary":
            inside = [id_ for one in desk.graph.summary(row.num).statements for id_ in one.rests_on]
            waiting += reversed(inside)
        else:
            spans += desk.graph.findings([row])[0].evidence
    return Finding(
        id=f"{summary.id}:{statement.text[:40]}",
        claim=statement.text,
        evidence=tuple(dict.fromkeys(spans))[:QUOTES],
        level=summary.level,
        covers=statement.rests_on,
    )


def is_line(finding: Finding) -> bool:
    """Whether it only names what a summary does not say: to be looked up, and not to be quoted."""
    return finding.level > 0 and finding.claim.startswith(ALSO)


def _shown(desk: Desk, finding: Finding, labelled: int) -> Shown:
    return shown(f"F{labelled + 1}", finding, desk.library, desk.paths)


def disputes_in(desk: Desk, items: Sequence[Shown]) -> tuple[tuple[str, str], ...]:
    """The labels of shown findings that contradict one another."""
    labels = {item.finding.id: item.label for item in items}
    found: dict[tuple[str, str], None] = {}
    for item in items:
        row = desk.graph.row(item.finding.id) if not item.finding.level else None
        for relation in of_finding(desk.graph, row) if row is not None else ():
            pair = (relation.one.id, relation.other.id)
            if relation.kind == "contradicts" and all(id_ in labels for id_ in pair):
                one, other = sorted((labels[id_] for id_ in pair), key=lambda label: int(label[1:]))
                found[one, other] = None
    return tuple(found)


__all__ = [
    "QUOTES",
    "as_finding",
    "best",
    "disputes_in",
    "is_line",
    "items_of",
    "room",
    "size_of",
    "view_budget",
    "view_prompt",
]
