"""From a task and its corpus to briefs and slices.

The planner model says what to look out for and what to search; how text is cut is arithmetic. Every character of
the corpus goes into a slice of the first round.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterable
from dataclasses import replace

from swarm.coordinator.desk import Desk
from swarm.errors import CallFailed, LimitReached, PromptTooLong, Rejected, WindowTooSmall
from swarm.events import SlicesPlanned
from swarm.graph.identity import slice_id
from swarm.limits.gate import reserved_output
from swarm.observe.log import get_logger
from swarm.prompts.replies import PlanReply
from swarm.prompts.typed import PlanPrompt, ReadPrompt
from swarm.source import Passage, Span
from swarm.sources.slicing import by_record, by_source, pack
from swarm.task import Output, Slice
from swarm.worker.read import Brief

log = get_logger("plan")

MATCHES = 250
"""Passages that the search ranks for a selective model, over the whole corpus."""
FOLLOW_UP_MATCHES = 50
_QUERY_MATCHES = 200  # for each search query that the planner adds
_FINDINGS: dict[Output, int] = {"answer": 96, "digest": 24, "table": 24}
"""The most findings of one reply, by a reader that reads all of its slice. A slice whose reader gives as many
for an answer is read in halves as well."""
_FINDING_TOKENS = 80  # of a reply go to one finding, with its quote
_LISTED_SOURCES = 50  # paths shown to the planner
_SMALLEST_SLICE = 64  # tokens of material without which a window is of no use
_ADVICE_CHARS = 400  # of the planner's advice go into every reader's prompt
_QUESTION_STEP = 256  # prompts are taken as so many tokens longer, so that slices stay the same for most questions


async def plan(desk: Desk) -> None:
    """Brief the readers and cut the corpus for the first round.

    Raises:
        WindowTooSmall: the window does not hold the prompt, the reply and a little text.
    """
    questions = desk.task.questions or ("",)
    advice = await _ask_planner(desk) if desk.task.output == "answer" else PlanReply(queries=[], reading="")
    for question in questions:
        desk.briefs[question] = brief(desk, question, advice)
    budget = min(material_budget(desk, question) for question in questions)
    cuts = await _cut(desk, budget)
    slices = [
        make_slice(question, spans, tokens, item=item) for question in questions for spans, tokens, item in cuts
    ]
    desk.add(slices)
    desk.emit(SlicesPlanned(slices=len(slices), round=1))


async def _ask_planner(desk: Desk) -> PlanReply:
    """The planner's advice; a planner that fails costs advice, not the run."""
    corpus = desk.corpus
    prompt = PlanPrompt(
        question=desk.question,
        output=desk.task.output,
        sources=tuple(source.path for source in corpus.sources[:_LISTED_SOURCES]),
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


def brief(desk: Desk, question: str, advice: PlanReply, ranked: list[Passage] | None = None) -> Brief:
    """What the readers of one question are told; for a selective model, what the search ranked for it (or did
    already: `ranked`)."""
    selective = desk.reader.selective and desk.task.output == "answer"
    most = 24 if desk.reader.selective else _FINDINGS[desk.task.output]
    most = max(4, min(most, reserved_output(desk.reader) // _FINDING_TOKENS))
    reading = advice.reading[:_ADVICE_CHARS]
    common = Brief(output=desk.task.output, paths=desk.paths, max_findings=most, reading=reading)
    if not question or not desk.reader.selective:
        return common
    statistics = desk.library.statistics(question, desk.corpus)
    if not selective:
        return replace(common, statistics=statistics)
    ranked = desk.library.search(question, desk.corpus, MATCHES) if ranked is None else ranked
    known = {passage.id for passage in ranked}
    for query in advice.queries:
        if query != question:
            more = desk.library.search(query, desk.corpus, _QUERY_MATCHES)
            ranked += [passage for passage in more if passage.id not in known]
            known |= {passage.id for passage in more}
    return replace(common, statistics=statistics, matches=_by_source(ranked))


def _by_source(passages: Iterable[Passage]) -> dict[str, tuple[Passage, ...]]:
    found: dict[str, list[Passage]] = {}
    for passage in passages:
        insort(found.setdefault(passage.span.source, []), passage, key=lambda p: p.span.start)
    return {source: tuple(ranked) for source, ranked in found.items()}


def material_budget(desk: Desk, question: str) -> int:
    """Tokens of o200k that a slice may hold, so that the reader's prompt around it fits the window."""
    reader = desk.reader
    empty = ReadPrompt(
        question=question,
        output=desk.task.output,
        passages=(),
        paths={},
        tokens=0,
        max_findings=desk.briefs[question].max_findings,
        reading=desk.briefs[question].reading,
    )
    frame = reader.count(empty)
    rounded = -(-frame // _QUESTION_STEP) * _QUESTION_STEP
    room = reader.window - reserved_output(reader)
    budget = int((room - rounded) / reader.ratio())
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


async def _cut(desk: Desk, budget: int) -> list[tuple[tuple[Span, ...], int, str]]:
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


def make_slice(
    question: str,
    spans: tuple[Span, ...],
    tokens: int,
    *,
    round_: int = 1,
    item: str = "",
    parent: str | None = None,
) -> Slice:
    return Slice(
        id=slice_id(question, spans, round_, item),
        question=question,
        spans=spans,
        tokens=tokens,
        round=round_,
        parent=parent,
        item=item,
    )
