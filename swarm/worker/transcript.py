"""What a sub-agent with tools has done so far, as its window holds it.

A long result is shown in part, old results give way when the window fills, and what was the same too often is
noticed. The whole of each result is kept elsewhere, under a name that the part tells. Pure: it asks and runs
nothing.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from swarm.prompts.acting import CallResult, Turn, chained
from swarm.prompts.replies import ToolCall
from swarm.tokens import o200k

CLEARED = "(cleared from your window"
_HEAD = 0.6  # of what is shown of a long result is its beginning, the rest its end
_KEEP = 4  # turns whose results are never cleared: the last ones
_SHORT = 160  # characters of a text that is not worth clearing
_TOLD, _ENOUGH = 3, 6
"""Times that one turn came to the same: then it is told so, and then it has to hand over."""
_TIMES = re.compile(r"\d+(?:\.\d+)?\s?(?:ms|s|sec|secs|seconds)\b")
"""How long something took: a test that fails in the same way takes another hundredth of a second each time."""

Told = tuple[str, str, bool]
"""A result as it came: the name under which it is kept, its text, and whether the call failed."""


@dataclass(kw_only=True)
class Transcript:
    """The turns of one window, which `name` tells from others. `chain` names all that truly came before."""

    name: str = ""
    turns: list[Turn] = field(default_factory=list)
    chain: str = ""
    before: str = ""
    """The chain before the last turn."""
    cleared: int = 0
    """How many turns have lost their results, the oldest first."""
    shortened: int = 0
    """How many have lost their words as well."""
    dropped: int = 0
    """How many are not shown at all; those are not among the turns any more."""
    stuck: bool = False
    """It did the same with the same outcome until it was enough."""
    _refs: list[tuple[str, ...]] = field(default_factory=list)
    _seen: Counter[int] = field(default_factory=Counter)

    @property
    def form(self) -> tuple[str | int, ...]:
        """What names how the turns are shown."""
        return self.name, self.cleared, self.shortened, self.dropped

    def add(self, says: str, calls: Sequence[ToolCall], told: Sequence[Told], kept: str, tokens: int) -> None:
        """Take up a turn, of whose results `tokens` of o200k are shown at the most."""
        whole = Turn(
            says=says,
            calls=tuple(calls),
            results=tuple(CallResult(text=text, failed=bad) for _, text, bad in told),
        )
        self.before, self.chain = self.chain, chained(self.chain, whole)
        most = tokens // max(1, len(told))
        results = [CallResult(text=shown(text, ref, most), failed=bad) for ref, text, bad in told]
        came = tuple((_TIMES.sub("", one.text), one.failed) for one in whole.results)
        form = hash((tuple((one.name, one.arguments) for one in calls), came))
        self._seen[form] += 1
        times = self._seen[form]
        if times >= _TOLD and results:
            note = f"\n\n(This was done {times} times, to the same end. Go another way, or hand in what there is.)"
            results[-1] = replace(results[-1], text=results[-1].text + note)
        self.stuck = self.stuck or times >= _ENOUGH
        self.turns.append(Turn(says=says, calls=tuple(calls), results=tuple(results), kept=kept))
        self._refs.append(tuple(ref for ref, _, _ in told))

    def clear(self, fits: Callable[[], bool]) -> None:
        """Clear old results, the oldest first, until `fits` says that it is enough, or none but the last is left.
        Many at once: what comes before a change is read from a provider's cache, what comes after is not."""
        while self.cleared < len(self.turns) - _KEEP:
            self._clear_next()
            if self.cleared % 4 == 0 and fits():
                return

    def squeeze(self, fits: Callable[[], bool]) -> None:
        """Where that was not enough, as one turn may fill what is left of a window: clear the last results too,
        then what was said and asked for, then whole turns, the oldest first, until `fits` says that it is
        enough."""
        while not fits():
            if self.cleared < len(self.turns):
                self._clear_next()
            elif self.shortened < len(self.turns):
                at = self.shortened
                self.turns[at] = _without_words(self.turns[at], last=at + 1 == len(self.turns))
                self.shortened += 1
            elif self.turns:
                del self.turns[0], self._refs[0]
                self.cleared -= 1
                self.shortened -= 1
                self.dropped += 1
            else:
                return

    def _clear_next(self) -> None:
        at = self.cleared
        self.turns[at] = _without_results(self.turns[at], self._refs[at])
        self.cleared += 1


def shown(text: str, ref: str, tokens: int) -> str:
    """A result as a sub-agent sees it: whole where it has at most `tokens` of o200k, else its beginning and its
    end, cut at lines, with how to open the rest."""
    if len(text) <= tokens or (size := o200k(text)) <= tokens:
        return text
    room = max(80, len(text) * tokens // size)
    head, tail = text[: int(room * _HEAD)], text[len(text) - int(room * (1 - _HEAD)) :]
    head = head[: head.rfind("\n") + 1] or head
    tail = tail[tail.find("\n") + 1 :] or tail
    first = head.count("\n") + 1
    last = text.count("\n") - tail.count("\n")
    return (
        f"{head}\n(… {len(text) - len(head) - len(tail):,} of {len(text):,} characters are not shown, about lines "
        f'{first:,} to {last:,}: open them with read_result, ref "{ref}" …)\n{tail}'
    )


def _without_results(turn: Turn, refs: Sequence[str]) -> Turn:
    def short(result: CallResult, ref: str) -> CallResult:
        if len(result.text) <= _SHORT:
            return result
        begins = " ".join(result.text[:_SHORT].split())[:80]
        return replace(result, text=f'{CLEARED}; it began "{begins}"; read_result, ref "{ref}", shows it again)')

    return replace(turn, results=tuple(map(short, turn.results, refs)))


def _without_words(turn: Turn, *, last: bool) -> Turn:
    """A provider that wants back what it thought wants it back with the last turn."""

    def short(call: ToolCall) -> ToolCall:
        if len(call.arguments) <= _SHORT:
            return call
        begins = " ".join(call.arguments[:_SHORT].split())[:80]
        return call.model_copy(update={"arguments": json.dumps({"cleared": begins}, ensure_ascii=False)})

    says = turn.says if len(turn.says) <= _SHORT else f"{turn.says[: _SHORT - 1]}…"
    return replace(turn, says=says, calls=tuple(map(short, turn.calls)), kept=turn.kept if last else "")
