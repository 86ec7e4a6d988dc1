"""The marks of a reply, `[3]`, as citations: what each leads to, and where it stands in the text.

Text is never held back for it: a mark may come in pieces, and its citation follows as soon as the text shows that
it is one. What is written in code, a link, a number that nothing goes by: these stay what they are, text. This
module knows characters and labels; how a wire writes an annotation is not its business.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from swarm.models.extractive.sentences import split
from swarm.serve.request import Citation, Delta
from swarm.terms import question_terms, terms

_LONGEST = 48
"""Characters of a mark: `[1, 2, 3]` is one. What goes on for longer is text in brackets."""
_INSIDE = frozenset("0123456789,;- \u2013")
_RANGE = 12  # labels that `[3-9]` may stand for
_FENCE = 3
_LONG = 200
"""Characters of a quote that is cited whole, whatever the sentence before the mark says."""
_SHARED = 2  # words, at the least, that a sentence shares with what it bears out
_BEHIND = 600  # characters before a mark that are looked at
_MARK = re.compile(r"\[[0-9,;\- \u2013]{1,46}\]")


@dataclass(frozen=True, kw_only=True, slots=True)
class Item:
    """What a label of the view leads to: `quote` stands at `start` to `end` (characters) of the text of turn
    `turn`, part `part` of the request."""

    quote: str
    turn: int
    part: int
    start: int
    end: int
    title: str = ""
    url: str = ""

    def cited(self, start: int, end: int, said: str = "") -> Citation:
        """The citation of a mark that stands there in a reply, behind `said`: of a long quote, the sentence that
        bears it out by its words, where one does."""
        inner, outer = _bearing(self.quote, said) if len(self.quote) > _LONG else (0, len(self.quote))
        quote_start, quote_end = self.start + inner, self.start + outer
        return Citation(
            start=start,
            end=end,
            quote=self.quote[inner:outer],
            turn=self.turn,
            part=self.part,
            quote_start=quote_start,
            quote_end=quote_end,
            title=self.title,
            url=f"{self.url}#char={quote_start},{quote_end}" if self.url else "",
        )


def _bearing(quote: str, said: str) -> tuple[int, int]:
    """The sentence of a quote that shares most words with what was said last, as (start, end); all of it where
    none shares enough."""
    last = said[max(said.rfind("\n"), 0) :].strip()
    sentences = [last[start:end] for start, end in split(last)]
    wanted = set(question_terms(sentences[-1])) if sentences else set()
    best, most = (0, len(quote)), max(_SHARED, len(wanted) // 2)
    for start, end in split(quote):
        held = len(wanted & set(terms(quote[start:end])))
        if held >= most:
            best, most = (start, end), held + 1
    return best


Items = Mapping[int, tuple[Item, ...]]
"""What each label leads to: a finding may rest on several places."""


@dataclass
class Marks:
    """Finds the marks of one text that comes in pieces."""

    items: Items
    _at: int = 0
    _mark: str = ""
    """What may become a mark, from its bracket on; empty where none has begun."""
    _closed: tuple[int, str] | None = None
    """A mark that is whole, with where it begins: it counts unless a parenthesis or a colon follows."""
    _said: str = ""
    """The end of the text so far, as much as may be looked at, from character `_since` on."""
    _since: int = 0
    _ticks: int = 0
    _code: int = 0
    """Ticks that end the code that the text is in; 0 outside of code."""

    def feed(self, text: str) -> list[Citation]:
        """The citations that this piece makes sure of; characters count from the beginning of the text."""
        found: list[Citation] = []
        self._said += text
        for char in text:
            found += self._step(char)
            self._at += 1
        dropped = max(0, len(self._said) - _BEHIND - _LONGEST)
        self._said, self._since = self._said[dropped:], self._since + dropped
        return found

    def end(self) -> list[Citation]:
        """The citations that only the end of the text makes sure of."""
        return self._settled("")

    def _step(self, char: str) -> list[Citation]:
        found = self._settled(char)
        if char == "`":
            self._ticks += 1
            self._mark = ""
            return found
        if self._ticks:
            self._fence()
        if self._code:
            if char == "\n" and self._code < _FENCE:
                self._code = 0  # code within a line ends with it: a tick that stands alone begins none
            return found
        if char == "[":
            self._mark = char
        elif self._mark and char == "]":
            self._closed = self._at - len(self._mark), self._mark + char
            self._mark = ""
        elif self._mark:
            going = char in _INSIDE and len(self._mark) < _LONGEST
            self._mark = self._mark + char if going else ""
        return found

    def _fence(self) -> None:
        """A row of ticks is over: it begins code, or ends what as many began."""
        if not self._code:
            self._code = self._ticks
        elif self._ticks == self._code or (self._code >= _FENCE and self._ticks >= self._code):
            self._code = 0
        self._ticks = 0

    def _settled(self, following: str) -> list[Citation]:
        if self._closed is None:
            return []
        start, mark = self._closed
        self._closed = None
        if following and following in "(:":
            return []
        end = start + len(mark)
        items = [item for label in labels(mark) for item in self.items.get(label, ())]
        said = self._behind(start) if items else ""
        return [item.cited(start, end, said) for item in items]

    def _behind(self, start: int) -> str:
        """What was said before a mark that begins there, without other marks."""
        return _MARK.sub("", self._said[max(0, start - self._since - _BEHIND) : start - self._since])


def labels(mark: str) -> list[int]:
    """The labels of a mark such as `[1, 4-6]`, each once; none where it is no mark."""
    found: list[int] = []
    for piece in mark.strip("[]").replace(";", ",").replace("\u2013", "-").split(","):
        first, dash, last = (word.strip() for word in piece.partition("-"))
        if not first.isdecimal() or (dash and not last.isdecimal()):
            return []
        until = int(last) if dash else int(first)
        if not int(first) <= until < int(first) + _RANGE:
            return []
        found += range(int(first), until + 1)
    return list(dict.fromkeys(found))


@dataclass
class Cited:
    """The marks of a whole reply, which may have several texts."""

    items: Items
    citations: list[Citation] = field(default_factory=list)
    """All so far, in their order."""
    _texts: dict[tuple[int, int], Marks] = field(default_factory=dict)

    def take(self, delta: Delta) -> list[Citation]:
        """The citations that a piece of the reply makes sure of, in the text that it belongs to."""
        marks = self._texts.setdefault(delta.place, Marks(self.items))
        found = marks.feed(delta.text)
        self.citations += found
        return found

    def end(self) -> list[tuple[tuple[int, int], list[Citation]]]:
        """What the end of the reply makes sure of, by the places of the texts."""
        left = [(place, marks.end()) for place, marks in self._texts.items()]
        self.citations += [one for _, found in left for one in found]
        return [(place, found) for place, found in left if found]


def cited(text: str, items: Items) -> list[Citation]:
    """The citations of a text that is all there."""
    marks = Marks(items)
    return [*marks.feed(text), *marks.end()]
