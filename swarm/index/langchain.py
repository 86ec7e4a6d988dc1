"""An index in any vector store of LangChain: what it holds, and how it compares, is the store's affair.

A store gives scores or distances, of whatever scale: hits are ranked by the order in which they come. Spaces share
a store, told apart by what is kept with each text, or each has one of its own. This module knows LangChain's
interface and no store.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid5

from swarm.errors import IndexFailed, SwarmError
from swarm.index.base import Closing, Entry, Hit, clean, last_of_each, said
from swarm.index.fused import fused
from swarm.observe.log import told

if TYPE_CHECKING:
    from langchain_core.documents import Document
    from langchain_core.vectorstores import VectorStore

_NAMES = UUID("7b0d3a52-6a58-5b0e-9d53-0b6f0e9c1c11")  # of entries: every store takes a UUID
_BATCH = 256
_MORE = 4  # times as much is asked for, where others' entries were among what came
_MOST = 10_000  # documents that one search asks for
_ID, _SPACE = "swarm_id", "swarm_space"


class LangChainIndex(Closing):
    """An index in `store`: a vector store, or a function that gives the one of a space. A store for each space is
    faster and exact: with one for all, others' entries are asked for too and passed over, unless `filter_of` gives
    what the store takes as `filter` to find entries of a space alone (such as `{"swarm_space": space}`).

    Whoever made a store closes it. Raises (any of its methods): see `Index`.
    """

    def __init__(
        self,
        store: VectorStore | Callable[[str], VectorStore],
        *,
        filter_of: Callable[[str], Any] | None = None,
        name: str | None = None,
    ) -> None:
        self._store, self._filter_of = store, filter_of
        self._stores: dict[str, VectorStore] = {}
        self.name = name or f"langchain {getattr(store, '__name__', type(store).__name__)}"

    async def add(self, space: str, items: Sequence[Entry]) -> None:
        entries, store = last_of_each(items), self._of(space)
        for start in range(0, len(entries), _BATCH):
            some = entries[start : start + _BATCH]
            ids = [_key(space, one.id) for one in some]
            await self._delete(store, ids)  # some stores refuse an id that they have
            with _translated(self.name):
                await store.aadd_texts(
                    [clean(said(one)) or "-" for one in some],
                    metadatas=[{_SPACE: _label(space), _ID: json.dumps(one.id)} for one in some],
                    ids=ids,
                )

    async def remove(self, space: str, ids: Sequence[str]) -> None:
        await self._delete(self._of(space), [_key(space, id_) for id_ in dict.fromkeys(ids)])

    async def search(self, space: str, query: str, limit: int) -> list[Hit]:
        if limit <= 0 or not query.strip():
            return []
        found = await self._found(space, clean(query), limit)
        ids = [str(json.loads(one.metadata[_ID])) for one in found]
        return [Hit(id_, score) for id_, score in fused([ids])[:limit]]

    async def clear(self, space: str) -> None:
        """A vector store does not list what it holds: it is searched until nothing of the space is left."""
        gone: set[str] = set()
        while found := await self._found(space, "-", _BATCH):
            ids = [_key(space, str(json.loads(one.metadata[_ID]))) for one in found]
            if gone.issuperset(ids):
                raise IndexFailed(f"{self.name} still finds what it was told to delete: clear it again later")
            await self._delete(self._of(space), ids)
            gone.update(ids)

    async def close(self) -> None:
        """Nothing to do: the stores are those of whoever made them."""
        self._stores.clear()

    def _of(self, space: str) -> VectorStore:
        if not callable(self._store):
            return self._store
        if space not in self._stores:
            self._stores[space] = self._store(space)
        return self._stores[space]

    async def _delete(self, store: VectorStore, ids: list[str]) -> None:
        with _translated(self.name):
            try:
                await store.adelete(ids=ids)
            except (ValueError, KeyError):  # as some stores say that one is not there, and delete none of them
                for id_ in ids:
                    with suppress(ValueError, KeyError):
                        await store.adelete(ids=[id_])

    async def _found(self, space: str, query: str, limit: int) -> list[Document]:
        """Documents of a space, best first: of a store for all, as many are looked at as that takes."""
        store, wanted = self._of(space), _label(space)
        more: dict[str, Any] = {} if self._filter_of is None else {"filter": self._filter_of(space)}
        count = limit
        while True:
            with _translated(self.name):
                came = await store.asimilarity_search_with_score(query, k=count, **more)
            own = [document for document, _ in came if document.metadata.get(_SPACE) == wanted]
            if len(own) >= limit or len(came) < count or count >= _MOST:
                return own[:limit]
            count = min(_MORE * count, _MOST)


@contextmanager
def _translated(name: str) -> Iterator[None]:
    """Whatever a store raises, as one clear line."""
    try:
        yield
    except SwarmError:
        raise
    except Exception as error:
        raise IndexFailed(f"{name} cannot be used ({type(error).__name__}: {told(error)})") from None


def _label(space: str) -> str:
    """What is kept of a space with each text: its name, where a database takes that."""
    return space if clean(space) == space else json.dumps(space)


def _key(space: str, id_: str) -> str:
    """What an entry is called there."""
    return str(uuid5(_NAMES, json.dumps([space, id_])))
