"""One slice, looked into: what it was to do, of which text, who was called for it and what it came to, as lines.

Read when somebody asks for it, and no more of it than a person reads. This module knows no screen.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import islice

from swarm.cli.plain import clean, dollars, number, plural, seconds
from swarm.cli.watching.ink import SIGNS, Line, wrapped
from swarm.cli.watching.tree import taken
from swarm.cli.watching.words import LONGEST, Names, shown
from swarm.errors import StoreError
from swarm.inspect.calls import ANSWERED, FAILED, REFUSED, UNDER_WAY, Calls
from swarm.inspect.follow import Follower
from swarm.inspect.plan import Seen
from swarm.observe.log import redact_text
from swarm.source import Span
from swarm.store.journal import Record

_SPANS = 20
_CALLS = 12
_FINDINGS = 10
_PARAGRAPH = 4_000  # characters of a text
_BECAME = {UNDER_WAY: "under way", ANSWERED: "answered", FAILED: "failed", REFUSED: "refused"}


def detail(followed: Follower, names: Names, id_: str, width: int) -> list[Line]:
    """All that is told of a slice, on lines of at most `width` cells.

    Raises:
        StoreError: the store cannot be read any more.
    """
    seen = followed.plan.slices[id_]
    report = followed.opened.journal.record(followed.run, "report", id_)
    return [
        *_what(seen, names, followed, width),
        *_calls(followed.calls, id_),
        *(_report(report, width) if report is not None else ()),
    ]


def _what(seen: Seen, names: Names, followed: Follower, width: int) -> Iterator[Line]:
    slice_, order = seen.slice, seen.slice.order
    yield ((names.of(seen), "strong"), (f"  {slice_.id[:16]}", "dim"))
    took = taken(seen, followed.clock())
    said = f"{SIGNS[seen.state]} {seen.state}"
    yield (
        (said, seen.state),
        (f" · {seconds(took)}" if took is not None else "", ""),
        (f" · {plural(seen.calls, 'call')}, {number(seen.tokens)} tokens, {dollars(seen.cost_usd)}", ""),
    )
    if seen.begun is not None:
        ended = f", settled {_at(seen.ended)}" if seen.ended is not None else ""
        yield ((f"begun {_at(seen.begun)}{ended}", "dim"),)
    yield from _where(seen, followed)
    if seen.why:
        yield from _text("why it was not done", shown(seen.why, 4 * LONGEST), width, "failed")
    yield from _text("what it is to do" if order is not None else "what is asked", slice_.question, width)
    if order is not None:
        yield from _text("done when", order.done_when, width)
        yield from _text("leaves alone", order.boundaries, width)
        yield from _text("needs", ", ".join(order.needs), width)
        yield from _text("role", order.role, width)
    if slice_.spans:
        yield from _title(f"what it reads: {number(slice_.chars)} characters")
        for span in slice_.spans[:_SPANS]:
            yield ((f"  {_place(followed, names, span)}", ""), (f"  {span.start:,}–{span.end:,}", "dim"))
        yield from _more(len(slice_.spans) - _SPANS)


def _where(seen: Seen, followed: Follower) -> Iterator[Line]:
    """The machines that it was on, the last one first."""
    name = followed.plan.machines.name
    if seen.machine:
        yield ((f"on {shown(name(seen.machine))}", ""),)
    for stay in reversed(seen.stays):
        was, part = ("lost", "warn") if stay.lost else ("left", "dim")
        yield ((f"before on {shown(name(stay.machine))}, {was} {_at(stay.until)}", part),)


def _place(followed: Follower, names: Names, span: Span) -> str:
    path = names.source(span.source)
    try:
        return shown(str(followed.opened.library.locate(span, path)))
    except StoreError:  # its text is on the machine that reads it
        return path


def _calls(calls: Calls, asker: str) -> Iterator[Line]:
    rows = list(islice(_rows(calls, asker), 1_000))
    if not rows:
        return
    yield from _title("calls")
    for row in rows[-_CALLS:]:
        fill = calls.fill(row)
        took = over - calls.begun[row] if (over := calls.over(row)) is not None else None
        kind, model = calls.kinds.texts[calls.kind[row]], calls.models.texts[calls.model[row]]
        told = [
            f"{shown(kind, 20)} by {shown(model, 60)}",
            seconds(max(0.0, took)) if took is not None else f"since {_at(calls.begun[row])}",
            *_came_to(calls, row),
            *([f"window {fill:.0%} full"] if fill is not None else []),
        ]
        state = _BECAME[calls.state[row]]
        yield (
            (f"  {state}: ", "failed" if calls.state[row] in (FAILED, REFUSED) else "dim"),
            (" · ".join(told), ""),
        )
    yield from _more(len(rows) - _CALLS)


def _came_to(calls: Calls, row: int) -> Iterator[str]:
    if calls.ended[row]:
        yield f"{number(calls.input_tokens[row])} in, {number(calls.output_tokens[row])} out"
        yield dollars(calls.cost_usd[row])


def _rows(calls: Calls, asker: str) -> Iterator[int]:
    """The rows of the calls that somebody asked for, in their order."""
    if asker not in calls.askers.texts:
        return
    number_, start = calls.askers.texts.index(asker), 0
    while True:
        try:
            row = calls.asker.index(number_, start)
        except ValueError:
            return
        yield row
        start = row + 1


def _report(report: Record, width: int) -> Iterator[Line]:
    body = report.body
    yield from _text("what it came to", str(body.get("result", "")), width)
    yield from _text("in short", str(body.get("summary", "")), width)
    found = body.get("findings", ())
    if found:
        yield from _title(plural(len(found), "finding"))
    for one in found[:_FINDINGS]:
        yield from (((line, ""),) for line in wrapped(shown(one["claim"]), width, "  "))
    yield from _more(len(found) - _FINDINGS)
    for name, word in (("rejected", "quotes that stand nowhere"), ("open_questions", "open questions")):
        said = body.get(name, ())
        if said:
            yield from _title(f"{word}: {len(said):,}")
        yield from (((line, "dim"),) for text in said[:5] for line in wrapped(shown(text), width, "  "))


def _title(text: str) -> Iterator[Line]:
    yield ()
    yield ((text, "title"),)


def _text(title: str, text: str, width: int, part: str = "") -> Iterator[Line]:
    """A paragraph under its title, its lines as they are; nothing where there is none."""
    said = redact_text(clean(text[: 2 * _PARAGRAPH]))[:_PARAGRAPH].strip()
    if not said:
        return
    yield from _title(title)
    for line in wrapped(said, width, "  "):
        yield ((line, part),)
    if len(text) > _PARAGRAPH:
        yield ((f"  … and {len(text) - _PARAGRAPH:,} characters more", "dim"),)


def _more(count: int) -> Iterator[Line]:
    if count > 0:
        yield ((f"  … and {count:,} more", "dim"),)


def _at(at: float) -> str:
    return time.strftime("%H:%M:%S", time.localtime(at))
