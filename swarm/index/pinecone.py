"""An index in Pinecone, through its official SDK: a space is a namespace of it.

With `embed` vectors are made here; without, the index is one that embeds texts itself (Pinecone's integrated
inference). Pinecone is told of what was added and shows it seconds later. This module does not know what is
indexed.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

from swarm.errors import IndexFailed, UsageError
from swarm.index.base import Closing, Embed, Entry, Hit, clean, last_of_each, said, vectors_of
from swarm.observe.log import hide, redact_text, told

if TYPE_CHECKING:
    from pinecone.async_client.async_index import AsyncIndex

_BATCH = 96  # entries in one request: an index that embeds texts itself takes no more
_IDS = 1_000  # that one request may remove
_MOST = 10_000  # hits of one search
_TEXT_CHARS = 20_000  # of a text that Pinecone embeds: a record takes 40 KB
_NAMESPACE = 200  # characters
_ID = "swarm_id"


class PineconeIndex(Closing):
    """The Pinecone index called `index`; or give its `host`, which spares a request. `api_key` is by default that
    of `PINECONE_API_KEY`. `field` is the field that an index which embeds texts itself takes them from. The extra
    is `pinecone`. The index has to be there: it costs money, so that whoever pays makes it.

    Raises:
        UsageError: neither `index` nor `host` is given; and, of any of its methods, see `Index`.
    """

    def __init__(
        self,
        index: str = "",
        *,
        embed: Embed | None = None,
        api_key: str | None = None,
        host: str = "",
        base_url: str | None = None,
        field: str = "text",
    ) -> None:
        if not index and not host:
            raise UsageError("PineconeIndex needs the name of an index, or its host")
        self.name = f"pinecone {index or redact_text(host)}"
        self._index, self._host, self._base_url = index, host, base_url
        self._embed, self._api_key, self._field = embed, api_key, field
        hide(api_key)
        self._open: tuple[asyncio.AbstractEventLoop, AsyncIndex] | None = None

    async def add(self, space: str, items: Sequence[Entry]) -> None:
        entries = last_of_each(items)
        for start in range(0, len(entries), _BATCH):
            some = entries[start : start + _BATCH]
            if self._embed is None:
                await self._add_texts(space, some)
            else:
                await self._add_vectors(space, some, self._embed)

    async def _add_texts(self, space: str, entries: Sequence[Entry]) -> None:
        records = [
            {"_id": _key(one.id), _ID: json.dumps(one.id), self._field: clean(said(one))[:_TEXT_CHARS] or "-"}
            for one in entries
        ]
        async with self._connected() as index:
            await index.upsert_records(namespace=_namespace(space), records=records)

    async def _add_vectors(self, space: str, entries: Sequence[Entry], embed: Embed) -> None:
        vectors = await asyncio.to_thread(vectors_of, embed, [said(entry) for entry in entries])
        rows = [
            {"id": _key(one.id), "values": vector.tolist(), "metadata": {_ID: json.dumps(one.id)}}
            for one, vector in zip(entries, vectors, strict=True)
            if vector is not None  # Pinecone takes no vector of zeros
        ]
        gone = [one.id for one, vector in zip(entries, vectors, strict=True) if vector is None]
        if gone:
            await self.remove(space, gone)
        if rows:
            async with self._connected() as index:
                await index.upsert(vectors=rows, namespace=_namespace(space))

    async def remove(self, space: str, ids: Sequence[str]) -> None:
        keys = [_key(id_) for id_ in dict.fromkeys(ids)]
        for start in range(0, len(keys), _IDS):
            async with self._connected(missing=True) as index:
                await index.delete(ids=keys[start : start + _IDS], namespace=_namespace(space))

    async def search(self, space: str, query: str, limit: int) -> list[Hit]:
        if limit <= 0 or not query.strip():
            return []
        top, namespace = min(limit, _MOST), _namespace(space)
        (vector,) = await asyncio.to_thread(vectors_of, self._embed, [query])
        found: list[tuple[Any, float]] = []
        async with self._connected(missing=True) as index:
            if self._embed is None:
                inputs = {"text": clean(query)[:_TEXT_CHARS]}
                reply = await index.search(namespace=namespace, top_k=top, inputs=inputs, fields=[_ID])
                found = [(hit.fields, hit.score) for hit in reply.result.hits]
            elif vector is not None:
                answer = await index.query(
                    vector=vector.tolist(), top_k=top, namespace=namespace, include_metadata=True
                )
                found = [(match.metadata, match.score) for match in answer.matches]
        own = [(fields[_ID], score) for fields, score in found if fields and _ID in fields]  # others write too
        return [Hit(str(json.loads(id_)), float(score)) for id_, score in own]

    async def clear(self, space: str) -> None:
        async with self._connected(missing=True) as index:
            await index.delete(delete_all=True, namespace=_namespace(space))

    async def close(self) -> None:
        if self._open is not None:
            loop, index = self._open
            self._open = None
            if loop is asyncio.get_running_loop():  # one of another loop went with it
                await index.close()

    @asynccontextmanager
    async def _connected(self, *, missing: bool = False) -> AsyncIterator[AsyncIndex]:
        """What is asked, with the SDK's errors as one clear line; `missing`: a namespace that is not there is
        no error. Retries are the SDK's."""
        try:
            import pinecone
            from pinecone import errors
        except ImportError:
            raise UsageError("an index in Pinecone needs more: pip install 'swarm-memory[pinecone]'") from None
        try:
            index = await self._opened(pinecone)
            try:
                yield index
            except errors.NotFoundError:
                if not missing:
                    raise
        except (errors.UnauthorizedError, errors.ForbiddenError, errors.NotFoundError, ValueError) as error:
            raise UsageError(f"{self.name} cannot be used ({told(error)}): check its name and the key") from None
        except errors.PineconeError as error:
            raise IndexFailed(f"{self.name} cannot be reached or used: {told(error)}") from None

    async def _opened(self, pinecone: Any) -> AsyncIndex:
        """The client of this event loop."""
        loop = asyncio.get_running_loop()
        if self._open is None or self._open[0] is not loop:
            more = {} if self._base_url is None else {"host": self._base_url}
            async with pinecone.AsyncPinecone(api_key=self._api_key, **more) as client:
                index: AsyncIndex = await client.index(self._index, host=self._host)
            if self._open is not None and self._open[0] is loop:  # another was first
                await index.close()
            else:
                self._open = loop, index
        return self._open[1]


def _key(id_: str) -> str:
    """What an entry is called there: ids are ASCII, and short."""
    return blake2b(id_.encode("utf-8", "surrogatepass"), digest_size=20).hexdigest()


def _namespace(space: str) -> str:
    if space and space.isascii() and space.isprintable() and len(space) <= _NAMESPACE:
        return space
    return f"space-{_key(space)}"
