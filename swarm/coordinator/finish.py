"""From what is known to what the user reads: an answer, a digest or a table, each sentence with its citations.

A sentence that rests on no finding is dropped. When a limit or a stop came first, no call is made: the most
relevant findings are the answer so far, and it is marked `partial`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from swarm.coordinator.consolidate import consolidate_prompt, standing
from swarm.coordinator.desk import Desk
from swarm.coordinator.disputes import open_disputes
from swarm.coordinator.listen import conclude
from swarm.coordinator.plan import brief_of, said_room
from swarm.coordinator.show import best, disputes_in, is_line, view_prompt
from swarm.coordinator.work.answer import plain_text, program_text
from swarm.errors import CallFailed, LimitReached, PromptTooLong, Rejected
from swarm.observe.log import get_logger
from swarm.prompts.replies import AnswerReply, Cited
from swarm.prompts.typed import AnswerPrompt, ConsolidatePrompt, Shown
from swarm.source import Span
from swarm.store.journal import Entry
from swarm.task import Answer, Cell, Citation, Contradiction, Coverage, Finding, Statement, Status, TermStatistics
from swarm.views.pack import QUOTES

log = get_logger("finish")

_STATEMENTS_WITHOUT_MODEL = 8
_CELLS = 500  # of a table, whose findings are looked up together
_CONTRADICTIONS = 10  # shown with an answer; all of them are in the graph
NO_EVIDENCE = "The sources hold no evidence that answers this."


@dataclass
class _Draft:
    """The text so far, and the citations that it numbers."""

    desk: Desk
    statements: list[Statement] = field(default_factory=list)
    citations: list[Citation] = field(default_factory=list)
    _numbers: dict[Span, int] = field(default_factory=dict)

    def cite(self, findings: Sequence[Finding]) -> tuple[int, ...]:
        spans = dict.fromkeys(span for finding in findings for span in finding.evidence[:QUOTES])
        return tuple(dict.fromkeys(self._number(span) for span in spans))

    def say(self, text: str, findings: Sequence[Finding]) -> None:
        if findings and text.strip():
            self.statements.append(Statement(text=text.strip(), citations=self.cite(findings)))
        else:
            log.info("sentence without evidence dropped")

    def _number(self, span: Span) -> int:
        if span not in self._numbers:
            path = self.desk.paths[span.source]
            location = self.desk.library.locate(span, path)
            self._numbers[span] = len(self.citations)
            self.citations.append(
                Citation(
                    source=path,
                    source_id=span.source,
                    start=span.start,
                    end=span.end,
                    quote=self.desk.library.text(span),
                    line=location.line,
                    page=location.page,
                )
            )
        return self._numbers[span]


async def finish(desk: Desk) -> Answer:
    """The answer of the run, as good as what is known allows."""
    draft = _Draft(desk)
    short: str | None = None
    cells: tuple[Cell, ...] = ()
    answerable = True
    desk.gate.budget.finishing = True
    await conclude(desk)
    written = await program_text(desk)
    if written is not None:
        return _assemble(desk, draft, None, (), written, answerable=True)
    if desk.task.output == "table":
        cells = _table(desk, draft)
    elif desk.task.output == "graph":
        answerable = len(desk.graph) > 0
    elif desk.stopped in ("interrupted", "not approved"):
        _best_so_far(desk, draft)
    else:
        short, answerable = await _written(desk, draft)
    if desk.work is not None and not draft.statements:
        written = plain_text(desk)  # of work nothing may be citable, and there are results all the same
    return _assemble(desk, draft, short, cells, written, answerable=answerable)


async def _written(desk: Desk, draft: _Draft) -> tuple[str | None, bool]:
    """Have the model write the text. What it comes to in a few words, and whether the findings answer the
    question; where it cannot be asked, the best findings are the text."""
    try:
        if desk.recorded is not None and (reason := desk.recorded.unfinished(desk.session)) is not None:
            raise CallFailed(reason)
        if desk.task.output == "digest":
            await _digest(desk, draft)
            return None, True
        reply = await _answer(desk, draft)
        return (reply.short if reply.answerable else None), reply.answerable
    except Rejected:
        raise
    except LimitReached as error:
        if desk.stopped is None:
            desk.stop_at(error)
        await _unwritten(desk, error)
        _best_so_far(desk, draft)
    except (CallFailed, PromptTooLong) as error:
        desk.stopped = desk.stopped or str(error)
        await _unwritten(desk, error)
        _best_so_far(desk, draft)
    return None, True


async def _unwritten(desk: Desk, error: Exception) -> None:
    """Note that nobody wrote the answer: of work, which may be stopped for another reason, nothing else tells."""
    if desk.work is not None:
        entry = Entry(kind="unwritten", key=str(desk.session), body={"reason": str(error)})
        await desk.journal.append(desk.run, entry)


async def _answer(desk: Desk, draft: _Draft) -> AnswerReply:
    if not len(desk.graph):
        return AnswerReply(answerable=False)
    seen: dict[str, Finding] = {}
    said = desk.steering.said(said_room(desk.model))

    def make(items: tuple[Shown, ...], omitted: int) -> AnswerPrompt:
        seen.clear()
        seen.update((item.label, item.finding) for item in items)
        return AnswerPrompt(
            question=desk.question,
            shown=items,
            omitted=omitted,
            statistics=brief_of(desk, desk.question).statistics if desk.work is None else TermStatistics(),
            asked=tuple(desk.asked),
            disputes=disputes_in(desk, items),
            said=said,
        )

    reply = await view_prompt(desk, f"answer:{desk.basis}{desk.steering.mark}", make)
    if reply.answerable:
        _say_all(draft, reply.statements, seen)
    return reply


async def _digest(desk: Desk, draft: _Draft) -> None:
    if not len(desk.graph):
        return
    seen: dict[str, Finding] = {}
    said = desk.steering.said(said_room(desk.model))

    def make(items: tuple[Shown, ...], omitted: int) -> ConsolidatePrompt:
        seen.clear()
        items = tuple(item for item in items if not is_line(item.finding))
        seen.update((item.label, item.finding) for item in items)
        prompt = consolidate_prompt(desk, items, desk.task.words, final=True, omitted=omitted)
        return replace(prompt, said=said)

    reply = await view_prompt(
        desk, f"digest:{desk.basis}{desk.steering.mark}", make, lambda tokens: standing(desk, tokens)
    )
    _say_all(draft, reply.statements, seen)


def _say_all(draft: _Draft, statements: Sequence[Cited], seen: Mapping[str, Finding]) -> None:
    for statement in statements:
        draft.say(statement.text, [seen[name] for name in dict.fromkeys(statement.findings) if name in seen])


def _best_so_far(desk: Desk, draft: _Draft) -> None:
    for finding in best(desk, _STATEMENTS_WITHOUT_MODEL):
        draft.say(finding.claim, [finding])


def _table(desk: Desk, draft: _Draft) -> tuple[Cell, ...]:
    """One cell for each item and question: the most relevant finding among the slices of that item."""
    tops: dict[tuple[str, str], Finding | None] = {}
    places = [(id_, (one.item, one.question)) for id_, one in desk.slices.items() if id_ not in desk.split]
    for start in range(0, len(places), _CELLS):
        some = places[start : start + _CELLS]
        ids = [finding for id_, _ in some for finding in desk.items.get(id_, ())]
        known = {finding.id: finding for finding in desk.graph.findings(desk.graph.known(ids))}
        for id_, place in some:
            found = [known[finding] for finding in desk.items.get(id_, ()) if finding in known]
            ranked = [*found, *filter(None, [tops.get(place)])]
            tops[place] = min(ranked, key=lambda finding: (-finding.relevance, finding.id)) if ranked else None
    cells = []
    for (item, question), finding in tops.items():
        text = finding.claim if finding else ""
        cells.append(
            Cell(item=item, question=question, text=text, citations=draft.cite([finding]) if finding else ())
        )
    return tuple(cells)


def coverage(desk: Desk) -> Coverage:
    """The ledger. Every character of a source is in one leaf slice of the first round, so the sums add up; with
    several questions a character counts as read when it was read for all of them."""
    if desk.work is not None:
        return _given(desk, desk.work.given)
    unread: set[Span] = set()
    for id_, slice_ in desk.slices.items():
        if slice_.round == 1 and id_ not in desk.split and id_ not in desk.done:
            unread.update(slice_.spans)
    total, skipped = desk.corpus.chars, sum(skip.chars for skip in desk.corpus.skipped)
    not_read = _union(unread) if desk.slices else total - skipped
    return Coverage(
        sources=len(desk.corpus.sources),
        chars_total=total,
        chars_read=total - skipped - not_read,
        chars_skipped=skipped,
        chars_unread=not_read,
        skipped=desk.corpus.skipped,
    )


def _given(desk: Desk, given: set[str]) -> Coverage:
    """The ledger of work: what was given to a sub-agent counts as read."""
    total, skipped = desk.corpus.chars, sum(skip.chars for skip in desk.corpus.skipped)
    read = sum(source.chars for source in desk.corpus.sources if source.id in given)
    return Coverage(
        sources=len(desk.corpus.sources),
        chars_total=total,
        chars_read=read,
        chars_skipped=skipped,
        chars_unread=total - skipped - read,
        skipped=desk.corpus.skipped,
    )


def _union(spans: set[Span]) -> int:
    """Characters in any of the spans."""
    chars = 0
    source, end = "", 0
    for span in sorted(spans):
        if span.source != source:
            source, end = span.source, 0
        chars += max(0, span.end - max(span.start, end))
        end = max(end, span.end)
    return chars


def _contradictions(desk: Desk, draft: _Draft) -> tuple[Contradiction, ...]:
    """What the sources disagree on, both sides with their evidence, as far as nothing has settled it."""
    found = []
    for relation in open_disputes(desk, _CONTRADICTIONS):
        sides = desk.graph.findings([relation.one, relation.other])
        found.append(
            Contradiction(
                claims=tuple(finding.claim for finding in sides),
                citations=tuple(draft.cite([finding]) for finding in sides),
                findings=tuple(finding.id for finding in sides),
            )
        )
    return tuple(found)


def _assemble(
    desk: Desk,
    draft: _Draft,
    short: str | None,
    cells: tuple[Cell, ...],
    written: str | None,
    *,
    answerable: bool,
) -> Answer:
    ledger = coverage(desk)
    has_text = bool(written or draft.statements) or any(cell.citations for cell in cells)
    has_text = has_text or desk.task.output == "graph"
    status: Status = "answered" if has_text and (answerable or written) else "no_evidence"
    unread = ledger.chars_unread and desk.work is None  # work reads what its plan asks for
    if desk.stopped is not None or desk.failures or desk.dropped or unread:
        status = "partial"
    text = " ".join(
        statement.text + "".join(f" [{number + 1}]" for number in statement.citations)
        for statement in draft.statements
    )
    if written:
        text = written
    elif desk.task.output == "graph":
        text = ""
    elif status == "no_evidence":
        text = NO_EVIDENCE
    contradictions = _contradictions(desk, draft)
    return Answer(
        run_id=desk.run,
        status=status,
        text=text,
        short=short,
        statements=tuple(draft.statements),
        citations=tuple(draft.citations),
        cells=cells,
        contradictions=contradictions,
        findings=desk.graph.claims,
        rejected_quotes=desk.graph.rejected,
        coverage=ledger,
        window_limit=desk.window,
        window_peak=desk.gate.peak,
        usage=desk.spent,
        slices=len(desk.slices) - len(desk.split) if desk.work is None else desk.work.done,
        rounds=desk.round if desk.work is None else desk.work.root.plannings,
        failures=(*desk.failures.values(), *desk.dropped.values()),
        stopped=desk.stopped,
        limit=desk.limit,
        graph=desk.graph.fingerprint(),
        elapsed_seconds=desk.clock() - desk.began,
    )
