"""What the records of a run mean: how corpus, plans, splits and decisions are written down and found again.

    task        what was asked (key: empty)
    session     each time that the run began or went on: models, limits, concurrency (key: 1, 2, …)
    corpus      the sources, by the hash of their content, and what was skipped
    plan        the slices of a round, and what its readers are told (key: the round)
    unmatched   slices in which the search found nothing
    split       a slice that was too long for the window, and its halves (key: the slice)
    found       what an index of the user's found for a question, or why it did not (key: a hash of the question)
    closer      a slice whose reader had more to say, and its halves, which are read as well
    report      what a slice was found to hold
    failure     why one could not be worked (key: the slice and the session)
    room        tokens that a view was given: it depends on what models have told of themselves until then
    pairs       findings of a round that a model is to judge: they may contradict, or say the same
    verdict     what a model judged of two findings
    decision    that the findings of a round are enough, or what to ask on
    summary     what stands for a group of findings
    instruction what a person added while the run was at work, and the slices under way then (key: its own)
    request     what else a person asked: to pause, to go on, to stop, to cancel a slice (key: its own)
    dropped     a slice that a person cancelled (key: the slice)
    removal     a source that was unlearnt
    job         how a task was begun in the background, and how a process left it (`embed/recorded.py`)
    answer      what a session came to (key: the session)

Of work (`coordinator/work/`):

    slice       an order that was let in (key: its name)
    asks        what an order asks, so that two that ask the same are one
    planned     what a planner wanted, what of it was let in, refused and dropped (key: its branch and a number)
    pulled      that orders of a program were taken (key: how many by now)
    judged      a verdict on a branch, and the measures then (key: the branch and a number)
    dropped     a slice that is not worked any more (key: its name)
    handoff     what a sub-agent left to its successor (key: the slice and the leg)
    kept, named a text that the run made, and each name under which it is cited
    artifact    the text that goes by a name
    checked     what a program found wrong with a result (key: the slice and the reply)
    looked      what a sub-agent asked to have shown to its successor
    program     what there is of a program beside code (key: the session)
    tools       what models are told of a role's tools (key: the session, its part in the program, its name)
    tool        what a tool gave (key: the slice, and the place of the call)
    ran         what the user's code came to (key: the slice and the try)
    landing     the commit that a branch is about to be moved to (key: the slice, the try and a number)
    landed      what became of work that was to land (key: the slice and the try)
    unwritten   why nobody wrote the answer (key: the session)

Sources are named in a plan by their place in the corpus, so that a plan takes some thirty bytes a slice.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter

from swarm.coordinator.steering import Instruction
from swarm.graph.identity import slice_id
from swarm.graph.nodes import Summary, Verdict
from swarm.prompts.replies import PlanReply
from swarm.source import Corpus, Skip, Source, Span
from swarm.store.journal import Entry, Journal, Record
from swarm.task import Answer, Report, Slice, Task

REPORT: TypeAdapter[Report] = TypeAdapter(Report)
SUMMARY: TypeAdapter[Summary] = TypeAdapter(Summary)
VERDICT: TypeAdapter[Verdict] = TypeAdapter(Verdict)
ANSWER: TypeAdapter[Answer] = TypeAdapter(Answer)
TASK: TypeAdapter[Task] = TypeAdapter(Task)


INSTRUCTION, REQUEST, DROPPED = "instruction", "request", "dropped"


@dataclass(frozen=True, kw_only=True, slots=True)
class Read:
    """A slice as older versions kept it beside its report, with the sources that were cited from it."""

    slice: Slice
    sources: tuple[Source, ...]


READ: TypeAdapter[Read] = TypeAdapter(Read)

Half = tuple[tuple[Span, ...], int]
"""The spans of a half, and its tokens in o200k."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """A round as it was planned. `most` is how many findings a reader may give, `budget` the o200k tokens of
    material of a slice. `settling` names the contradictions that questions are to settle, by the ids of their
    findings."""

    round: int
    slices: tuple[Slice, ...]
    advice: PlanReply
    budget: int
    most: int
    asked: tuple[str, ...] = ()
    settling: tuple[tuple[str, str, str], ...] = ()


def corpus_entry(corpus: Corpus) -> Entry:
    sources = [[one.id, one.path, one.media, one.chars, one.bytes] for one in corpus.sources]
    skipped = [[skip.source, skip.reason, skip.chars, skip.bytes] for skip in corpus.skipped]
    return Entry(kind="corpus", key="", body={"sources": sources, "skipped": skipped})


def corpus_of(journal: Journal, run: str) -> Corpus | None:
    """The corpus that a run reads, as it was when the run began; None where that was not recorded yet."""
    record = journal.record(run, "corpus", "")
    return corpus_from(record.body) if record is not None else None


def corpus_from(body: Mapping[str, Any]) -> Corpus:
    """The corpus as it stands in its record."""
    return Corpus(
        sources=tuple(
            Source(id=id_, path=path, media=media, chars=chars, bytes=size)
            for id_, path, media, chars, size in body["sources"]
        ),
        skipped=tuple(
            Skip(source=source, reason=reason, chars=chars, bytes=size)
            for source, reason, chars, size in body["skipped"]
        ),
    )


def plan_entry(plan: Plan, corpus: Corpus) -> Entry:
    places = {source.id: place for place, source in enumerate(corpus.sources)}
    questions = list(dict.fromkeys(slice_.question for slice_ in plan.slices))
    numbers = {question: number for number, question in enumerate(questions)}
    slices = [
        [numbers[one.question], one.tokens, one.item, [[places[s.source], s.start, s.end] for s in one.spans]]
        for one in plan.slices
    ]
    body = {
        "advice": plan.advice.model_dump(),
        "budget": plan.budget,
        "most": plan.most,
        "asked": list(plan.asked),
        "settling": [list(pair) for pair in plan.settling],
        "questions": questions,
        "slices": slices,
    }
    return Entry(kind="plan", key=str(plan.round), body=body)


def plans_of(journal: Journal, run: str, corpus: Corpus) -> list[Plan]:
    """The rounds that were planned so far, in their order."""
    return [plan_of(int(record.key), record.body, corpus) for record in journal.records(run, "plan")]


def plan_of(round_: int, body: Mapping[str, Any], corpus: Corpus) -> Plan:
    """A round as it stands in its record."""
    ids = [source.id for source in corpus.sources]
    questions = body["questions"]
    slices = tuple(
        make_slice(
            questions[number],
            tuple(Span(ids[place], start, end) for place, start, end in spans),
            tokens,
            round_=round_,
            item=item,
        )
        for number, tokens, item, spans in body["slices"]
    )
    return Plan(
        round=round_,
        slices=slices,
        advice=PlanReply.model_validate(body["advice"]),
        budget=body["budget"],
        most=body["most"],
        asked=tuple(body["asked"]),
        settling=tuple((question, one, other) for question, one, other in body["settling"]),
    )


def instruction_of(key: str, body: Mapping[str, Any]) -> Instruction:
    return Instruction(id=key, text=body["text"], under_way=frozenset(body["under_way"]))


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


def halves_entry(kind: str, slice_: Slice, halves: Iterable[Half]) -> Entry:
    """That a slice is succeeded by its halves (`split`), or that they are read as well (`closer`)."""
    body = {"halves": [[[list(span) for span in spans], tokens] for spans, tokens in halves]}
    return Entry(kind=kind, key=slice_.id, body=body)


def halves_of(body: dict[str, Any]) -> list[Half]:
    """Stores of an older version did not count the tokens of halves."""
    if "spans" in body:
        return [(tuple(Span(*span) for span in spans), 0) for spans in body["spans"]]
    return [(tuple(Span(*span) for span in spans), tokens) for spans, tokens in body["halves"]]


def children(slice_: Slice, halves: Iterable[Half]) -> list[Slice]:
    """The slices that halves are."""
    return [
        make_slice(slice_.question, spans, tokens, round_=slice_.round, item=slice_.item, parent=slice_.id)
        for spans, tokens in halves
    ]


def slices_of(journal: Journal, run: str, corpus: Corpus) -> Iterator[Slice]:
    """All slices of a run, parents before their halves."""
    known: dict[str, Slice] = {}
    for plan in plans_of(journal, run, corpus):
        known |= {slice_.id: slice_ for slice_ in plan.slices}
    yield from known.values()
    for record in cuts_of(journal, run):
        if (parent := known.get(record.key)) is not None:
            made = children(parent, halves_of(record.body))
            known |= {child.id: child for child in made}
            yield from made


def cuts_of(journal: Journal, run: str) -> list[Record]:
    """The records of slices that were cut into halves, for whichever reason, parents before their halves."""
    records = [*journal.records(run, "split"), *journal.records(run, "closer")]
    return sorted(records, key=lambda record: record.seq)
