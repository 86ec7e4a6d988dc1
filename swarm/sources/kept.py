"""Text that a run made itself, kept like any source: named by its content, cut into passages, found by the search.

So what rests on the result of a sub-agent is cited like what rests on a file. It does not know who wrote the text.
"""

from __future__ import annotations

from hashlib import blake2b

from swarm.source import Source
from swarm.sources.media import MARKDOWN
from swarm.sources.passages import drafts
from swarm.sources.prose import markdown
from swarm.sources.reading import source_id
from swarm.store.library import Library


def kept_id(text: str) -> str:
    """The id that a text has as a source."""
    return source_id(blake2b(_bytes(text), digest_size=20).digest(), MARKDOWN.name)


def keep(library: Library, text: str, path: str) -> Source:
    """Write a text into the library, unless it is there. Blocks: not for the event loop's thread."""
    id_ = kept_id(text)
    size = len(_bytes(text))
    with library.intake() as intake:
        if library.source(id_) is None:
            intake.begin(source=id_, media=MARKDOWN.name, places=MARKDOWN.places, size=size)
            for draft in drafts(markdown((text,)), MARKDOWN.seen):
                intake.add(draft)
            intake.finish()
            library.database.write_sync(intake.take().write)
    return Source(id=id_, path=path, media=MARKDOWN.name, chars=len(text), bytes=size)


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
