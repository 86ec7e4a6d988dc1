"""Two runs side by side as lines of text: what matters in a sentence first, then part by part, in eighty columns
or little more.

What comes from sources and models is cleaned and cut.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Sequence

from swarm.cli.plain import dollars, number, one_line, plural, seconds
from swarm.inspect.diff.parts import Answers, CostRow, Difference, Findings, OfSource, Side, Sources
from swarm.inspect.why.parts import Near

_WIDTH = 88
_NAME, _CELL = 24, 20
_ID = 12
_SAME = 0.005  # of a figure: less is no change to tell

Row = tuple[str, str, str, str]


def lines(told: Difference) -> Iterator[str]:
    """The comparison."""
    yield from _wrapped(f"A  {told.a.run}  {told.a.status}", 0)
    yield from _wrapped(f"B  {told.b.run}  {told.b.status}", 0)
    yield ""
    yield from _wrapped(f"{head(told)}.", 0)
    if told.settings:
        yield ""
        yield "What was asked, and with what"
        yield from _table(
            (one_line(s.name, _NAME), one_line(s.a) or "-", one_line(s.b) or "-", "") for s in told.settings
        )
    yield ""
    yield "In figures"
    yield from _table(_figures(told.a, told.b))
    yield from _answers(told.answers)
    yield from _findings(told.findings)
    yield from _sources(told.sources, told.findings)
    yield from _costs(told.costs)
    yield ""
    for limit in told.limits:
        yield from _wrapped(f"note: {one_line(limit)}", 0)


def head(told: Difference) -> str:
    """What is different, in a sentence."""
    found = told.findings
    parts = [_found(found.only_a, found.only_b)]
    parts.append(f"cost {_change(told.a.cost_usd, told.b.cost_usd, 'more', 'less')}")
    if not told.a.cost_usd and not told.b.cost_usd:
        one, other = (side.input_tokens + side.output_tokens for side in (told.a, told.b))
        parts[-1] = f"used {_change(one, other, 'more', 'fewer')} tokens".replace(
            "the same tokens", "as many tokens"
        )
    parts.append(f"took {_times(told.a.worked_seconds, told.b.worked_seconds)}")
    return "; ".join(parts)


def _found(only_a: int, only_b: int) -> str:
    if not only_a and not only_b:
        return "B found what A found"
    more = f"{only_b:,} that A did not" if only_b else "nothing that A did not"
    return f"B found {more}" + (f", and not {only_a:,} that A did" if only_a else " and all that A did")


def _change(a: float, b: float, more: str, less: str) -> str:
    if abs(a - b) <= _SAME * max(a, b):
        return "the same"
    if not a or not b:
        return (
            f"{dollars(b)} against {dollars(a)}" if more == "more" and less == "less" else f"{b:,} against {a:,}"
        )
    if b > 2 * a:
        return f"{b / a:.1f}x as much" if less == "less" else f"{b / a:.1f}x as many"
    return f"{abs(b / a - 1):.0%} {more if b > a else less}"


def _times(a: float, b: float) -> str:
    if not a or not b:
        return f"{seconds(b)} against {seconds(a)}"
    return (
        "as long"
        if abs(a - b) <= _SAME * max(a, b)
        else f"{b / a:.1f}x as long"
        if b / a >= 0.1
        else "a fraction of it"
    )


def _figures(a: Side, b: Side) -> Iterator[Row]:
    yield ("", "A", "B", "")
    yield _row("sentences", a.sentences, b.sentences)
    yield _row("claims", a.claims, b.claims)
    yield _row("quotes rejected", a.rejected, b.rejected)
    more = ["+" if side.more_contradictions else "" for side in (a, b)]
    yield ("contradictions, open", f"{a.contradictions:,}{more[0]}", f"{b.contradictions:,}{more[1]}", "")
    yield _row("sources", a.sources, b.sources)
    yield _row("characters", a.chars, b.chars)
    yield ("  read", _share(a.read, a.chars), _share(b.read, b.chars), "")
    yield ("  cited by findings", _share(a.cited, a.chars), _share(b.cited, b.chars), "")
    yield ("  not read", _share(a.unread, a.chars), _share(b.unread, b.chars), "")
    yield _row("slices", a.slices, b.slices)
    yield (
        "  done, failed",
        f"{a.slices_done:,}, {a.slices_failed:,}",
        f"{b.slices_done:,}, {b.slices_failed:,}",
        "",
    )
    yield _row("rounds", a.rounds, b.rounds)
    yield _row("calls", a.calls, b.calls)
    yield ("  tries that failed", f"{a.calls_failed:,}", f"{b.calls_failed:,}", "")
    yield _row("tokens in", a.input_tokens, b.input_tokens)
    yield (
        "  of them cached",
        _share(a.cached_tokens, a.input_tokens),
        _share(b.cached_tokens, b.input_tokens),
        "",
    )
    yield _row("tokens out", a.output_tokens, b.output_tokens)
    yield ("cost", dollars(a.cost_usd), dollars(b.cost_usd), _relative(a.cost_usd, b.cost_usd))
    yield (
        "time at work", seconds(a.worked_seconds), seconds(b.worked_seconds),
        _relative(a.worked_seconds, b.worked_seconds),
    )  # fmt: skip
    yield ("places busy, mean", _busy(a), _busy(b), "")
    yield ("places idle", _part(a.idle_share), _part(b.idle_share), "")
    yield ("window", f"{a.window:,}", f"{b.window:,}", "")
    yield ("  fullest call", f"{a.fullest:,} {_part(a.fill)}", f"{b.fullest:,} {_part(b.fill)}", "")
    yield ("  mean fill", _part(a.mean_fill), _part(b.mean_fill), "")


def _row(name: str, a: float, b: float) -> Row:
    return (name, number(a), number(b), _relative(a, b))


def _relative(a: float, b: float) -> str:
    if a == b or not a or not b or abs(a - b) <= _SAME * max(a, b):
        return ""
    return f"{b / a:.1f}x" if b > 2 * a else f"{b / a - 1:+.0%}"


def _share(part: float, whole: float) -> str:
    return f"{number(part)} ({part / whole:.0%})" if whole else number(part)


def _part(share: float | None) -> str:
    return "-" if share is None else f"{share:.0%}"


def _busy(side: Side) -> str:
    return "-" if side.mean_busy is None else f"{side.mean_busy:.1f} of {side.places}"


def _answers(answers: Answers) -> Iterator[str]:
    yield ""
    yield "The answers"
    if answers.short_a or answers.short_b:
        same = " (the same)" if answers.short_a == answers.short_b else ""
        yield from _wrapped(
            f"in short: A {one_line(answers.short_a, 100)!r}, B {one_line(answers.short_b, 100)!r}{same}", 1
        )
    counts = [f"{plural(answers.same, 'sentence')} the same"]
    counts.append(f"{len(answers.reworded) + answers.more_reworded:,} in other words")
    counts.append(f"{len(answers.only_a) + answers.more_only_a:,} only in A")
    counts.append(f"{len(answers.only_b) + answers.more_only_b:,} only in B")
    yield from _wrapped(", ".join(counts), 1)
    for pair in answers.reworded:
        cited = ", of the same words" if pair.same_words_cited else ""
        yield from _wrapped(f"~ {one_line(pair.a, 200)}", 1)
        yield from _wrapped(f"B: {one_line(pair.b, 200)} ({pair.likeness:.0%} alike{cited})", 2)
    yield from _more(answers.more_reworded)
    for sign, some, more in (
        ("-", answers.only_a, answers.more_only_a),
        ("+", answers.only_b, answers.more_only_b),
    ):
        for text in some:
            yield from _wrapped(f"{sign} {one_line(text, 200)}", 1)
        yield from _more(more)
    if answers.uncompared:
        yield from _wrapped(f"{answers.uncompared:,} sentences more were not compared", 1)
    cells = answers.cells
    if cells.same or cells.differ or cells.only_a or cells.only_b:
        yield from _wrapped(
            f"{plural(cells.same, 'cell')} the same, {cells.differ:,} differ, {cells.only_a:,} filled only in A, "
            f"{cells.only_b:,} only in B", 1
        )  # fmt: skip
    for cell in cells.some:
        yield from _wrapped(f"{one_line(cell.item, 40)} / {one_line(cell.question, 60)}", 1)
        yield from _wrapped(f"A: {one_line(cell.a, 160) or '-'}", 2)
        yield from _wrapped(f"B: {one_line(cell.b, 160) or '-'}", 2)


def _findings(found: Findings) -> Iterator[str]:
    yield ""
    yield "The findings"
    alike = (
        found.alike_a if found.alike_a == found.alike_b else f"{found.alike_a:,} of A and {found.alike_b:,} of B"
    )
    yield from _wrapped(
        f"{plural(found.same, 'claim')} the same, {alike} alike in other words, {found.only_a:,} only in A, "
        f"{found.only_b:,} only in B", 1
    )  # fmt: skip
    for sign, some, count in (("-", found.some_a, found.only_a), ("+", found.some_b, found.only_b)):
        for near in some:
            yield from _wrapped(f"{sign} {_near(near)}", 1)
        yield from _more(count - len(some))
    least = "at least " if found.more_disputes else ""
    if found.disputes:
        yield from _wrapped(f"{least}{plural(found.disputes, 'pair')} that cannot both hold", 1)
    for pair in found.some_disputes:
        yield from _wrapped(f"A {_near(pair.a)}", 2)
        yield from _wrapped(f"B {_near(pair.b)}", 2)
    yield from _more(found.disputes - len(found.some_disputes))


def _near(near: Near) -> str:
    where = f" ({one_line(near.where)})" if near.where else ""
    return f"{near.id[:_ID]} {one_line(near.claim, 160)}{where}"


def _sources(sources: Sources, found: Findings) -> Iterator[str]:
    yield ""
    yield "The sources"
    changed = f", {sources.changed:,} changed" if sources.changed else ""
    yield from _wrapped(
        f"{sources.same:,} the same{changed}, {sources.only_a:,} only in A, {sources.only_b:,} only in B", 1
    )
    for sign, some, count in (
        ("~", sources.some_changed, sources.changed),
        ("-", sources.some_a, sources.only_a),
        ("+", sources.some_b, sources.only_b),
    ):
        for path in some:
            yield from _wrapped(f"{sign} {one_line(path, 160)}", 1)
        yield from _more(count - len(some))
    unlike = [one for one in found.sources if one.a != one.b]
    if unlike:
        yield "  claims by source, where they differ most"
        yield from _table([("", "A", "B", ""), *map(_of_source, unlike)])


def _of_source(one: OfSource) -> Row:
    path = one_line(one.path)
    cells = [f"{of:,} ({only:,} only here)" for of, only in ((one.a, one.only_a), (one.b, one.only_b))]
    return (path if len(path) <= _NAME else f"…{path[1 - _NAME :]}", cells[0], cells[1], "")


def _costs(rows: Sequence[CostRow]) -> Iterator[str]:
    if rows:
        yield ""
        yield "The cost by model and kind of call"
        yield from _table([("", "A", "B", ""), *(_cost(row) for row in rows[:24])])
        yield from _more(len(rows) - 24)


def _cost(row: CostRow) -> Row:
    a = _spent(row.calls_a, row.tokens_a, row.cost_usd_a)
    b = _spent(row.calls_b, row.tokens_b, row.cost_usd_b)
    return (one_line(f"{row.kind} {row.model}", _NAME), a, b, _relative(row.tokens_a, row.tokens_b))


def _spent(calls: int, tokens: int, cost_usd: float) -> str:
    return f"{calls:,}: {number(tokens)}, {dollars(cost_usd)}" if calls or tokens else "-"


def _more(count: int) -> Iterator[str]:
    if count > 0:
        yield f"  ... and {count:,} more: --limit"


def _table(rows: Iterable[Row]) -> Iterator[str]:
    """Rows of a name, A, B and what the difference is. What is too long for its column is told below it."""
    for name, a, b, change in rows:
        if len(a) > _CELL or len(b) > _CELL:
            yield from _wrapped(f"{name}:", 1)
            yield from _wrapped(f"A: {one_line(a, 240)}", 2)
            yield from _wrapped(f"B: {one_line(b, 240)}", 2)
        else:
            yield f"  {name:<{_NAME}}  {a:>{_CELL}}  {b:>{_CELL}}  {change:>8}".rstrip()


def _wrapped(text: str, depth: int) -> list[str]:
    indent = "  " * depth
    return textwrap.wrap(
        text, _WIDTH, initial_indent=indent, subsequent_indent=f"{indent}  ", break_on_hyphens=False
    ) or [indent]
