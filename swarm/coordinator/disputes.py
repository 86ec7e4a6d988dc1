"""Where findings may contradict: prose is judged by a model, once for each pair, and what stays open is asked of
the sources.

Findings with values need no judgement: the graph compares them. A verdict is a fact of the graph, in the journal
like a report.
"""

from __future__ import annotations

import asyncio
from collections.abc import Container, Sequence

from swarm.coordinator.desk import Desk
from swarm.coordinator.records import VERDICT
from swarm.coordinator.show import items_of
from swarm.errors import CallFailed, IndexFailed, LimitReached, PromptTooLong, Rejected
from swarm.graph.disputes import Relation, disputed, to_judge, verdict_on
from swarm.graph.identity import question_id
from swarm.graph.likeness import proposed
from swarm.graph.nodes import Verdict
from swarm.graph.rows import Row
from swarm.graph.search import search
from swarm.index.base import Embed
from swarm.observe.log import get_logger
from swarm.prompts.replies import Judged
from swarm.prompts.typed import ComparePrompt, Shown
from swarm.store.journal import Entry
from swarm.views.view import judged_for

log = get_logger("disputes")

_PAIRS, _IN_A_PROMPT = 48, 8
_OPEN = 200  # slots that are looked at for contradictions to settle and to show
_SETTLED_AT_ONCE = 3
_BESIDE = 12  # findings that are shown with a contradiction that is judged anew


async def judge_pairs(desk: Desk) -> None:
    """Have pairs of findings in prose judged, and contradictions that the sources were asked about judged anew.
    A call that fails or is not allowed leaves them as they are."""
    pairs = await _to_judge(desk)
    for start in range(0, len(pairs), _IN_A_PROMPT):
        some = pairs[start : start + _IN_A_PROMPT]
        if any(verdict_on(desk.graph, *pair) is None for pair in some) and not await _judge(
            desk, desk.question, some
        ):
            return
    for question, (one, other) in list(desk.settling.items()):
        rows = [row for id_ in (one, other) if (row := desk.graph.row(id_)) is not None]
        found = _beside(desk, question, (one, other))
        settled = Entry(kind="settled", key=question_id(question), body={})
        if (
            len(rows) == 2
            and found
            and not await _judge(desk, question, [(rows[0], rows[1])], settled, beside=found)
        ):
            return
        del desk.settling[question]


def _beside(desk: Desk, question: str, pair: tuple[str, str]) -> list[Row]:
    """What was found when the sources were asked: for that very question, or what else is known that bears on it,
    where sub-agents were asked in words of their own."""
    if desk.work is None:
        return judged_for(desk.graph, question)[:_BESIDE]
    found = search(desk.graph, question, _BESIDE + len(pair), ("finding",))
    return [row for row in found if row.id not in pair][:_BESIDE]


async def _to_judge(desk: Desk) -> list[tuple[Row, Row]]:
    """The pairs of this round, those that the user's embeddings propose among them, as the journal has them: a run
    that goes on in the middle of them judges no others."""
    name = f"{desk.round}:{desk.basis}"
    record = desk.journal.record(desk.run, "pairs", name)
    if record is not None:
        rows = [(desk.graph.row(one), desk.graph.row(other)) for one, other in record.body["pairs"]]
        return [(one, other) for one, other in rows if one is not None and other is not None]
    pairs = to_judge(desk.graph, _PAIRS)
    if desk.embed is not None:
        pairs += await _proposed(desk, desk.embed)
    if desk.recorded is None and (pairs or desk.embed is not None):
        body = {"pairs": [[one.id, other.id] for one, other in pairs]}
        await desk.journal.append(desk.run, Entry(kind="pairs", key=name, body=body))
    return pairs


async def _proposed(desk: Desk, embed: Embed) -> list[tuple[Row, Row]]:
    """Those that the user's embeddings propose; an endpoint that fails costs the proposals."""
    try:
        return await asyncio.to_thread(proposed, desk.graph, embed, _PAIRS)
    except IndexFailed as error:
        log.warning("no pairs proposed", reason=str(error))
        return []


async def _judge(
    desk: Desk, question: str, pairs: list[tuple[Row, Row]], *more: Entry, beside: Sequence[Row] = ()
) -> bool:
    """Whether the pairs were judged; then `more` is recorded with the verdicts."""
    if desk.stopped is not None or desk.stopping.is_set():
        return False
    items: list[Shown] = []
    for row in (*(row for pair in pairs for row in pair), *beside):
        items += items_of(desk, row, len(items))
    shown = 2 * len(pairs)
    prompt = ComparePrompt(question=question, shown=tuple(items[:shown]), beside=tuple(items[shown:]))
    try:
        reply = await desk.gate.ask(desk.model, prompt)
    except Rejected:
        raise
    except (CallFailed, LimitReached, PromptTooLong) as error:
        log.warning("pairs not judged", reason=str(error))
        return False
    verdicts = [verdict for judged in reply.pairs if (verdict := _verdict(pairs, judged)) is not None]
    entries = [
        Entry(
            kind="verdict",
            key=f"{verdict.one}:{verdict.other}:{verdict.judgement}:{verdict.later or ''}",
            body=VERDICT.dump_json(verdict),
        )
        for verdict in verdicts
    ]
    # all of a reply at once: a run that goes on asks about the next pairs, and not about half of these again
    await desk.journal.append(desk.run, *entries, *more, also=desk.graph.change(*verdicts))
    return True


def _verdict(pairs: list[tuple[Row, Row]], judged: Judged) -> Verdict | None:
    """What was judged, where it names one of the pairs."""
    if not 1 <= judged.pair <= len(pairs):
        return None
    first, second = pairs[judged.pair - 1]
    later = None
    if judged.verdict == "supersedes":
        later = {"first": first.id, "second": second.id}.get(judged.later or "")
        if later is None:
            return None
    one, other = sorted((first.id, second.id))
    return Verdict(one=one, other=other, judgement=judged.verdict, later=later, reason=judged.reason[:300])


def open_disputes(desk: Desk, limit: int) -> list[Relation]:
    """Contradictions that nothing has settled."""
    found: list[Relation] = []
    for relation in disputed(desk.graph, _OPEN):
        found.append(relation)
        if len(found) == limit:
            break
    return found


def questions_to_settle(desk: Desk, asked_before: Container[str]) -> list[tuple[str, str, str]]:
    """What to ask of the sources about contradictions, each once, and the ids of both findings."""
    asked: list[tuple[str, str, str]] = []
    for relation in open_disputes(desk, 4 * _SETTLED_AT_ONCE):
        question = (
            f'The sources disagree: "{_cut(relation.one.text)}" and "{_cut(relation.other.text)}" '
            "Which of the two holds, when, and under which condition?"
        )
        if question not in asked_before and len(asked) < _SETTLED_AT_ONCE:
            asked.append((question, relation.one.id, relation.other.id))
    return asked


def _cut(text: str) -> str:
    return text if len(text) <= 200 else text[:199] + "…"
