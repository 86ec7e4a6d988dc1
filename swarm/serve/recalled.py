"""What of the long texts is shown to the model for a question: findings that were read out of them, and passages
that the search finds, word for word, each with a label and under a budget.

No model is asked. What is shown stands in a mark by which it is known again (`swarm/views/mark.py`), and leads by
its labels to the characters of the request that it came from. This module knows no wire.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from swarm.graph.graph import SharedGraph
from swarm.graph.rows import Row
from swarm.serve.cited import Item
from swarm.serve.material import Text
from swarm.serve.request import Path
from swarm.source import Corpus, Passage, Span
from swarm.store.library import Library
from swarm.store.opening import Store
from swarm.task import Finding
from swarm.views.view import chosen

_PASSAGES = 60  # of the search are looked at
_FINDINGS = 0.55
"""Of the budget goes to findings, the rest to passages; what one leaves, the other takes."""
_RUNS = 12  # whose findings are looked at, of a conversation with very many long texts
_PLACES = 3  # that one finding is shown to rest on
_QUOTE = 400  # characters of a quote that are shown beside a claim
_NEAR = 8  # tokens around a line, with its label
_BEST = 200  # findings looked at where a question finds few: "sum this up" has no words to search for

_BREAKS = re.compile("[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]+")

Count = Callable[[str], int]


@dataclass
class Page:
    """Lines with labels, as many as the budget holds. `tokens` are those of `count`."""

    budget: int
    count: Count
    lines: list[tuple[str, str]] = field(default_factory=list)
    """Headings and lines, in their order."""
    items: dict[int, tuple[Item, ...]] = field(default_factory=dict)
    used: int = 0

    def add(self, heading: str, line: str, items: tuple[Item, ...], most: int) -> bool:
        """Whether the line fits, and what was used is no more than `most` with it."""
        label = len(self.items) + 1
        line = _BREAKS.sub("\n    ", line)  # what looks like a label or a heading is none within an item
        cost = self.count(line) + _NEAR
        if self.used + cost > min(most, self.budget):
            return False
        self.lines.append((heading, f"[{label}] {line}"))
        self.items[label] = items
        self.used += cost
        return True

    def text(self) -> str:
        said: list[str] = []
        last = ""
        for heading, line in self.lines:
            if heading != last:
                said.append(f"\n{heading}:" if said else f"{heading}:")
                last = heading
            said.append(line)
        return "\n".join(said)


class Places:
    """From spans of sources to places in the request."""

    def __init__(self, library: Library, texts: Iterable[Text]) -> None:
        self.library = library
        self._texts: dict[str, Text] = {}
        for text in texts:
            self._texts.setdefault(text.source.id, text)

    def holds(self, span: Span) -> bool:
        return span.source in self._texts

    def item(self, span: Span) -> Item:
        text = self._texts[span.source]
        return leading(
            (text.turn, text.part), text.path, text.title, text.start + span.start, self.library.text(span)
        )

    def title(self, span: Span) -> str:
        return self._texts[span.source].title


def leading(place: tuple[int, int], path: Path, title: str, start: int, quote: str) -> Item:
    """An item that leads to characters of a part of the request. Its address is that of the text in the body, as a
    JSON pointer is; the characters come after it as in RFC 5147."""
    url = f"swarm:/{'/'.join(map(str, path))}"
    return Item(
        quote=quote, turn=place[0], part=place[1], start=start, end=start + len(quote), title=title, url=url
    )


def recall(store: Store, runs: Mapping[str, str], texts: Sequence[Text], about: str, page: Page) -> None:
    """Fill a page with what bears on a question; `runs` says for each source which run has read it. Reads the
    store: not for the event loop's thread."""
    library = Library(store.database)
    places = Places(library, texts)
    room = page.budget - page.used
    first = page.used + int(_FINDINGS * room)
    passages = _passages(library, texts, about)
    findings = _findings(store, _asked(runs, passages), places, about, room)
    taken = _show(page, places, findings, first)
    shown = _say(page, places, passages, {span for one in findings[:taken] for span in one.evidence})
    if shown == len(passages):
        _show(page, places, findings[taken:], page.budget)


def _asked(runs: Mapping[str, str], passages: Sequence[Passage]) -> list[str]:
    """The runs whose graphs are asked: those of the texts in which the search finds most, then the latest."""
    found = [runs[one.span.source] for one in passages if one.span.source in runs]
    return list(dict.fromkeys([*found, *reversed(list(runs.values()))]))[:_RUNS]


def _passages(library: Library, texts: Sequence[Text], about: str) -> list[Passage]:
    sources = tuple({text.source.id: text.source for text in texts}.values())
    return library.search(about, Corpus(sources=sources), _PASSAGES) if sources and about else []


def _findings(store: Store, runs: Sequence[str], places: Places, about: str, room: int) -> list[Finding]:
    """What was read, best first, those of several runs in turn; none that rests on a text of another request."""
    columns: list[list[Finding]] = []
    for run in runs:
        graph = SharedGraph(store.database, run)
        rows = chosen(graph, about, room, _cost) if about else []
        known = {row.num for row in rows}
        if sum(map(_cost, rows)) < room // 2:
            rows = [*rows, *(row for row in graph.best_rows(_BEST) if row.num not in known)]
        found = graph.findings(rows)
        columns.append([one for one in found if any(map(places.holds, one.evidence))])
    longest = max(map(len, columns), default=0)
    return [column[at] for at in range(longest) for column in columns if at < len(column)]


def _cost(row: Row) -> int:
    return 24 + len(row.text) // 3


def _show(page: Page, places: Places, findings: Sequence[Finding], most: int) -> int:
    """How many of the findings were gone through before the page was full."""
    for at, one in enumerate(findings):
        spans = [span for span in one.evidence if places.holds(span)][:_PLACES]
        items = tuple(map(places.item, spans))
        claim, quote = _line(one.claim), _line(items[0].quote)
        said = claim if quote[:_QUOTE] in claim else f'{claim} ("{_short(quote)}")'
        if not page.add("Read in the long texts", f"{said} ({places.title(spans[0])})", items, most):
            return at
    return len(findings)


def _say(page: Page, places: Places, passages: Sequence[Passage], shown: set[Span]) -> int:
    """How many of the passages were gone through before the page was full."""
    for at, one in enumerate(passages):
        covered = sum(
            max(0, min(span.end, one.span.end) - max(span.start, one.span.start))
            for span in shown
            if span.source == one.span.source
        )
        if covered * 2 > one.span.end - one.span.start:
            continue
        item = places.item(_trimmed(one))
        line = f"({item.title}, from character {item.start:,}) {item.quote}"
        if not page.add("Word for word", line, (item,), page.budget):
            return at
    return len(passages)


def _trimmed(passage: Passage) -> Span:
    """Its span without white space around."""
    text = passage.text
    start = passage.span.start + len(text) - len(text.lstrip())
    return Span(passage.span.source, start, max(start, passage.span.end - len(text) + len(text.rstrip())))


def _short(text: str) -> str:
    return text if len(text) <= _QUOTE else text[: _QUOTE - 1].rsplit(" ", 1)[0] + "…"


def _line(text: str) -> str:
    return " ".join(text.split())
