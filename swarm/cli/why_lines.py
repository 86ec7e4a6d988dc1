"""A way down as lines of text: a tree of things and what each rests on, in eighty columns.

What comes from sources and models is cleaned. A slice or a call that is met again is only named.
"""

from __future__ import annotations

import textwrap
import time
from collections.abc import Iterable, Iterator, Mapping

from swarm.cli.plain import clean, dollars, number, one_line, plural, seconds
from swarm.inspect.why.parts import Asked, Ground, How, Near, Quote, Said, Step, Why
from swarm.task import Usage

_WIDTH = 80
_ID = 12
_STEP = "  "
_HOW: dict[How, str] = {
    "named": "named by the model that wrote the sentence",
    "same words": "rests on the very words that are cited",
    "overlapping words": "rests on words that overlap with those cited",
    "same meaning": "says the same",
    "like words": "says it in other words",
    "itself": "what you asked for",
    "reported": "reported by the slice",
}
_ASKERS = {"plan": "planning", "judge": "judging", "finish": "writing the answer", "consolidate": "condensing"}


def lines(told: Why) -> Iterator[str]:
    """The way down."""
    assert told.found is not None
    yield from _wrapped(f"{told.found.name} of {told.run}", 0)
    yield from _wrapped(f'"{one_line(told.found.text, 600)}"', 1)
    for end in told.ends:
        yield from _wrapped(f"note: {one_line(end)}", 1)
    if told.others:
        yield from _wrapped(f"also like it: {'; '.join(_other(one.name, one.text) for one in told.others)}", 1)
    if told.cited:
        yield ""
        yield "It cites"
    for quote in told.cited:
        yield from _quote(quote, 1)
    if told.findings:
        yield ""
        yield f"It rests on {plural(len(told.findings) + told.more_findings, 'finding')}"
    numbers = {(one.source, one.start, one.end): one.number for one in told.cited}
    names = {step.id: _step_name(step) for step in told.steps}
    for finding in told.findings:
        yield from _finding(finding, numbers, names)
    if told.more_findings:
        yield f"{_STEP}... and {told.more_findings:,} more: --limit"
    yield from _between(told.summaries)
    yield from _steps(told)
    yield from _calls(told)
    yield from _cost(told)


def _other(name: str, text: str) -> str:
    return f"{one_line(name, 60)} {one_line(text, 48)!r}"


def _quote(quote: Quote, depth: int) -> Iterator[str]:
    mark = f"[{quote.number}] " if quote.number is not None else ""
    where = f"characters {quote.start:,} to {quote.end:,}" if quote.source else "as the text quotes it"
    yield from _wrapped(f"{mark}{one_line(quote.where)}, {where}", depth)
    if not quote.held:
        yield from _wrapped(f'"{one_line(quote.text, 400)}"', depth + 1)
        yield from _wrapped("(the text is not in this store: what stands around it is not known)", depth + 1)
        return
    before = one_line(quote.before)[-70:].partition(" ")[2]
    after = one_line(one_line(quote.after), 70)
    around = (
        f"{'... ' + before + ' ' if before else ''}>>{one_line(quote.text, 600)}<<{' ' + after if after else ''}"
    )
    yield from _wrapped(around, depth + 1)


def _finding(
    one: Ground, numbers: Mapping[tuple[str, int, int], int | None], names: Mapping[str, str]
) -> Iterator[str]:
    yield from _wrapped(f"{one.id[:_ID]}  {one_line(one.claim, 300)}", 1)
    fields = "".join(f"; {name} {one_line(value, 60)}" for name, value in one.fields.items())
    yield from _wrapped(f"{_HOW[one.how]}; relevance {one.relevance:.2f}{fields}", 2)
    for quote in one.quotes:
        number_ = numbers.get((quote.source, quote.start, quote.end))
        where = f"{one_line(quote.where)}, characters {quote.start:,} to {quote.end:,}"
        yield from _wrapped(f"at {where}" if number_ is None else f"at [{number_}]", 2)
    if one.more_quotes:
        yield f"{_STEP * 2}and at {plural(one.more_quotes, 'place')} more"
    for word, near in (
        ("says the same", one.same),
        ("CONTRADICTED by", one.contradicts),
        ("takes the place of", one.supersedes),
        ("superseded by", one.superseded_by),
    ):
        for other in near:
            yield from _near(word, other)
    for slice_ in one.slices:
        yield from _wrapped(f"<- found by the slice {names.get(slice_, slice_[:_ID])}", 2)


def _near(word: str, other: Near) -> Iterator[str]:
    where = f" ({one_line(other.where)})" if other.where else ""
    yield from _wrapped(f"{word} {other.id[:_ID]}: {one_line(other.claim, 160)}{where}", 2)


def _between(summaries: Iterable[Said]) -> Iterator[str]:
    told = list(summaries)
    if told:
        yield ""
        yield "Summaries above them"
    for one in told:
        used = {True: "the answer was written from it", False: "the answer was not written from it", None: ""}[
            one.used
        ]
        by = f"written by the call {one.call[:_ID]}" if one.call else ""
        about = "; ".join(filter(None, (f"level {one.level}, of {plural(one.findings, 'finding')}", by, used)))
        yield from _wrapped(f"{one.id[:_ID]}  {about}", 1)
        if one.text:
            yield from _wrapped(f'"{one_line(one.text, 300)}"', 2)


def _steps(told: Why) -> Iterator[str]:
    if told.steps:
        yield ""
        yield "Found by"
    for step in told.steps:
        yield from _step(step)
    if told.more_steps:
        yield f"{_STEP}... and {plural(told.more_steps, 'slice')} more: --limit"


def _step_name(step: Step) -> str:
    return step.id[:_ID] + ("" if step.id.startswith(step.name) else f" ({one_line(step.name, 60)})")


def _step(step: Step) -> Iterator[str]:
    part = f"round {step.round}" if not step.branch or step.branch.startswith(f"{step.round}:") else step.branch
    yield from _wrapped(f"slice {_step_name(step)}, {step.state}, {one_line(part, 60)}", 1)
    if step.failed:
        yield from _wrapped(f"because: {one_line(step.failed, 200)}", 2)
    yield from _wrapped(f"asked: {one_line(step.asked, 300) or 'to read it'}", 2)
    for reason in step.reasons:
        yield from _wrapped(f"why: {one_line(reason.text, 400)}", 2)
    if step.spans:
        places = ", ".join(one_line(span) for span in step.spans)
        yield from _wrapped(f"read: {number(step.chars)} characters from {places}", 2)
    if step.needs:
        yield from _wrapped(f"began from: {', '.join(one_line(need, 40) for need in step.needs)}", 2)
    when = _when(step.begun, step.ended)
    who = f", by {one_line(', '.join(step.models))}" if step.models else ""
    where = f", on {one_line(', then '.join(step.machines), 200)}" if step.machines else ""
    yield from _wrapped(f"when: {when}{who}{where}", 2)
    rejected = f", {plural(step.rejected, 'quote')} rejected" if step.rejected else ""
    yield from _wrapped(f"reported: {plural(step.findings, 'finding')}{rejected}", 2)
    if step.summary:
        yield from _wrapped(f'"{one_line(step.summary, 300)}"', 3)
    yield from _wrapped(f"spent: {_usage(step.usage)}", 2)


def _when(begun: float | None, ended: float | None) -> str:
    if begun is None:
        return "not begun"
    at = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(begun))
    return f"{at}, not ended" if ended is None else f"{at}, for {seconds(ended - begun)}"


def _calls(told: Why) -> Iterator[str]:
    if told.calls:
        yield ""
        yield "Calls"
    for call in told.calls:
        yield from _call(call)
    if more := sum(step.more_calls for step in told.steps):
        yield f"{_STEP}... and {more:,} more of these slices: --limit"


def _call(call: Asked) -> Iterator[str]:
    whom = f"{_who(call.who)}, for all of the answer" if call.shared else _who(call.who)
    yield from _wrapped(f"{call.key[:_ID]}  {one_line(call.kind)}: {whom}", 1)
    if call.model:
        fill = f", window {call.fill:.0%} full" if call.fill is not None else ""
        tries = f", {call.tries} tries" if call.tries > 1 else ""
        took = f", {seconds(call.seconds)}"
        yield from _wrapped(f"{one_line(call.model)}: {call.state}, {_usage(call.usage)}{fill}{took}{tries}", 2)
    if call.failure:
        yield from _wrapped(f"failed before: {one_line(call.failure, 200)}", 2)
    if call.prompt is not None:
        yield from _wrapped(f"prompt ({call.prompt.proof})", 2)
        if call.prompt.typed:
            yield from _wrapped("this model takes it as it is typed; in words it reads", 2)
        yield from _block(call.prompt.text)
    if call.reply is not None:
        yield f"{_STEP * 2}reply"
        yield from _block(call.reply)


def _cost(told: Why) -> Iterator[str]:
    if told.cost is None:
        return
    yield ""
    yield "Cost"
    yield from _wrapped(f"its own: {_usage(told.cost.own)}", 1)
    for asker, usage in told.cost.shared.items():
        yield from _wrapped(f"shared, {_who(asker)}: {_usage(usage)}", 1)
    yield from _wrapped(f"all of the run: {_usage(told.cost.run)}", 1)


def _who(asker: str) -> str:
    """Who asked, in words: a slice by its name or the beginning of its id."""
    if asker in _ASKERS:
        return _ASKERS[asker]
    if not asker.startswith(("plan:", "judge:")):
        return f"slice {one_line(asker, 60)}"
    part, _, rest = asker.partition(":")
    branch, _, number_ = rest.rpartition(":")
    return f"{_ASKERS[part]} {one_line(branch, 60) or 'the whole'}, time {number_}"


def _usage(usage: Usage) -> str:
    cached = f" ({number(usage.cached_tokens)} cached)" if usage.cached_tokens else ""
    tokens = f"{number(usage.input_tokens)} tokens in{cached}, {number(usage.output_tokens)} out"
    return f"{plural(usage.calls, 'call')}, {tokens}, {dollars(usage.cost_usd)}"


def _block(text: str) -> Iterator[str]:
    """A text as it is, line by line, so that nothing of it is taken for ours."""
    for line in clean(text).split("\n"):
        yield f"{_STEP * 2}| {line}".rstrip()


def _wrapped(text: str, depth: int) -> list[str]:
    indent = _STEP * depth
    return textwrap.wrap(
        text,
        _WIDTH,
        initial_indent=indent,
        subsequent_indent=f"{indent}{_STEP}",
        break_on_hyphens=False,
        break_long_words=False,
    ) or [indent]
