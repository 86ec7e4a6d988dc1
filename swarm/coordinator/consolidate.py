"""Say many findings in fewer words, level by level, until they fit one window.

Neighbours in reading order go together into one prompt; each statement that comes back is a finding one level up,
with the evidence of those it covers. For a digest this is done until one last prompt can write the text; for
an answer only when a language model has found more than it can be shown.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from swarm.coordinator.desk import Desk
from swarm.coordinator.show import current, view_budget
from swarm.errors import CallFailed, LimitReached, PromptTooLong, Rejected
from swarm.graph.identity import digest, finding_id
from swarm.observe.log import get_logger
from swarm.prompts.replies import Cited
from swarm.prompts.typed import ConsolidatePrompt, Shown
from swarm.task import Finding, Report
from swarm.views.pack import in_reading_order, shown, size

log = get_logger("consolidate")

_TOKENS_A_WORD = 1.4
_SHRINK = 0.5  # a level is asked to be half as long as the one below it
_MAX_LEVELS = 12


async def consolidate(desk: Desk) -> None:
    """Make what is known fit one prompt of the coordinator's model, and leave it on `desk.frontier`."""
    is_digest = desk.task.output == "digest"
    if not is_digest and desk.model.selective:
        return  # it picks sentences by rank: the view already shows it the best
    desk.gate.budget.finishing = True
    frontier = in_reading_order(current(desk), desk.rank)
    if not frontier:
        return
    budget = view_budget(desk, lambda items, _: consolidate_prompt(desk, items, 1, final=is_digest))
    for level in range(1, _MAX_LEVELS):
        items = label(desk, frontier)
        total = sum(size(item) for item in items)
        if total <= budget or desk.stopped is not None:
            break
        frontier = await _level(desk, _groups(items, budget // 2), level)
        if sum(size(item) for item in label(desk, frontier)) >= total:
            break  # a level that is no shorter than the one below it leads nowhere
        desk.frontier = frontier


def consolidate_prompt(
    desk: Desk, items: tuple[Shown, ...], words: int, *, final: bool = False, omitted: int = 0
) -> ConsolidatePrompt:
    return ConsolidatePrompt(question=desk.question, shown=items, words=words, final=final, omitted=omitted)


def label(desk: Desk, findings: Sequence[Finding]) -> list[Shown]:
    paths = desk.paths
    return [shown(f"F{n}", finding, desk.library, paths) for n, finding in enumerate(findings, start=1)]


def _groups(items: list[Shown], budget: int) -> list[tuple[Shown, ...]]:
    """Neighbours that fit one prompt together."""
    groups: list[list[Shown]] = [[]]
    room = budget
    for item in items:
        tokens = size(item)
        if tokens > room and groups[-1]:
            groups.append([])
            room = budget
        groups[-1].append(item)
        room -= tokens
    return [tuple(group) for group in groups if group]


async def _level(desk: Desk, groups: list[tuple[Shown, ...]], level: int) -> list[Finding]:
    """Consolidate all groups, as many at once as there are places; what comes back is in the same order."""
    places = asyncio.Semaphore(desk.concurrency)
    made: list[list[Finding]] = [[item.finding for item in group] for group in groups]

    async def work(place: int) -> None:
        async with places:
            made[place] = await _consolidate_group(desk, groups[place], level)

    try:
        async with asyncio.TaskGroup() as tasks:
            for place in range(len(groups)):
                tasks.create_task(work(place))
    except* Rejected as failed:
        raise failed.exceptions[0] from None
    return [finding for group in made for finding in group]


async def _consolidate_group(desk: Desk, group: tuple[Shown, ...], level: int) -> list[Finding]:
    """The group said shorter; as it was where a limit, a stop or a failure came in between."""
    kept = [item.finding for item in group]
    if desk.stopped is not None:
        return kept
    if desk.stopping.is_set():
        desk.stopped = "interrupted"
        return kept
    words = max(40, int(sum(size(item) for item in group) * _SHRINK / _TOKENS_A_WORD))
    try:
        reply = await desk.gate.ask(desk.model, consolidate_prompt(desk, group, words))
    except LimitReached as error:
        desk.stopped = str(error)
        return kept
    except Rejected:
        raise
    except (CallFailed, PromptTooLong) as error:
        log.warning("findings kept as they are", level=level, reason=str(error))
        return kept
    made = [finding for statement in reply.statements if (finding := _raised(statement, group, level)) is not None]
    if not made:
        return kept
    name = digest("slice", "consolidate", sorted(item.finding.id for item in group), level)
    desk.graph.merge(Report(slice=name, question=desk.question, findings=tuple(made)))
    return made


def _raised(statement: Cited, group: tuple[Shown, ...], level: int) -> Finding | None:
    """A statement as a finding one level up; None where it rests on nothing that was shown.

    A finding that is given back word for word, as the extractive model does, stays the finding that it is.
    """
    by_label = {item.label: item.finding for item in group}
    covered = [by_label[name] for name in dict.fromkeys(statement.findings) if name in by_label]
    text = statement.text.strip()
    if not covered or not text:
        return None
    if len(covered) == 1 and text == covered[0].claim:
        return covered[0]
    covers = tuple(sorted(finding.id for finding in covered))
    return Finding(
        id=finding_id(text, covers=covers),
        claim=text,
        evidence=tuple(sorted({span for finding in covered for span in finding.evidence})),
        relevance=max(finding.relevance for finding in covered),
        level=level,
        covers=covers,
    )
