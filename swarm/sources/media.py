"""What kind of text a file holds, by its name and its first bytes, and which reader makes units of it.

The reader's version is part of a source's id: raise it when a reader changes what it makes of the same bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import PurePosixPath

from swarm.sources import prose, records
from swarm.sources.units import Unit

READER = 1

TextReader = Callable[[Iterable[str]], Iterator[Unit]]

_ENDINGS = {
    "markdown": "md markdown mdown mkd mkdn mdx",
    "jsonl": "jsonl ndjson jsonlines",
}
_BY_ENDING = {ending: media for media, endings in _ENDINGS.items() for ending in endings.split()}


def media_of(name: str) -> str:
    """The media of a file called `name`."""
    return _BY_ENDING.get(PurePosixPath(name).suffix.lower().lstrip("."), "text")


def reader_of(media: str) -> TextReader:
    return {"markdown": prose.markdown, "jsonl": records.jsonl}.get(media, prose.text)
