"""What is found in the sources for a question: by the library's own search, and by an index where there is one.

What an index said is a record of the run, before anything rests on it: who goes on, and a replay, asks nobody
again. That it failed is one too, so that it costs its hits and nothing else. Both rankings are fused by their
places.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import replace
from hashlib import blake2b

from swarm.coordinator.desk import Desk
from swarm.coordinator.indexed import Failed, Indexed
from swarm.index.fused import fused
from swarm.source import Passage, Span
from swarm.store.journal import Entry, to_bytes

FOUND = "found"


async def ask(desk: Desk, questions: Iterable[str]) -> None:
    """Ask the index what was not asked before in this run, and record what it says."""
    index = desk.index
    if index is None or desk.recorded is not None or not desk.corpus.sources:
        return
    wanted = [question for question in dict.fromkeys(questions) if question.strip()]
    new = [question for question in wanted if desk.journal.record(desk.run, FOUND, _key(question)) is None]
    if not new or index.given_up:
        return
    async with asyncio.TaskGroup() as group:
        asked = [group.create_task(_asked(desk, index, question)) for question in new]
    await desk.journal.append(desk.run, *[one.result() for one in asked])


def search(desk: Desk, question: str, limit: int) -> list[Passage]:
    """The passages of the corpus that answer a question best, at most `limit`, best first, with text: as the
    library ranks them, and an index where it was asked."""
    own = desk.library.search(question, desk.corpus, limit)
    record = desk.journal.record(desk.run, FOUND, _key(question))
    if record is None or not record.body["hits"]:
        return own
    sources = desk.corpus.sources
    hits = [Span(sources[place].id, start, end) for place, start, end in record.body["hits"]]
    best = fused([[passage.span for passage in own], hits])[:limit]
    known = {passage.span: passage for passage in own}
    lacking = [span for span, _ in best if span not in known]
    known |= {passage.span: passage for passage in desk.library.passages_in(lacking, desk.paths)}
    return [replace(known[span], score=score) for span, score in best if span in known]


async def _asked(desk: Desk, index: Indexed, question: str) -> Entry:
    body: dict[str, object] = {"question": question, "index": index.name, "hits": []}
    try:
        found = await index.search(question, lambda: _over(desk))
        body["hits"] = [[desk.rank[span.source], span.start, span.end] for span in found]
    except Failed as error:
        body["failed"] = str(error)
    return Entry(kind=FOUND, key=_key(question), body=body)


def _over(desk: Desk) -> bool:
    """Whether the run is to end."""
    left = desk.gate.budget.seconds_left
    return desk.stopping.is_set() or (left is not None and left <= 0)


def _key(question: str) -> str:
    return blake2b(to_bytes(question), digest_size=16).hexdigest()
