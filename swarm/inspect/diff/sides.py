"""One run in figures, for a comparison: what it read, found, spent and took.

Sums of what the journal, the graph and the plan tell; nothing is judged. Characters are counted as the ledger of
an answer counts them where there is one.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from itertools import islice

from swarm.graph.disputes import disputed
from swarm.inspect.diff.answers import sentences
from swarm.inspect.diff.parts import CostRow, Side
from swarm.inspect.follow import Cost, Follower
from swarm.inspect.opened import Opened
from swarm.source import Span
from swarm.task import Answer

_SLOTS = 2_000  # in which contradictions are looked for
_CITED = (
    "WITH spans AS (SELECT source, start, end, max(end) OVER (PARTITION BY source ORDER BY start, end "
    "ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS before FROM evidence WHERE finding BETWEEN ? AND ?) "
    "SELECT coalesce(sum(max(0, end - max(start, coalesce(before, 0)))), 0) FROM spans"
)


def side_of(opened: Opened, followed: Follower, answer: Answer | None) -> Side:
    """The figures of a run. It costs as much as the run is long."""
    plan, calls, spent = followed.plan, followed.calls, followed.spent
    if followed.live or followed.status == "interrupted":
        answer = None  # it went on since
    graph = opened.graph
    corpus = plan.corpus
    chars = corpus.chars if corpus is not None else 0
    read = answer.coverage.chars_read if answer is not None else _read(followed)
    skipped = sum(skip.chars for skip in corpus.skipped) if corpus is not None else 0
    open_ = list(islice(disputed(graph, _SLOTS), _SLOTS))
    busy = _busy(followed)
    places = followed.places[1]
    filled = [row for row in range(len(calls)) if calls.room[row]]
    return Side(
        run=opened.run,
        status=followed.status,
        why=followed.why or "",
        sources=len(corpus.sources) if corpus is not None else 0,
        chars=chars,
        read=read,
        cited=int(graph.database.read(_CITED, graph.range)[0][0]) if graph.num else 0,
        unread=answer.coverage.chars_unread if answer is not None else max(0, chars - skipped - read),
        claims=graph.claims,
        findings=len(graph),
        rejected=graph.rejected,
        contradictions=len(open_),
        more_contradictions=len(open_) >= _SLOTS,
        sentences=sentences(answer),
        slices=len(plan.slices) - plan.states["split"],
        slices_done=plan.states["done"],
        slices_failed=plan.states["failed"],
        rounds=max((branch.round for branch in plan.branches.values()), default=0),
        calls=spent.calls,
        calls_failed=sum(cost.failed for cost in followed.costs.values()),
        input_tokens=spent.input_tokens,
        output_tokens=spent.output_tokens,
        cached_tokens=spent.cached_tokens,
        cost_usd=spent.cost_usd,
        worked_seconds=_worked(followed),
        places=places,
        mean_busy=busy,
        idle_share=None if busy is None else max(0.0, 1 - busy / places),
        window=max((calls.room[row] for row in filled), default=0),
        fullest=max((calls.counted[row] for row in filled), default=0),
        fill=max((calls.counted[row] / calls.room[row] for row in filled), default=None),
        mean_fill=sum(calls.counted[row] / calls.room[row] for row in filled) / len(filled) if filled else None,
    )


def cost_rows(a: Follower, b: Follower) -> tuple[CostRow, ...]:
    """The cost of both by model and kind of prompt, what cost or took most first."""
    one, other = _by_kind(a), _by_kind(b)
    none = Cost()
    rows = []
    for model, kind in dict.fromkeys([*one, *other]):
        mine, theirs = one.get((model, kind), none), other.get((model, kind), none)
        rows.append(
            CostRow(
                model=model,
                kind=kind,
                calls_a=mine.calls,
                calls_b=theirs.calls,
                failed_a=mine.failed,
                failed_b=theirs.failed,
                tokens_a=mine.input_tokens + mine.output_tokens,
                tokens_b=theirs.input_tokens + theirs.output_tokens,
                cost_usd_a=mine.cost_usd,
                cost_usd_b=theirs.cost_usd,
            )
        )
    return tuple(
        sorted(
            rows, key=lambda row: (-(row.cost_usd_a + row.cost_usd_b), -(row.tokens_a + row.tokens_b), row.model)
        )
    )


def _by_kind(followed: Follower) -> dict[tuple[str, str], Cost]:
    found: defaultdict[tuple[str, str], Cost] = defaultdict(Cost)
    for (model, kind, _), cost in followed.costs.items():
        one = found[model, kind]
        one.calls += cost.calls
        one.failed += cost.failed
        one.input_tokens += cost.input_tokens
        one.output_tokens += cost.output_tokens
        one.cached_tokens += cost.cached_tokens
        one.cost_usd += cost.cost_usd
    return found


def _read(followed: Follower) -> int:
    """Characters in slices that were done."""
    return _union(
        span for seen in followed.plan.slices.values() if seen.state == "done" for span in seen.slice.spans
    )


def _union(spans: Iterable[Span]) -> int:
    chars = 0
    source, end = "", 0
    for span in sorted(set(spans)):
        if span.source != source:
            source, end = span.source, 0
        chars += max(0, span.end - max(span.start, end))
        end = max(end, span.end)
    return chars


def _worked(followed: Follower) -> float:
    """Seconds in which a process was at the run: from the beginning of each session to the last that is known of
    it."""
    begun = [session.at for session in followed.sessions]
    ends = [*begun[1:], float("inf")][: len(begun)]
    last = [at for at in followed.calls.ended if at]
    last += [seen.ended for seen in followed.plan.slices.values() if seen.ended is not None]
    last.append(followed.last)
    return sum(
        max([at for at in last if start <= at < end], default=start) - start
        for start, end in zip(begun, ends, strict=True)
    )


def _busy(followed: Follower) -> float | None:
    """How many slices were worked at once, on average, from the first that was begun to the last that ended; times
    in which none was at work left out, and planners, who wait for their branches."""
    worked = [
        (seen.begun, seen.ended)
        for seen in followed.plan.slices.values()
        if seen.begun is not None and seen.ended is not None and seen.ended > seen.begun and not seen.plans
    ]
    if not worked:
        return None
    covered, until = 0.0, 0.0
    for begun, ended in sorted(worked):
        covered += max(0.0, ended - max(begun, until))
        until = max(until, ended)
    return sum(ended - begun for begun, ended in worked) / covered
