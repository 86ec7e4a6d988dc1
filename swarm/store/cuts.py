"""How a corpus was cut into slices before: arithmetic that is the same for the next question, kept in the store.

A cut is named by the sources in their order and by the budget; its spans name sources by their place in the
corpus. It can be lost without harm and is then made again.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from hashlib import blake2b

from swarm.source import Corpus, Span
from swarm.store.database import Database

Cut = tuple[tuple[Span, ...], int]
"""The spans of a slice, and its tokens in o200k."""


class Cuts:
    """The cuts that a store remembers."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def known(self, corpus: Corpus, budget: int) -> list[Cut] | None:
        """The slices of at most `budget` tokens that this corpus was cut into before, or None."""
        ids = [source.id for source in corpus.sources]
        for (slices,) in self._database.read("SELECT slices FROM cuts WHERE key = ?", (_key(ids, budget),)):
            return [
                (tuple(Span(ids[place], start, end) for place, start, end in spans), tokens)
                for spans, tokens in json.loads(slices)
            ]
        return None

    async def keep(self, corpus: Corpus, budget: int, cuts: Iterable[Cut]) -> None:
        """Remember a cut."""
        ids = [source.id for source in corpus.sources]
        places = {id_: place for place, id_ in enumerate(ids)}
        slices = [([(places[s.source], s.start, s.end) for s in spans], tokens) for spans, tokens in cuts]
        row = (_key(ids, budget), json.dumps(slices, separators=(",", ":")))
        await self._database.write(
            lambda connection: connection.execute("INSERT OR REPLACE INTO cuts (key, slices) VALUES (?, ?)", row)
        )


def _key(ids: list[str], budget: int) -> str:
    return blake2b(json.dumps([budget, *ids]).encode(), digest_size=16).hexdigest()
