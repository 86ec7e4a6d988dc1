"""Why a run says what it says: from a sentence down to findings, reports, slices, calls and bytes, and its cost.

    with open_run("last") as opened:
        told = why(opened, "The mill burnt in 1812.")
        print(told.found, [finding.claim for finding in told.findings], told.cost)

It costs as much as the run is long. What the journal does not tell is not guessed: where a way ends, it is said.
The prompts are not kept; `swarm.inspect.why.prompts` makes them again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from math import inf

from pydantic import ValidationError

from swarm.coordinator.records import ANSWER
from swarm.errors import UsageError
from swarm.inspect.follow import Follower
from swarm.inspect.opened import Opened
from swarm.inspect.why import calls
from swarm.inspect.why.down import (
    Found,
    by_footnote,
    by_place,
    by_words,
    grounds,
    quoted,
    reported_by,
    statements_on,
)
from swarm.inspect.why.match import chosen, likeness, matches, plain
from swarm.inspect.why.parts import Ground, Match, Quote, Said, Step, Why
from swarm.inspect.why.steps import judged_between, slices_that_say, step_of
from swarm.source import Span
from swarm.task import Answer, Citation

LIMIT = 6
"""Of each kind that is told."""
_HIGHEST = 20  # levels of summaries
_ALWAYS = (0.0, inf)


@dataclass(kw_only=True)
class _Way:
    """A way down, as far as it is found. `text` is what findings are held against."""

    opened: Opened
    followed: Follower
    answer: Answer | None
    found: Match
    limit: int
    text: str
    cited: list[Quote] = field(default_factory=list)
    nums: Found = field(default_factory=dict)
    slices: list[str] = field(default_factory=list)
    ends: list[str] = field(default_factory=list)


def why(opened: Opened, text: str, *, followed: Follower | None = None, limit: int = LIMIT) -> Why:
    """The way down from a text: a sentence of the answer or a part of it, its number, a citation such as `[3]`, a
    cell, a finding or the beginning of its id, or a slice's name. `followed` is the run as it was followed, where
    somebody did; `limit` is how many of each kind are told.

    Raises:
        UsageError: there is nothing to look for.
        StoreError: the store cannot be read.
    """
    if not text.strip():
        raise UsageError("say what to look for: a sentence of the answer, its number, or a finding")
    if followed is None:
        followed = Follower(opened)
        followed.catch_up()
    answer = answer_of(followed)
    found, others = chosen(matches(opened, followed, answer, text))
    if found is None:
        said = _nothing(answer)
        return Why(run=opened.run, asked=text, found=None, others=others, ends=said)
    way = _Way(opened=opened, followed=followed, answer=answer, found=found, limit=limit, text=found.text)
    _BEGIN[found.what](way)
    return _told(way, text, others)


def _nothing(answer: Answer | None) -> tuple[str, ...]:
    if answer is None:
        return ("the run has no answer",)
    return ("the run found no evidence",) if answer.status == "no_evidence" else ()


def answer_of(followed: Follower) -> Answer | None:
    """The last answer of a run; None where there is none, or it is another version's."""
    try:
        return ANSWER.validate_python(followed.answer) if followed.answer is not None else None
    except ValidationError:
        return None


# From what was found to findings


def _sentence(way: _Way) -> None:
    assert way.answer is not None
    _cite(way, way.answer.statements[way.found.place].citations)
    if not way.cited:
        way.ends.append("it cites nothing")


def _cell(way: _Way) -> None:
    assert way.answer is not None
    cell = way.answer.cells[way.found.place]
    _cite(way, cell.citations)
    if not way.cited:
        way.ends.append(f"it is empty: nothing that was found of {cell.item} says it")
        slices = (seen.slice for seen in way.followed.plan.slices.values())
        way.slices = [one.id for one in slices if (one.item, one.question) == (cell.item, cell.question)]


def _citation(way: _Way) -> None:
    assert way.answer is not None
    _cite(way, (way.found.place,))
    uses = [one.text for one in way.answer.statements if way.found.place in one.citations]
    uses += [one.text for one in way.answer.cells if way.found.place in one.citations]
    way.text = uses[0] if uses else way.text


def _short(way: _Way) -> None:
    """The short answer has no citations of its own: those of the sentence that says it best are told."""
    assert way.answer is not None
    said = [(likeness(way.text, one.text), -place) for place, one in enumerate(way.answer.statements)]
    if not said:
        way.ends.append("the short answer has no citation, and no sentence says it")
        return
    place = -max(said)[1]
    way.ends.append(f"the short answer has no citations of its own: these are those of sentence {place + 1}")
    _cite(way, way.answer.statements[place].citations)
    way.text = way.answer.statements[place].text


def _cite(way: _Way, numbers: Iterable[int]) -> None:
    assert way.answer is not None
    citations = [(number, way.answer.citations[number]) for number in numbers]
    way.cited += [quoted(way.opened, one, number + 1) for number, one in citations]
    way.nums |= by_place(way.opened, [_span(one) for _, one in citations])
    if citations and not way.nums:
        way.ends.append("no finding rests on these words any more: what it rested on may have been unlearnt")


def _result(way: _Way) -> None:
    """A sentence of a text that no citation was recorded of: footnotes, results and claims."""
    assert way.answer is not None
    way.ends.append("the text was written as a whole, and no citation of its sentences is recorded")
    way.nums, way.cited = by_footnote(way.opened, way.answer, way.found.text)
    way.slices = slices_that_say(way.opened, way.followed, plain(way.found.text), way.limit)
    if not way.nums:
        way.nums = by_words(way.opened, way.found.text)
    if any(not quote.held for quote in way.cited):
        way.ends.append(_elsewhere(way))
    elif not way.nums:
        way.ends.append("no finding of this run says it: what is told ends with the results of its slices")


def _elsewhere(way: _Way) -> str:
    """Whether another run of the store has what a footnote names."""
    told = "its footnotes are not of findings of this run"
    path = next(quote for quote in way.cited if not quote.held).where.rpartition(":")[0]
    sql = (
        "SELECT DISTINCT g.run FROM nodes AS n JOIN graphs AS g ON g.num = n.num >> 32 "
        "WHERE n.kind <> 'finding' AND n.kind = 'source' AND n.text = ? AND g.run <> ? ORDER BY g.num DESC LIMIT 1"
    )
    for (run,) in way.opened.graph.database.read(sql, (path, way.opened.run)):
        return f"{told}; the run {run} of this store read {path}: ask it"
    return told


def _finding(way: _Way) -> None:
    row = way.opened.graph.row(way.found.id)
    if row is None:
        return
    way.nums = {way.opened.graph.leader(row.num): "itself"}
    way.slices = []
    if way.answer is None:
        return
    (finding,) = way.opened.graph.findings(way.opened.graph.rows(way.nums))
    spans = set(finding.evidence)
    numbers = [number for number, one in enumerate(way.answer.citations) if _span(one) in spans]
    said = enumerate(way.answer.statements, start=1)
    using = [str(place) for place, one in said if set(numbers).intersection(one.citations)]
    way.ends.append(
        f"the answer rests on its words in sentence {', '.join(using[: way.limit])}"
        if using
        else "no sentence of the answer cites its words"
    )


def _slice(way: _Way) -> None:
    way.slices = [way.found.id]
    way.nums = reported_by(way.opened, way.found.id)


_BEGIN = {
    "sentence": _sentence, "cell": _cell, "citation": _citation, "short": _short, "result": _result,
    "finding": _finding, "slice": _slice,
}  # fmt: skip


def _span(citation: Citation) -> Span:
    return Span(citation.source_id, citation.start, citation.end)


# From findings to slices, summaries and calls


def _told(way: _Way, asked: str, others: tuple[Match, ...]) -> Why:
    opened, followed = way.opened, way.followed
    findings, more = grounds(opened, way.nums, way.text, way.limit)
    ids = list(dict.fromkeys([*way.slices, *(id_ for one in findings for id_ in one.slices)]))
    corpus = followed.plan.corpus
    paths = {one.id: one.path for one in corpus.sources} if corpus is not None else {}
    steps = [step for id_ in ids[: way.limit] if (step := step_of(opened, followed, id_, paths)) is not None]
    summaries = list(_summaries(way, findings))
    shared = _shared(way, steps)
    rows = calls.rows_of(followed.calls, [*(step.id for step in steps), *shared, "consolidate"])
    summaries, wrote = _written(way, summaries, rows.pop("consolidate", []))
    steps = [calls.with_calls(step, followed.calls, rows.get(step.id, []), way.limit) for step in steps]
    asking = {asker: calls.between(followed.calls, rows.get(asker, []), when) for asker, when in shared.items()}
    own = [*(row for step in steps for row in rows.get(step.id, [])), *wrote]
    listed = [*(row for step in steps for row in rows.get(step.id, [])[: way.limit]), *wrote]
    listed += [row for some in asking.values() for row in some[-way.limit :]]
    if unpaid := [step.name for step in steps if not rows.get(step.id)]:
        way.ends.append(f"no call of this run for {', '.join(unpaid)}: the replies were in the store before it")
    return Why(
        run=opened.run,
        asked=asked,
        found=way.found,
        others=others,
        cited=tuple(way.cited),
        findings=findings,
        more_findings=more,
        steps=tuple(steps),
        more_steps=max(0, len(ids) - way.limit),
        summaries=tuple(summaries[: way.limit]),
        calls=calls.told(opened, followed, list(dict.fromkeys(listed)), set(own)),
        writers=tuple(followed.calls.keys[row].hex() for row in asking.get("finish", [])),
        cost=calls.share_of(followed, set(own), asking),
        ends=tuple(way.ends),
    )


def _summaries(way: _Way, findings: Iterable[Ground]) -> Iterator[Said]:
    """The summaries above these findings, level by level, with the sentences that rest on them."""
    graph = way.opened.graph
    below = [one.id for one in findings]
    ids = [id_ for one in findings for id_ in one.summaries]
    for _ in range(_HIGHEST):
        above: list[str] = []
        for id_ in dict.fromkeys(ids):
            row = graph.row(id_)
            if row is None or row.kind != "summary":
                continue
            said = [text for one in below for text in statements_on(way.opened, id_, one)]
            summary = graph.summary(row.num)
            yield Said(id=id_, level=summary.level, text=said[0] if said else "", findings=summary.findings)
            above += _over(way.opened, row.num)
        below, ids = ids, above
        if not ids:
            return


def _over(opened: Opened, num: int) -> list[str]:
    sql = (
        "SELECT n.id FROM edges AS e JOIN nodes AS n ON n.num = e.source WHERE e.target = ? AND e.kind = 7 "
        "AND n.state = 'live'"
    )
    return [id_ for (id_,) in opened.graph.database.read(sql, (num,))]


def _written(way: _Way, summaries: list[Said], rows: list[int]) -> tuple[list[Said], list[int]]:
    """Each summary with the call that wrote it, and the rows of these calls."""
    told: list[Said] = []
    wrote: list[int] = []
    for one in summaries[: way.limit]:
        record = way.opened.journal.record(way.opened.run, "summary", one.id)
        whole = way.opened.graph.row(one.id)
        text = one.text or (whole.text if whole is not None else "")
        key = ""
        if rows and record is not None:
            key = calls.who_wrote(way.opened, way.followed.calls, rows, replace(one, text=text), record.at)
        told.append(replace(one, call=key))
        if key and (row := way.followed.calls.row_of(key)) is not None:
            wrote.append(row)
    return told, list(dict.fromkeys(wrote))


def _shared(way: _Way, steps: list[Step]) -> dict[str, tuple[float, float]]:
    """Who decided what is on the way and is not of it alone: planners, judges, and whoever wrote the answer. With
    the stretch of time, in seconds since the epoch, in which their calls that matter ended."""
    found: dict[str, tuple[float, float]] = {}
    for step in steps:
        for reason in step.reasons:
            if reason.asker == "judge":
                since, until = judged_between(way.opened, step.round, step.asked)
                before = found.get("judge", (since, until))
                found["judge"] = min(since, before[0]), max(until, before[1])
            elif reason.asker:
                found[reason.asker] = _ALWAYS
    if way.found.what not in ("finding", "slice"):
        found["finish"] = _ALWAYS
    return found


__all__ = ["LIMIT", "Why", "answer_of", "why"]
