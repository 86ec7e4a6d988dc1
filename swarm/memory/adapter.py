"""Any agent's message list, kept under a budget of tokens by a memory.

    budgeted = Budgeted(memory, tokens=32_000)
    reply = client.chat.completions.create(model=..., messages=await budgeted.fit(messages))

Everything new is remembered before anything is left out. A list that has grown past the budget is cut to `low`,
and from then on only new messages are added at its end, so that the provider's prompt cache goes on to hit. For
what was left out, and for what is known from before the list, stands one message with the memory's view. It is
written for each thing that the person says and stands right before it, after all that is stable; or, with
`steady`, it stands at the front and is written when the list is cut. This module knows lists and budgets; what is
remembered, and what a view shows, is the memory's business.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

from swarm.errors import PromptTooLong, UsageError
from swarm.memory.messages import Message
from swarm.memory.results import named_in, shortened
from swarm.memory.units import Shape, Unit, Wire, as_message, plain, shape, size, text_of, units, wire_of
from swarm.tokens import Bound, Exact, TokenCounter
from swarm.views.mark import marked, stretches

if TYPE_CHECKING:
    from swarm.memory.memory import Memory

_LEAST = 256
"""Tokens of the least budget that makes sense."""
_LEAST_VIEW = 64
"""Tokens below which no view is worth its message."""
_VIEW_SPARE = 32
"""Tokens of a view's message beside the view itself, half of them for blocks that it makes of one."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Cut:
    """What was made of a list: of its first `seen` messages, whose hash is `digest`, those at `kept` stay."""

    seen: int = 0
    digest: str = ""
    kept: tuple[int, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class _Shown:
    """A view, and what the person had said when it was written."""

    said: str
    text: str


@dataclass(frozen=True, kw_only=True, slots=True)
class _List:
    """A list at work: the caller's own `messages`, what each of them says as `plain` dicts, and its tokens."""

    messages: list[Any]
    plain: list[dict[str, Any]]
    shapes: list[Shape]
    wire: Wire
    counter: TokenCounter
    system_tokens: int

    @property
    def spoken(self) -> int:
        """Where a person spoke last, or the last message; -1 where there is none."""
        return max((n for n, one in enumerate(self.shapes) if one.says), default=len(self.shapes) - 1)

    def spoken_places(self) -> list[int]:
        """The places of all but what the system says."""
        return [place for place, one in enumerate(self.shapes) if one.side != "system"]

    def tokens(self, places: Iterable[int], most: int = sys.maxsize) -> int:
        """Tokens of the messages at these places and of the system beside the list; where they are past `most`,
        any number past it."""
        total = self.system_tokens
        for place in places:
            total += size(self.plain[place], self.counter)
            if total > most:
                break
        return total

    def view_tokens(self, view: str) -> int:
        return size(_as_user(view), self.counter) + _VIEW_SPARE // 2 if view else 0

    def digest(self, places: Iterable[int]) -> str:
        """A name for these messages; none where the list has fewer."""
        hashed = blake2b(digest_size=16)
        for place in places:
            if place >= len(self.plain):
                return ""
            one = self.plain[place]
            one = {**one, "content": _bare(one["content"])} if isinstance(one.get("content"), list) else one
            hashed.update(json.dumps(one, sort_keys=True).encode("utf-8", "surrogatepass"))
        return hashed.hexdigest()

    def built(self, kept: Sequence[int], view: str, before: int) -> list[Any]:
        """The messages at these places, with a view before the one at `before`."""
        made = [self.messages[place] for place in kept]
        at = kept.index(before) if before in kept else len(kept)
        if not view:
            pass
        elif self.wire == "messages" and at < len(kept) and self.plain[before].get("role") == "user":
            made[at] = _with_view(self.plain[before], view)  # roles alternate: both in one message
        else:
            made.insert(at, self._alone(view))
        if self.wire == "messages" and made and as_message(made[0]).get("role") != "user" and 0 not in kept:
            made.insert(0, _as_user(marked("", "Earlier messages are left out.")))  # it has to begin with a user
        return made

    def _alone(self, view: str) -> Any:
        if self.wire == "langchain":
            from langchain_core.messages import HumanMessage

            return HumanMessage(view)
        return _as_user(view)


class Budgeted:
    """Message lists of one conversation, under `tokens`: the system, the view and all messages together.

    A list that has grown past `tokens` is cut to `low` (half of it unless given), so that it is not cut again at
    each turn; the view takes up to `view_tokens` (a quarter of `tokens`). `steady` writes it only when the list is
    cut: the prompt cache then hits all of it, and what is asked later sees what was shown for an earlier question.
    `flush` has messages that no model has read read before they are left out, where the memory has a language
    model. `wire` says whose list it is, where that is not to be told from the list; `counter` counts tokens (o200k
    exactly, and for Anthropic's lists from above). Tokens of tools and of the reply are not in the list: leave
    room for them.
    """

    def __init__(
        self,
        memory: Memory,
        tokens: int = 32_000,
        *,
        low: int | None = None,
        view_tokens: int | None = None,
        steady: bool = False,
        flush: bool = True,
        wire: Wire | None = None,
        counter: TokenCounter | None = None,
    ) -> None:
        self.memory, self.tokens = memory, tokens
        self.low = tokens // 2 if low is None else low
        self.view_tokens = tokens // 4 if view_tokens is None else view_tokens
        if tokens < _LEAST:
            raise UsageError(f"a budget of {tokens} tokens holds no conversation: give {_LEAST} or more")
        if not 0 < self.low <= tokens:
            raise UsageError(f"low is {self.low} tokens and the budget {tokens}: it lies between 1 and the budget")
        self._steady, self._flush, self._wire, self._counter = steady, flush, wire, counter
        self._cuts: tuple[_Cut, ...] = ()  # of the last list as it was handed over, and as it was given back
        self._shown: _Shown | None = None

    async def fit(self, messages: Sequence[Any], *, system: Any = None) -> list[Any]:
        """The messages to send in the place of these: of the same kind, within the budget.

        Hand over the whole list of the conversation each time, or the list that this gave back with what came
        after it. `system` is what Anthropic's API takes beside the list, and only counted. What the system says
        stays, and so do what the person said last and what has come after it, as far as it fits; calls and their
        results stay together.

        Raises:
            PromptTooLong: what the person said last, with the last step after it, is past the budget alone.
            UsageError: the list holds something that is no message.
        """
        it = self._list(messages, system)
        done = await self.memory.remember(self._handed(it))
        if not it.plain:
            return list(messages)
        known = next((cut for cut in self._cuts if cut.digest == it.digest(range(cut.seen))), None)
        cut = known or _Cut()
        kept = (*cut.kept, *range(cut.seen, len(it.plain)))
        whole, it = it, self._with_results_cut(it, done.ids, kept)
        view = None
        if it.tokens(kept, self.tokens) <= self.tokens:
            view = await self._view(it, done.ids, kept, anew=known is None)
        if view is None:
            kept = await self._cut_down(it)
            cut = _Cut(seen=len(it.plain), digest=whole.digest(range(len(it.plain))), kept=kept)
            view = await self._view(it, done.ids, kept, anew=True, cut=True) or ""
        elif known is None:
            cut = _Cut(seen=len(it.plain), digest=whole.digest(range(len(it.plain))), kept=kept)
        self._cuts = (cut, _Cut(seen=len(kept), digest=it.digest(kept), kept=tuple(range(len(kept)))))
        first = next((place for place in kept if it.shapes[place].side != "system"), it.spoken)
        return it.built(kept, view, first if self._steady or not it.shapes[it.spoken].says else it.spoken)

    def _list(self, messages: Sequence[Any], system: Any) -> _List:
        """A list as it is to be read: without the views that were put into it before."""
        taken = [as_message(message) for message in messages]
        wire = self._wire or wire_of(messages, taken, system=system is not None)
        counter = self._counter or (Bound() if wire == "messages" else Exact())
        pairs = _without_views(list(zip(messages, taken, strict=True)))
        return _List(
            messages=[message for message, _ in pairs],
            plain=[one for _, one in pairs],
            shapes=[shape(one) for _, one in pairs],
            wire=wire,
            counter=counter,
            system_tokens=size({"system": plain(system)}, counter) if system else 0,
        )

    def _handed(self, it: _List) -> list[Any]:
        """What the memory is told: all but what the system says, and results whole that were shortened before."""
        told = it.messages if it.wire == "langchain" else it.plain
        spoken = it.spoken_places()
        named = {place: named_in(it.plain[place]) for place in spoken if it.shapes[place].results}
        gone = Message(role="tool", text="")  # it was forgotten: what is left of it is not learnt anew
        whole = {place: self.memory.message(id_) or gone for place, id_ in named.items() if id_}
        return [whole.get(place) or told[place] for place in spoken]

    def _with_results_cut(self, it: _List, ids: Sequence[str], kept: Sequence[int]) -> _List:
        """The list with results of tools that take more than half of the budget cut to a quarter of it."""
        most = self.tokens // 2
        large = [place for place in kept if it.shapes[place].results and len(str(it.plain[place])) > most]
        large = [place for place in large if size(it.plain[place], it.counter) > most]
        if not large:
            return it
        names = _ids_of(it, ids, large)
        messages, plain_ones = list(it.messages), list(it.plain)
        for place in large:
            chars = self.tokens
            while chars > 1 and place in names and size(plain_ones[place], it.counter) > self.tokens // 4:
                messages[place], plain_ones[place] = shortened(
                    it.messages[place], it.plain[place], chars, names[place]
                )
                chars = chars * 2 // 3
        return replace(it, messages=messages, plain=plain_ones)

    # The view

    async def _view(
        self, it: _List, ids: Sequence[str], kept: Sequence[int], *, anew: bool, cut: bool = False
    ) -> str | None:
        """The view that stands beside the messages at these places: the one that was written for what the person
        said last or, where it is steady, when the list was cut. It may take what is free, and where `cut` is false
        None says that the list has to be cut for it."""
        free = self.tokens - it.tokens(kept)
        said = it.digest([it.spoken])
        shown = self._shown
        if shown is not None and not anew and (self._steady or shown.said == said):
            return shown.text if it.view_tokens(shown.text) <= free else None
        most = min(self.view_tokens, free) if cut else self.view_tokens
        before = [place for place in kept if not (it.shapes[place].results and named_in(it.plain[place]))]
        beside = frozenset(_ids_of(it, ids, before).values())
        text = await self._written(it, text_of(it.plain[it.spoken]), most, beside)
        if it.view_tokens(text) > free:
            return None
        self._shown = _Shown(said=said, text=text)
        return text

    async def _written(self, it: _List, about: str, most: int, beside: frozenset[str]) -> str:
        """A view that takes at most so many tokens by the list's counter; empty where there is nothing to show."""
        tokens = int((most - _VIEW_SPARE) / it.counter.ratio())
        while tokens >= _LEAST_VIEW:
            view: str = (await self.memory.view(about, tokens=tokens, recent=0, beside=beside)).text
            if it.view_tokens(view) <= most:
                return view
            tokens = tokens * 3 // 4
        return ""

    # The cut

    async def _cut_down(self, it: _List) -> tuple[int, ...]:
        """The places of what stays of a list that has grown past the budget."""
        found = units(it.shapes)
        last = max((n for n, unit in enumerate(found) if it.spoken in unit.places), default=len(found) - 1)
        fixed = [place for place, one in enumerate(it.shapes) if one.side == "system"]
        needed = [unit for n, unit in enumerate(found) if n == last or (n == len(found) - 1 and unit.whole)]
        spent = it.tokens([*fixed, *_places(needed)])
        if spent > self.tokens:
            raise PromptTooLong(self._too_long(it, fixed, found, last), spent, self.tokens)
        if self._flush:
            await self.memory.flush(about=text_of(it.plain[it.spoken]))
        free = self.low - spent - min(self.view_tokens, self.tokens - spent)
        chosen = _recent(found, last, free, lambda unit: it.tokens(unit.places) - it.system_tokens)
        return tuple(sorted({*fixed, *_places([*chosen, *needed])}))

    def _too_long(self, it: _List, fixed: list[int], found: list[Unit], last: int) -> str:
        held = it.tokens(found[last].places) - it.system_tokens
        after = it.tokens(found[-1].places) - it.system_tokens if last != len(found) - 1 else 0
        parts = f"what was said last holds {held:,} tokens" + (f", the last step {after:,}" if after else "")
        return (
            f"{parts}, and what the system says {it.tokens(fixed):,}: together past the budget of {self.tokens:,} "
            "tokens. Raise the budget, or hand long texts to memory.remember and ask about them"
        )


def _ids_of(it: _List, ids: Sequence[str], places: Iterable[int]) -> dict[int, str]:
    """What the messages at these places are called in the memory, of those that hold anything; `ids` are those of
    all that it was told."""
    wanted = set(places)
    return {place: id_ for place, id_ in zip(it.spoken_places(), ids, strict=True) if id_ and place in wanted}


def _places(chosen: Iterable[Unit]) -> list[int]:
    return [place for unit in chosen for place in unit.places]


def _recent(found: list[Unit], last: int, tokens: int, cost: Callable[[Unit], int]) -> list[Unit]:
    """What stays of the units beside those that have to: the steps since the person spoke, newest first, and then,
    where all of those fit, the turns before it, beginning with a person."""
    chosen: list[Unit] = []
    for n in [*range(len(found) - 2, last, -1), *range(last - 1, -1, -1)]:
        if not found[n].whole:
            continue
        tokens -= cost(found[n])
        if tokens < 0:
            break
        chosen.append(found[n])
    later = set(_places(found[last + 1 :]))
    while chosen and not chosen[-1].begins and chosen[-1].places[0] not in later:
        chosen.pop()
    return chosen


# Views in lists


def _as_user(text: str) -> dict[str, Any]:
    return {"role": "user", "content": text}


def _with_view(message: dict[str, Any], view: str) -> dict[str, Any]:
    """A message of Anthropic's format with a view in it: after results of tools, which come first."""
    content = message["content"]
    blocks = content if isinstance(content, list) else [{"type": "text", "text": content}]
    results = [block for block in blocks if isinstance(block, dict) and block.get("type") == "tool_result"]
    rest = [block for block in blocks if block not in results]
    return {**message, "content": [*results, {"type": "text", "text": view}, *rest]}


def _without_views(pairs: list[tuple[Any, dict[str, Any]]]) -> list[tuple[Any, dict[str, Any]]]:
    """A list without the views that were put into it before, and what is left of messages that hold one."""
    said = [place for place, (_, one) in enumerate(pairs) if shape(one).says]
    kept: list[tuple[Any, dict[str, Any]]] = []
    for place, (message, one) in enumerate(pairs):
        content = one.get("content")
        if not shape(one).says:
            kept.append((message, one))
        elif isinstance(content, list):
            rest = [part for part in content if not (isinstance(part, dict) and _is_view(part.get("text")))]
            less = {**one, "content": _bare(rest)}
            kept.append((less, less) if rest and len(rest) < len(content) else (message, one))
        elif place == said[-1] or not _is_view(content):
            kept.append((message, one))
    return kept


def _bare(blocks: list[Any]) -> Any:
    """One block of text alone as the text: so it was before a view was put beside it."""
    if len(blocks) == 1 and isinstance(blocks[0], dict) and blocks[0].keys() == {"type", "text"}:
        return blocks[0]["text"]
    return blocks


def _is_view(text: Any) -> bool:
    return isinstance(text, str) and stretches(text) == [(0, len(text))]


__all__ = ["Budgeted"]
