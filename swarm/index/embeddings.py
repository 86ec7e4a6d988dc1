"""Texts to vectors: an endpoint in OpenAI's format, a model on this machine, or a function of yours, kept in a
store.

What is kept is named by what made it and by a hash of the text, so that no text is paid for twice, by whichever
run or index it is asked for. Vectors cost money where an endpoint makes them: they are no calls of a run, its
limits do not count them, and `calls` and `tokens` say what an embedding has used. This module does not know what
is embedded.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from swarm.errors import IndexFailed, ModelError
from swarm.index.base import Embed
from swarm.observe.log import hide, redact_text, told
from swarm.store.shared import shared_store
from swarm.tokens import o200k

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from openai import OpenAI

_TEXTS, _TOKENS = 256, 200_000  # in one request: OpenAI takes 2,048, and 300,000
_LONGEST = 7_500  # tokens of one text: OpenAI takes 8,191 of another encoding
_LONGEST_CHARS = 6 * _LONGEST  # are counted, at the most
_KEPT_AT_ONCE = 512
_RETRIES, _SECONDS = 5, 60.0


class Cached:
    """Vectors of `embed`, kept in a store: what it was asked before, it is not asked again. `name` says what makes
    the vectors, with all that they depend on; None takes that of `embed`.

    Raises:
        ModelError: there is no name.
    """

    def __init__(self, embed: Embed, store: Path | str | None = None, *, name: str | None = None) -> None:
        self.name = name or str(getattr(embed, "name", ""))
        if not self.name:
            raise ModelError("vectors are kept by what made them: give Cached a name, such as that of the model")
        self._embed, self._store = embed, store
        self._one = threading.Lock()

    def __call__(self, texts: Sequence[str]) -> Sequence[Sequence[float]]:
        """Blocks. A part that is made is kept before the next is asked for.

        Raises:
            StoreError: the store cannot be used.
        """
        keys = [_key(self.name, text) for text in texts]
        by_key = dict(zip(keys, texts, strict=True))
        with self._one, shared_store(self._store) as opened:  # one at a time: two may be asked for the same
            database = opened.store.database
            known: dict[bytes, bytes] = {}
            for some in _parts(list(by_key), _KEPT_AT_ONCE):
                marks = ",".join("?" * len(some))
                sql = f"SELECT key, vector FROM embeddings WHERE key IN ({marks})"  # noqa: S608
                known.update(database.read(sql, some))
            missing = [key for key in by_key if key not in known]
            for some in _parts(missing, _TEXTS):
                vectors = self._embed([by_key[key] for key in some])
                rows = [(key, _packed(vector)) for key, vector in zip(some, vectors, strict=True)]

                def keep(connection: Any, rows: Sequence[tuple[bytes, bytes]] = rows) -> None:
                    sql = "INSERT INTO embeddings (key, vector) VALUES (?, ?) ON CONFLICT DO NOTHING"
                    connection.executemany(sql, rows)

                database.write_sync(keep)
                known.update(rows)
        return [_unpacked(known[key]) for key in keys]  # type: ignore[misc]

    def close(self) -> None:
        """Of what it asks."""
        if (close := getattr(self._embed, "close", None)) is not None:
            close()


class OpenAIEmbeddings:
    """Vectors from OpenAI, or, with `base_url`, from any endpoint in its format (vLLM, Ollama, llama.cpp, a
    proxy).

    `api_key` is by default that of `OPENAI_API_KEY`. `dimensions` shortens the vectors, where the model can.
    With `store` they are kept there, and asked for once; without, each call is paid. Of a long text the first
    7,500 tokens are embedded. What fails for a while is tried again by the SDK, five times.

    Raises (when called):
        ModelError: no key, or one that is not taken; no such model.
        IndexFailed: the endpoint cannot be reached, or fails again and again.
    """

    def __init__(
        self,
        model: str = "text-embedding-3-small",
        *,
        base_url: str | None = None,
        api_key: str | None = None,
        dimensions: int | None = None,
        store: Path | str | None = None,
    ) -> None:
        place = redact_text(base_url) if base_url else "openai"
        self.name = f"{place} {model}" + (f" {dimensions}" if dimensions else "")
        self.calls = self.tokens = 0
        self._model, self._dimensions = model, dimensions
        self._base_url, self._api_key = base_url, api_key
        hide(api_key)
        self._client: OpenAI | None = None
        self._one = threading.Lock()
        self._kept = Cached(self._asked, store, name=self.name) if store is not None else None

    def __call__(self, texts: Sequence[str]) -> Sequence[Sequence[float]]:
        return self._kept(texts) if self._kept is not None else self._asked(texts)

    def close(self) -> None:
        """Let go of connections. Safe to call twice; what is used again is opened again."""
        with self._one:
            if self._client is not None:
                self._client.close()
                self._client = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _asked(self, texts: Sequence[str]) -> list[Sequence[float]]:
        found: list[Sequence[float]] = []
        for some in _requests([_shortened(text) for text in texts]):
            found += self._request(some)
        return found

    def _request(self, texts: list[str]) -> list[list[float]]:
        import openai

        more: dict[str, Any] = {} if self._dimensions is None else {"dimensions": self._dimensions}
        try:
            reply = self._connected().embeddings.create(
                model=self._model, input=texts, encoding_format="float", **more
            )
        except (openai.AuthenticationError, openai.PermissionDeniedError, openai.NotFoundError) as error:
            raise ModelError(f"{self.name} does not embed ({told(error)}): check the key and the model") from None
        except openai.OpenAIError as error:
            raise IndexFailed(f"{self.name} does not embed: {told(error)}") from None
        except ValueError:
            raise IndexFailed(f"{self.name} does not embed: its reply is no JSON") from None
        data: list[openai.types.Embedding] = getattr(reply, "data", None) or []  # the SDK checks no reply
        if len(data) != len(texts):
            raise IndexFailed(f"{self.name} gave {len(data)} vectors for {len(texts)} texts")
        with self._one:
            self.calls += 1
            self.tokens += reply.usage.prompt_tokens if reply.usage is not None else 0
        return [one.embedding for one in sorted(data, key=lambda one: one.index or 0)]

    def _connected(self) -> OpenAI:
        from openai import OpenAI, OpenAIError

        with self._one:
            if self._client is None:
                key = self._api_key or ("none" if self._base_url else None)  # a server of one's own asks for none
                try:
                    self._client = OpenAI(
                        api_key=key, base_url=self._base_url, max_retries=_RETRIES, timeout=_SECONDS
                    )
                except OpenAIError:
                    raise ModelError(
                        "OpenAI's embeddings need a key: set OPENAI_API_KEY, or give api_key"
                    ) from None
            return self._client


class LocalEmbeddings:
    """Vectors from a model of sentence-transformers, on this machine: the extra `embeddings`. The model is loaded,
    and fetched where it is not there, when it is first used. With `store` its vectors are kept: that spares time.

    Raises (when called):
        ModelError: the extra is missing, or the model cannot be loaded.
    """

    def __init__(self, model: str = "all-MiniLM-L6-v2", *, store: Path | str | None = None) -> None:
        self.name = f"sentence-transformers {model}"
        self._model_name, self._model = model, None
        self._one = threading.Lock()
        self._kept = Cached(self._made, store, name=self.name) if store is not None else None

    def __call__(self, texts: Sequence[str]) -> Sequence[Sequence[float]]:
        return self._kept(texts) if self._kept is not None else self._made(texts)

    def _made(self, texts: Sequence[str]) -> list[Sequence[float]]:
        with self._one:  # one model, one text at a time
            vectors = self._loaded().encode(list(texts), show_progress_bar=False)
        return list(vectors)

    def _loaded(self) -> Any:
        if self._model is None:
            try:
                from sentence_transformers import SentenceTransformer  # type: ignore[import-not-found]
            except ImportError:
                raise ModelError(
                    "a model on this machine needs more: pip install 'swarm-memory[embeddings]'"
                ) from None
            try:
                self._model = SentenceTransformer(self._model_name)
            except (OSError, ValueError) as error:
                raise ModelError(f"{self._model_name} cannot be loaded: {told(error)}") from None
        return self._model


def _key(name: str, text: str) -> bytes:
    said = f"{name}\0{text}".encode("utf-8", "surrogatepass")
    return blake2b(said, digest_size=20).digest()


def _packed(vector: Sequence[float]) -> bytes:
    import numpy as np

    return np.asarray(vector, dtype=np.float32).tobytes()


def _unpacked(vector: bytes) -> NDArray[np.float32]:
    import numpy as np

    return np.frombuffer(vector, dtype=np.float32)


def _parts(items: list[bytes], size: int) -> Iterator[list[bytes]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]


def _requests(texts: Sequence[str]) -> Iterator[list[str]]:
    """As many texts together as a request may hold."""
    some: list[str] = []
    tokens = 0
    for text in texts:
        size = o200k(text)
        if some and (len(some) == _TEXTS or tokens + size > _TOKENS):
            yield some
            some, tokens = [], 0
        some.append(text)
        tokens += size
    if some:
        yield some


def _shortened(text: str) -> str:
    """As much of a text as one vector is made of; an endpoint takes no empty one."""
    text = text[:_LONGEST_CHARS].encode("utf-8", "replace").decode()
    while (size := o200k(text)) > _LONGEST:
        text = text[: int(len(text) * _LONGEST / size * 0.98)]
    return text if text.strip() else "-"
