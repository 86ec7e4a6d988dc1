"""The calls on a way down, and what they cost: those of its slices and summaries, and those that all share.

A call is found by who asked for it. One whose reply another run had paid for is none of this run, and told so.
This module reads columns and outcomes; it renders no prompt.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Coroutine, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any, TypeVar

from swarm.inspect.calls import ANSWERED, FAILED, REFUSED, Calls
from swarm.inspect.follow import Follower
from swarm.inspect.opened import Opened
from swarm.inspect.why.parts import Asked, Said, Share, Step
from swarm.models.base import Completion
from swarm.observe.log import redact_text
from swarm.store.journal import Call
from swarm.task import Usage

T = TypeVar("T")

_STATES = {ANSWERED: "answered", FAILED: "failed", REFUSED: "refused"}
_TRIED = 64  # calls whose replies are looked into for who wrote a summary: those that ended last before it
_CHUNK = 10_000


def rows_of(calls: Calls, askers: Iterable[str]) -> dict[str, list[int]]:
    """The rows of the calls of these askers, in the order in which they were begun. One pass over one column."""
    numbers = {number: name for number, name in enumerate(calls.askers.texts) if name in set(askers)}
    found: dict[str, list[int]] = {name: [] for name in numbers.values()}
    if numbers:
        for row, number in enumerate(calls.asker):
            if number in numbers:
                found[numbers[number]].append(row)
    return found


def usage_of(calls: Calls, rows: Iterable[int]) -> Usage:
    """What calls came to, all their tries."""
    told = list(rows)
    return Usage(
        calls=sum(calls.sent[row] for row in told),
        input_tokens=sum(calls.input_tokens[row] for row in told),
        output_tokens=sum(calls.output_tokens[row] for row in told),
        cached_tokens=sum(calls.cached_tokens[row] for row in told),
        cost_usd=sum(calls.cost_usd[row] for row in told),
    )


def with_calls(step: Step, calls: Calls, rows: Sequence[int], most: int) -> Step:
    """A slice with its calls, the first few by their keys."""
    return replace(
        step,
        models=tuple(dict.fromkeys(calls.models.texts[calls.model[row]] for row in rows)),
        calls=tuple(calls.keys[row].hex() for row in rows[:most]),
        more_calls=max(0, len(rows) - most),
        usage=usage_of(calls, rows),
    )


def told(opened: Opened, followed: Follower, rows: Sequence[int], own: set[int]) -> tuple[Asked, ...]:
    """Calls as they are told, with their tries and the last failure of each."""
    calls = followed.calls
    begun = {row: opened.journal.calls(opened.run, calls.seq[row] - 1, limit=1)[0] for row in rows}
    troubled = [row for row, call in begun.items() if call.tries > 1 or calls.state[row] == FAILED]
    failures = _failures(opened, calls, troubled)
    return tuple(_asked(followed, row, begun[row], row not in own, failures.get(row, "")) for row in rows)


def _asked(followed: Follower, row: int, call: Call, shared: bool, failure: str) -> Asked:
    calls = followed.calls
    return Asked(
        key=call.key,
        asker=call.asker,
        who=followed.names.called(call.asker) or call.asker,
        model=call.model,
        kind=call.kind,
        shared=shared,
        state=_STATES.get(calls.state[row], "under way"),
        begun=call.begun,
        seconds=max(0.0, (calls.over(row) or 0.0) - calls.begun[row]),
        usage=usage_of(calls, [row]),
        window=call.window,
        counted=call.tokens,
        fill=calls.fill(row),
        tries=call.tries,
        failure=redact_text(failure),
    )


def _failures(opened: Opened, calls: Calls, rows: Sequence[int]) -> dict[int, str]:
    """The last failure of each of these calls, where a try of it failed. Outcomes come after their calls."""
    wanted = {calls.seq[row]: row for row in rows}
    found: dict[int, str] = {}
    seq = 0
    while wanted:
        outcomes = opened.journal.outcomes(opened.run, seq, limit=_CHUNK)
        for one in outcomes:
            if one.failure is not None and one.call in wanted:
                found[wanted[one.call]] = one.failure
        if len(outcomes) < _CHUNK:
            break
        seq = outcomes[-1].seq
    return found


def share_of(followed: Follower, own: Iterable[int], shared: dict[str, list[int]]) -> Share:
    return Share(
        own=usage_of(followed.calls, own),
        shared={asker: usage_of(followed.calls, rows) for asker, rows in shared.items() if rows},
        run=followed.spent,
    )


def between(calls: Calls, rows: Iterable[int], when: tuple[float, float]) -> list[int]:
    """Those calls that ended after a moment and not after another, in seconds since the epoch."""
    return [row for row in rows if when[0] < calls.ended[row] <= when[1]]


def who_wrote(opened: Opened, calls: Calls, rows: Sequence[int], said: Said, at: float) -> str:
    """The key of the call whose reply holds a summary's sentence, of those that ended last before it was recorded;
    empty where none of them does."""
    ended = sorted(between(calls, rows, (0.0, at)), key=lambda row: calls.ended[row])
    for row in reversed(ended[-_TRIED:]):
        key = calls.keys[row].hex()
        if said.text in statements_in(reply_to(opened, key)):
            return key
    return ""


def reply_to(opened: Opened, key: str) -> Completion | None:
    """The reply of a call, whoever paid for it."""
    return _waited(opened.journal.finished_call(key))


def statements_in(completion: Completion | None) -> dict[str, list[str]]:
    """The sentences of a reply, each with the labels of what it rests on; none where it is not of that form."""
    try:
        body = json.loads(completion.text) if completion is not None else {}
        told_ = body.get("statements", ())
        return {one["text"].strip(): [str(name) for name in one["findings"]] for one in told_}
    except (ValueError, TypeError, KeyError, AttributeError):
        return {}


def _waited(asked: Coroutine[Any, Any, T]) -> T:
    """What a coroutine comes to, also where an event loop runs already."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(asked)
    with ThreadPoolExecutor(1) as threads:
        return threads.submit(asyncio.run, asked).result()


__all__ = [
    "between", "reply_to", "rows_of", "share_of", "statements_in", "told", "usage_of", "who_wrote",
    "with_calls",
]  # fmt: skip
