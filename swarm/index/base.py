"""What an index is: texts are put into named spaces, and found again by a query.

Texts and queries are data: no text of theirs is ever taken for an expression of a query language. This module
knows no index.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self, runtime_checkable

from swarm.errors import IndexFailed, SwarmError, UsageError
from swarm.observe.log import told

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Embed = Callable[[Sequence[str]], Sequence[Sequence[float]]]
"""From texts to vectors of one length, in the same order. It may block: it is called on a thread. One that has a
`name` is told by it from others, whose vectors are not to be compared with its own."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A text that can be found. `id` is any text, and its own in its space; `context` is what the text stands
    under (a title, headings, who said it and when): it helps to find it, and counts less than the text."""

    id: str
    text: str
    context: str = ""


@dataclass(frozen=True, slots=True)
class Hit:
    """An entry that was found. A higher score is better; it orders the hits of one search and compares to no
    other."""

    id: str
    score: float


@runtime_checkable
class Index(Protocol):
    """What all of them do alike. A space is what is searched together, such as a corpus or a memory; it begins
    with the first entry that is put into it, and what is in one changes nothing in another.

    Any of these may be called at any time, from one event loop, several at once. Whoever made an index closes it.

    Raises (any of its methods):
        UsageError: it cannot work as it was made: a missing extra, vectors of another length.
        IndexFailed: it cannot be reached or used now.
    """

    async def add(self, space: str, items: Sequence[Entry]) -> None:
        """Put entries into a space; writing an id again replaces it. What was cut off is written again from the
        beginning: that does no harm."""

    async def remove(self, space: str, ids: Sequence[str]) -> None:
        """Take entries out of a space. Those that are not there are passed over."""

    async def search(self, space: str, query: str, limit: int) -> list[Hit]:
        """The entries that answer a query best, at most `limit`, best first. None in a space that is not there."""

    async def clear(self, space: str) -> None:
        """Take everything out of a space."""

    async def close(self) -> None:
        """Let go of connections and files. Safe to call twice; what is used again is opened again."""


def checked(index: Index | None) -> Index | None:
    """What was given as an index, where it is one or None.

    Raises:
        UsageError: it is something else.
    """
    if index is not None and not isinstance(index, Index):
        raise UsageError(
            f"index takes one of swarm.index, or what does as its Index says, and not {type(index).__name__!r}"
        )  # not the value: it may be an address with a password
    return index


class Closing:
    """An index in an `async with` block: closed at its end."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """See `Index.close`."""


def said(entry: Entry) -> str:
    """An entry as one text: what is embedded."""
    return f"{entry.context}\n{entry.text}" if entry.context else entry.text


def last_of_each(items: Sequence[Entry]) -> list[Entry]:
    """Without those that a later one of the same id replaces."""
    return list({entry.id: entry for entry in items}.values())


def clean(text: str) -> str:
    """A text without what databases refuse: halves of surrogate pairs, and zero bytes."""
    return text.encode("utf-8", "replace").decode().replace("\0", " ")


def vectors_of(embed: Embed | None, texts: Sequence[str]) -> list[NDArray[np.float32] | None]:
    """None for each text where there is no embedding, or nothing in it that the embedding knows. Blocks.

    Raises:
        UsageError, IndexFailed: as the embedding says; it fails, or what it gives are no vectors of one length.
    """
    if embed is None or not texts:
        return [None] * len(texts)
    import numpy as np

    try:
        vectors = [np.asarray(vector, dtype=np.float32) for vector in embed(texts)]
    except SwarmError:
        raise
    except Exception as error:  # it is the user's, and may raise anything
        raise IndexFailed(f"the embedding failed ({type(error).__name__}: {told(error)})") from None
    if len(vectors) != len(texts):
        raise IndexFailed(f"the embedding gave {len(vectors)} vectors for {len(texts)} texts")
    if len(shapes := {vector.shape for vector in vectors}) > 1 or len(shapes.pop()) != 1:
        raise IndexFailed("the embedding gave other things than vectors of one length")
    return [vector if vector.any() and np.isfinite(vector).all() else None for vector in vectors]


def made_by(embed: Embed | None, vectors: Sequence[NDArray[np.float32] | None]) -> str | None:
    """What tells vectors from others that they do not compare to: the name of their embedding and their length.
    None where there are no vectors."""
    size = next((len(vector) for vector in vectors if vector is not None), None)
    return None if embed is None or size is None else f"{getattr(embed, 'name', '')}:{size}"


def other_vectors(held: str, given: str) -> UsageError:
    """What to raise where vectors do not compare to those that a space holds."""
    (name, _, size), (other, _, others) = held.rpartition(":"), given.rpartition(":")
    return UsageError(
        f"the index holds vectors of {name or 'an embedding'} with {size} numbers, and these are of "
        f"{other or 'one'} with {others}: use the same embedding, or clear the space and add its entries again"
    )
