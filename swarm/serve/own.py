"""An answer with no language model behind: sentences of what the request holds, each with where it stands.

What the user and tools have said is material; what asks in the last turn is the question. The extractive model
reads as ever, so nothing that it says is invented, and where nothing answers, it says that. This module knows no
wire.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

from swarm.serve.asked import ABOUT, apart, ends_asking, question
from swarm.serve.material import Stretch, keep
from swarm.serve.readings import Readings
from swarm.serve.recalled import Places
from swarm.serve.request import Citation, Request
from swarm.source import Corpus, Span
from swarm.store.library import Library
from swarm.task import Answer, Limits, Task, Usage

NOTHING = "Nothing in this conversation answers that."
NO_QUESTION = "There is no question to answer from what was sent."


@dataclass(frozen=True, kw_only=True, slots=True)
class Own:
    """An answer, in pieces to be streamed one after the other, each with the citations of its marks."""

    pieces: tuple[tuple[str, tuple[Citation, ...]], ...]
    spent: Usage
    told: dict[str, Any] = field(default_factory=dict)

    @property
    def text(self) -> str:
        return "".join(text for text, _ in self.pieces)

    @property
    def citations(self) -> tuple[Citation, ...]:
        return tuple(one for _, cited in self.pieces for one in cited)


def material(request: Request, asked: int) -> Iterator[Stretch]:
    """What may be cited: all that the user and tools said, but for what asks; the turn `asked` is the last one."""
    for at, turn in enumerate(request.turns):
        if turn.role in ("assistant", "system"):
            continue
        texts = [number for number, part in enumerate(turn.parts) if part.kind == "text" and part.text]
        for number, part in enumerate(turn.parts):
            if not part.text or part.text.isspace() or part.kind == "call":
                continue
            start, end = 0, len(part.text)
            if turn.role == "user" and part.kind == "text":
                found = apart(part.text)
                start, end = found.start, found.end
                short = (start, end) == (0, len(part.text)) and end <= ABOUT
                last = at == asked and number == texts[-1]
                if short and (last or ends_asking(part.text)):
                    end = _before_question(part.text)
            if part.text[start:end].strip():
                yield Stretch(turn=at, part=number, start=start, end=end, whole=part.text)


def _before_question(text: str) -> int:
    """Where the last sentence of a short text begins, if it is all that asks: what is before it is material."""
    end = len(text.rstrip())
    cut = max((text.rfind(mark, 0, end - 1) for mark in (". ", "! ", "? ", ".\n", "\n")), default=-1)
    return cut + 1 if cut >= 0 else 0


async def answer(readings: Readings, client: str, request: Request, asked: int, limits: Limits) -> Own:
    """Swarm's own answer to a request."""
    store = readings.store
    about = question(request, ABOUT)
    library = Library(store.database)
    texts = await keep(library, client, request, list(material(request, asked)))
    if not about or not texts:
        return Own(
            pieces=((NO_QUESTION if not about else NOTHING, ()),), spent=Usage(), told={"status": "no_evidence"}
        )
    sources = tuple({text.source.id: text.source for text in texts}.values())
    named = blake2b("\0".join([about, *sorted(one.id for one in sources)]).encode(), digest_size=8).hexdigest()
    run = f"answer {client} {named}"
    task = Task(questions=(about,), paths=(), limits=limits)
    made = await readings.answer(run, task, Corpus(sources=sources))
    return Own(
        pieces=tuple(_pieces(made, Places(library, texts))),
        spent=made.usage,
        told={"status": made.status, "complete": made.complete, "read": 1.0, "runs": [run]},
    )


def _pieces(made: Answer, places: Places) -> Iterator[tuple[str, tuple[Citation, ...]]]:
    if made.status == "no_evidence" or not made.statements:
        yield NOTHING, ()
        return
    at = 0
    numbers: dict[int, int] = {}
    for place, one in enumerate(made.statements):
        text = ("" if not place else " ") + " ".join(one.text.split())
        cited: list[Citation] = []
        for index in one.citations:
            number = numbers.setdefault(index, len(numbers) + 1)
            mark = f" [{number}]"
            start = at + len(text) + 1
            text += mark
            quoted = made.citations[index]
            item = places.item(Span(quoted.source_id, quoted.start, quoted.end))
            cited.append(item.cited(start, start + len(mark) - 1))
        yield text, tuple(cited)
        at += len(text)
