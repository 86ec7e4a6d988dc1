"""Say many findings in fewer words, level by level, until they fit one window.

The groups are those of the graph's tree: neighbours in reading order, whatever the order in which they were
found. A group whose summary is missing, or has fallen behind by more than a few findings, goes into one prompt;
what comes back is checked (`swarm/graph/probe.py`), written to the journal and put on its branch. So a finding
more rewrites its own branch only. Done for a digest until one last prompt can write the text, and for an answer
when a language model has found more than it can be shown.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace

from swarm.coordinator.desk import Desk
from swarm.coordinator.records import SUMMARY
from swarm.coordinator.show import SUMMARIES, items_of, room, size_of, view_budget
from swarm.errors import CallFailed, LimitReached, PromptTooLong, Rejected, SwarmError
from swarm.graph import tree
from swarm.graph.cover import Due, due, frontier
from swarm.graph.identity import summary_id
from swarm.graph.nodes import Statement, Summary
from swarm.graph.probe import check
from swarm.graph.rows import Row
from swarm.observe.log import get_logger
from swarm.prompts.replies import Cited
from swarm.prompts.typed import ConsolidatePrompt, Shown
from swarm.store.journal import Entry
from swarm.task import Finding
from swarm.views.pack import FRAME_TOKENS

log = get_logger("consolidate")

WORDS = 160
"""The most words of one summary, on every level: so what stands at the root fits any window."""
_SHORTEST = 30  # words that are asked for at the least
_SHRINK = 0.5  # a summary is at most half as long as what it is written from
_TOKENS_A_WORD = 1.4
_LEAST = 200  # tokens below which a group is read as it is
_TRIES = 6
_FRESH = 120  # tokens that may come to a group before its summary is written again


async def consolidate(desk: Desk) -> None:
    """Write the summaries without which what is known does not fit one prompt of the coordinator's model."""
    is_digest = desk.task.output == "digest"
    if not is_digest and desk.model.selective:
        return  # it picks sentences by rank: the view already shows it the best
    desk.gate.budget.finishing = True
    budget = await room(
        desk,
        f"consolidate:{desk.basis}",
        lambda: view_budget(desk, lambda items, _: consolidate_prompt(desk, items, 1, final=is_digest)),
    )
    # summaries get a share of the view of one who answers, and all of that of one who writes a digest
    most = budget if is_digest or _all_fit(desk, budget) else int(budget * SUMMARIES)
    read = desk.graph.database.read
    level = 0
    while level < tree.levels(read, desk.graph.num) and desk.stopped is None:
        if fits(desk, most):
            break
        level += 1
        await _level(desk, due(desk.graph, level, _LEAST, _FRESH), budget)


def _all_fit(desk: Desk, tokens: int) -> bool:
    """Whether all findings can be shown in so many tokens."""
    rows = desk.graph.best_rows(tokens // FRAME_TOKENS + 1)
    sizes = (size_of(desk, item) for row in rows for item in items_of(desk, row, 0))
    return len(rows) == desk.graph.claims and sum(sizes) <= tokens


def fits(desk: Desk, tokens: int) -> bool:
    """Whether all that is known can be shown in so many tokens, summaries standing for what they cover."""
    return _shown_size(desk, standing(desk, tokens)) <= tokens


def standing(desk: Desk, tokens: int) -> list[Row]:
    """What stands for all findings, as fine as so many tokens hold, in reading order. The tree knows sizes
    roughly, so it is asked for less until what it gives fits."""
    aim = tokens
    rows = frontier(desk.graph, aim)
    for _ in range(_TRIES):
        used = _shown_size(desk, rows)
        if used <= tokens:
            break
        aim = int(aim * min(0.9, tokens / used))
        rows = frontier(desk.graph, aim)
    return rows


def _shown_size(desk: Desk, rows: list[Row]) -> int:
    return sum(size_of(desk, item) for row in rows for item in items_of(desk, row, 0))


def consolidate_prompt(
    desk: Desk, items: tuple[Shown, ...], words: int, *, final: bool = False, omitted: int = 0
) -> ConsolidatePrompt:
    return ConsolidatePrompt(question=desk.question, shown=items, words=words, final=final, omitted=omitted)


async def _level(desk: Desk, groups: list[Due], budget: int) -> None:
    """Consolidate all groups of a level, as many at once as there are places."""
    if desk.recorded is not None:
        await _level_again(desk, groups, budget)
        return
    places = asyncio.Semaphore(desk.concurrency)

    async def work(group: Due) -> None:
        async with places:
            await _write(desk, group, budget)

    try:
        async with asyncio.TaskGroup() as tasks:
            for group in groups:
                tasks.create_task(work(group))
    except* SwarmError as failed:
        raise failed.exceptions[0] from None


async def _level_again(desk: Desk, groups: list[Due], budget: int) -> None:
    """In a replay: where a process died, any of the groups may have been written before it, not the first ones."""
    ended: list[SwarmError] = []
    for group in groups:
        try:
            await _write(desk, group, budget)
        except SwarmError as error:
            ended.append(error)
    if ended:
        raise ended[0]


async def _write(desk: Desk, group: Due, budget: int) -> None:
    """Write the summary of a group, and keep the old view where a limit, a stop, a failure or the check is against
    it."""
    statements: list[Statement] = []
    portions = _portions(desk, group.children, budget // 2)
    for rows in portions:
        made = await _ask(desk, rows, WORDS // len(portions))
        if made is None:
            return
        statements += made
    children = {row.id: row.text for row in group.children}
    findings = sum(desk.graph.summary(row.num).findings if row.kind == "summary" else 1 for row in group.children)
    held = check(statements, children, findings)
    if held is None:
        log.warning("summary refused: it does not lead to what it covers", level=group.branch.level)
        return
    covers = tuple(sorted(children))
    summary = Summary(
        id=summary_id(group.branch.level, covers, (one.text for one in held)),
        level=group.branch.level,
        statements=held,
        covers=covers,
    )
    entry = Entry(kind="summary", key=summary.id, body=SUMMARY.dump_json(summary))
    await desk.journal.append(desk.run, entry, also=desk.graph.change(summary))


def _portions(desk: Desk, children: tuple[Row, ...], budget: int) -> list[list[Row]]:
    """The children of a group in as few prompts as hold them: one, for nearly all."""
    portions: list[list[Row]] = [[]]
    room = budget
    for row in children:
        tokens = size_of(desk, _item(desk, row, 0))
        if tokens > room and portions[-1]:
            portions.append([])
            room = budget
        portions[-1].append(row)
        room -= tokens
    return portions


def _item(desk: Desk, row: Row, labelled: int) -> Shown:
    """A child as it is shown: a finding with its first quote, a summary as one text."""
    if row.kind != "summary":
        (item,) = items_of(desk, row, labelled)
        return replace(item, quotes=item.quotes[:1])
    whole = Finding(id=row.id, claim=row.text, evidence=())
    return Shown(label=f"F{labelled + 1}", finding=whole, quotes=(), where="summary")


async def _ask(desk: Desk, rows: list[Row], most: int) -> list[Statement] | None:
    """The rows said in at most so many words; None where nothing came back."""
    if desk.stopped is None and desk.stopping.is_set():
        desk.stopped = "interrupted"
    if desk.stopped is not None:
        return None
    items = [_item(desk, row, number) for number, row in enumerate(rows)]
    origin = {item.label: row.id for item, row in zip(items, rows, strict=True)}
    words = max(_SHORTEST, min(most, int(sum(size_of(desk, item) for item in items) * _SHRINK / _TOKENS_A_WORD)))
    try:
        reply = await desk.gate.ask(desk.model, consolidate_prompt(desk, tuple(items), words))
    except PromptTooLong as error:
        return await _ask_in_halves(desk, rows, most, error)
    except LimitReached as error:
        desk.stop_at(error)
        return None
    except Rejected:
        raise
    except CallFailed as error:
        log.warning("findings kept as they are", reason=str(error))
        return None
    return [made for statement in reply.statements if (made := _statement(statement, origin)) is not None]


async def _ask_in_halves(desk: Desk, rows: list[Row], most: int, error: PromptTooLong) -> list[Statement] | None:
    if len(rows) == 1:
        log.warning("findings kept as they are", reason=str(error))
        return None
    made: list[Statement] = []
    for half in (rows[: len(rows) // 2], rows[len(rows) // 2 :]):
        statements = await _ask(desk, half, most // 2)
        if statements is None:
            return None
        made += statements
    return made


def _statement(cited: Cited, origin: dict[str, str]) -> Statement | None:
    """A sentence and the children that it rests on; None where it rests on nothing that was shown."""
    rests_on = tuple(dict.fromkeys(origin[label] for label in cited.findings if label in origin))
    text = cited.text.strip()
    return Statement(text=text, rests_on=rests_on) if text and rests_on else None
