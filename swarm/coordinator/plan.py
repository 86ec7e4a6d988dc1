"""From a task and its corpus to briefs and slices.

The planner model says what to look out for and what to search; how text is cut is arithmetic. Every character of
the corpus goes into a slice of the first round.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterable
from dataclasses import replace

from swarm.coordinator.desk import Desk
from swarm.coordinator.found import ask, search
from swarm.coordinator.records import Plan, make_slice, plan_entry
from swarm.coordinator.steering import kept_free
from swarm.errors import CallFailed, LimitReached, PromptTooLong, Rejected, WindowTooSmall
from swarm.events import SlicesPlanned
from swarm.limits.gate import reserved_output
from swarm.models.base import Model
from swarm.observe.log import get_logger
from swarm.prompts.replies import PlanReply
from swarm.prompts.typed import PlanPrompt, ReadPrompt
from swarm.source import Passage, Span
from swarm.sources.slicing import by_record, by_source, pack
from swarm.store.journal import Entry
from swarm.task import Output, Slice
from swarm.worker.read import Brief

log = get_logger("plan")

MATCHES = 250
"""Passages that the search ranks for a selective model, over the whole corpus."""
FOLLOW_UP_MATCHES = 50
CLOSELY: tuple[Output, ...] = ("answer", "graph")
"""What is read in halves where there is more to say."""
UNWRITTEN: tuple[Output, ...] = ("table", "graph")
"""What no model writes: it is there once all is read."""
_QUERY_MATCHES = 200  # for each search query that the planner adds
_FINDINGS: dict[Output, int] = {"answer": 96, "digest": 24, "table": 24, "graph": 96}
"""The most findings of one reply, by a reader that reads all of its slice. A slice whose reader gives as many
for an answer or a graph is read in halves as well."""
_FINDING_TOKENS = 80  # of a reply go to one finding, with its quote
_FOR_LATER = (
    "Besides, report what a later question may be about, as this part is not read again: who and what there is, "
    "what was decided, done, wanted or promised, with names, figures and dates."
)
"""What readers for a graph are told."""
LISTED_SOURCES = 50  # paths shown to the planner
_SMALLEST_SLICE = 64  # tokens of material without which a window is of no use
_ADVICE_CHARS = 400  # of the planner's advice go into every reader's prompt
_SAID_SHARE = 8  # of the coordinator's window may be what people said while the run was at work
_QUESTION_STEP = 256  # prompts are taken as so many tokens longer, so that slices stay the same for most questions


async def plan(desk: Desk) -> None:
    """Brief the readers and cut the corpus for the first round, unless that was done before.

    Raises:
        WindowTooSmall: the window does not hold the prompt, the reply and a little text.
    """
    if desk.plans:
        return
    advice = PlanReply(queries=[], reading=_FOR_LATER if desk.task.output == "graph" else "")
    if desk.task.output == "answer":
        advice = await _ask_planner(desk)
    questions = desk.task.questions or ("",)
    if desk.reader.selective and desk.task.output in CLOSELY:
        await ask(desk, (*questions, *advice.queries))
    most, budget = sizes(desk, questions, advice)
    slices = [
        make_slice(question, spans, tokens, item=item)
        for question in questions
        for spans, tokens, item in await cut(desk, budget)
    ]
    await take_up(desk, Plan(round=1, slices=tuple(slices), advice=advice, budget=budget, most=most))


async def take_up(desk: Desk, made: Plan, *why: Entry) -> None:
    """Record a plan, with the decision that led to it, and go by it."""
    await desk.journal.append(desk.run, *why, plan_entry(made, desk.corpus))
    new = desk.add(made)
    desk.emit(SlicesPlanned(slices=new, round=made.round))


def sizes(desk: Desk, questions: Iterable[str], advice: PlanReply) -> tuple[int, int]:
    """How many findings a reader may give, and the o200k tokens of material in a slice: in a replay, as recorded.

    Raises:
        WindowTooSmall: as `plan`.
    """
    if desk.recorded is not None:
        return desk.recorded.sizes(desk.round + 1)
    most = 24 if desk.reader.selective else _FINDINGS[desk.task.output]
    most = max(4, min(most, reserved_output(desk.reader) // _FINDING_TOKENS))
    reading = advice.reading[:_ADVICE_CHARS]
    return most, min(material_budget(desk, question, most, reading) for question in questions)


async def _ask_planner(desk: Desk) -> PlanReply:
    """The planner's advice; a planner that fails costs advice, not the run."""
    corpus = desk.corpus
    prompt = PlanPrompt(
        question=desk.question,
        output=desk.task.output,
        sources=tuple(source.path for source in corpus.sources[:LISTED_SOURCES]),
        count=len(corpus.sources),
        chars=corpus.chars,
    )
    try:
        return await desk.gate.ask(desk.model, prompt)
    except Rejected:
        raise
    except (CallFailed, LimitReached, PromptTooLong) as error:
        log.warning("planned without advice", reason=str(error))
        return PlanReply(queries=[], reading="")


def brief_of(desk: Desk, question: str) -> Brief:
    """What the readers of a question are told; for a selective model, with what the search ranks for it."""
    if question not in desk.briefs:
        made = desk.plans[0]
        if question not in (desk.task.questions or ("",)):
            made = next(plan for plan in desk.plans if question in plan.asked)
        desk.briefs[question] = _brief(desk, question, made)
    return desk.briefs[question]


def brief_for(desk: Desk, slice_: Slice) -> Brief:
    """What the reader of a slice is told: as all who read for its question, and what a person added since, unless
    the slice had begun by then. A selective model reads no words of advice."""
    brief = brief_of(desk, slice_.question)
    if desk.reader.selective or not desk.steering.instructions:
        return brief
    material = next(plan.budget for plan in desk.plans if plan.round == slice_.round)
    said = desk.steering.said_to(slice_.id, material)
    return replace(brief, reading=f"{brief.reading}\n{said}".strip()) if said else brief


def _brief(desk: Desk, question: str, made: Plan) -> Brief:
    reading = made.advice.reading[:_ADVICE_CHARS]
    common = Brief(output=desk.task.output, paths=desk.paths, max_findings=made.most, reading=reading)
    if not question or not desk.reader.selective:
        return common
    common = replace(common, statistics=desk.library.statistics(question, desk.corpus))
    if desk.task.output not in CLOSELY:
        return common
    ranked = search(desk, question, MATCHES if made.round == 1 else FOLLOW_UP_MATCHES)
    known = {passage.id for passage in ranked}
    for query in made.advice.queries:
        if query != question:
            more = search(desk, query, _QUERY_MATCHES)
            ranked += [passage for passage in more if passage.id not in known]
            known |= {passage.id for passage in more}
    return replace(common, matches=_by_source(ranked))


def _by_source(passages: Iterable[Passage]) -> dict[str, tuple[Passage, ...]]:
    found: dict[str, list[Passage]] = {}
    for passage in passages:
        insort(found.setdefault(passage.span.source, []), passage, key=lambda p: p.span.start)
    return {source: tuple(ranked) for source, ranked in found.items()}


def material_budget(desk: Desk, question: str, most: int, reading: str) -> int:
    """Tokens of o200k that a slice may hold, so that the reader's prompt around it fits the window."""
    reader = desk.reader
    empty = ReadPrompt(
        question=question,
        output=desk.task.output,
        passages=(),
        paths={},
        tokens=0,
        max_findings=most,
        reading=reading,
    )
    frame = reader.count(empty)
    rounded = -(-frame // _QUESTION_STEP) * _QUESTION_STEP
    room = reader.window - reserved_output(reader)
    budget = int((room - rounded) / reader.ratio())
    if not reader.selective:
        budget -= kept_free(budget)
    if budget < _SMALLEST_SLICE:
        budget = int((room - frame) / reader.ratio())
    if budget < _SMALLEST_SLICE:
        needed = int((frame + _ADVICE_CHARS + _SMALLEST_SLICE * reader.ratio()) * 4 / 3)
        needed += -needed % 100
        raise WindowTooSmall(
            f"a window of {reader.window:,} tokens is too small: the prompt takes {frame:,} and a quarter is kept "
            f"for the reply; use --window {needed} or more"
        )
    return budget


def said_room(model: Model) -> int:
    """Tokens of o200k that instructions may take in a prompt of the coordinator's model."""
    return int(model.window // _SAID_SHARE)


async def cut(desk: Desk, budget: int) -> list[tuple[tuple[Span, ...], int, str]]:
    """The spans, the tokens and, for a table, the item of each slice of the first round."""
    if desk.task.slicing != "window":
        return list(_items(desk, budget))
    cuts = desk.cuts.known(desk.corpus, budget)
    if cuts is None:
        cuts = list(pack(desk.library.passages(desk.corpus), budget, library=desk.library))
        await desk.cuts.keep(desk.corpus, budget, cuts)
    return [(spans, tokens, "") for spans, tokens in cuts]


def _items(desk: Desk, budget: int) -> Iterable[tuple[tuple[Span, ...], int, str]]:
    passages = desk.library.passages(desk.corpus)
    if desk.task.slicing == "source":
        for spans, tokens in by_source(desk.corpus, passages, budget, library=desk.library):
            yield spans, tokens, desk.paths[spans[0].source]
    else:
        paths, records = desk.paths, desk.library.records(desk.corpus)
        for spans, tokens in by_record(desk.corpus, records, budget, library=desk.library):
            yield spans, tokens, str(desk.library.locate(spans[0], paths[spans[0].source]))
