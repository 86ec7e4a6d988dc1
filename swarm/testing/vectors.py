"""SIMULATED: vectors by words, and a server on a loopback address that makes and keeps them.

    with VectorServer() as server:
        embed = OpenAIEmbeddings("any", base_url=server.openai_url)
        index = PineconeIndex("any", api_key="any", base_url=server.url, embed=embed)

It speaks what `swarm.index` uses of Pinecone's REST interface and of OpenAI's embeddings. A vector counts the
stems of its text, folded into a few hundred numbers: texts that share words are near each other, and those that
say the same in other words are not. So it shows that an index works, and nothing of how well a model embeds.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from typing import Any
from urllib.parse import unquote

from swarm.terms import STOP, terms
from swarm.testing.exchange import Exchange, Receive, Scope, Send
from swarm.testing.loopback import Loopback
from swarm.tokens import o200k

SIZE = 512
"""Numbers in a vector."""

_Spaces = dict[str, dict[str, tuple[list[float], dict[str, Any]]]]


def by_words(texts: Sequence[str]) -> list[list[float]]:
    """Vectors of the words of texts: an `Embed` that needs no model. That of a text without words is all zeros."""
    return [_vector(text) for text in texts]


def _vector(text: str) -> list[float]:
    vector = [0.0] * SIZE
    words = terms(text)
    for word, count in Counter(word for word in words if word not in STOP or len(words) == 1).items():
        number = int.from_bytes(blake2b(word.encode("utf-8", "replace"), digest_size=8).digest(), "big")
        vector[number % SIZE] += (1 if number >> 32 & 1 else -1) * count**0.5
    return vector


def _cosine(one: Sequence[float], other: Sequence[float]) -> float:
    product = sum(a * b for a, b in zip(one, other, strict=True))
    norms = sum(a * a for a in one) * sum(b * b for b in other)
    return float(product / norms**0.5) if norms else 0.0


class VectorServer(Loopback):
    """A server for the length of a `with` block: `url` is that of Pinecone's API, and of its one index, which goes
    by any name; `openai_url` is the base URL for OpenAI's embeddings. `requests` counts them by path; `texts` are
    all that were sent to be embedded. `failures` are HTTP statuses, used up one a request. `key` is the only one
    that is taken, None any."""

    def __init__(self, *, key: str | None = None) -> None:
        self.key = key
        self.requests: Counter[str] = Counter()
        self.texts: list[str] = []
        self.failures: list[int] = []
        self.spaces: _Spaces = {}

    @property
    def openai_url(self) -> str:
        return f"{self.url}/v1"

    async def _app(self, scope: Scope, receive: Receive, send: Send) -> None:
        exchange = Exchange(scope, receive, send)
        body = await exchange.body()
        self.requests[exchange.path] += 1
        headers = {name.decode().lower(): value.decode() for name, value in scope["headers"]}
        given = headers.get("api-key") or headers.get("authorization", "").removeprefix("Bearer ")
        if self.key is not None and given != self.key:
            status, said = 401, _error("UNAUTHENTICATED", "no such key")
        elif self.failures:
            status, said = self.failures.pop(0), _error("INTERNAL", "simulated")
        else:
            status, said = self._answer(exchange.path, body)
        await exchange.reply_json(status, {}, said)

    def _answer(self, path: str, body: bytes) -> tuple[int, dict[str, Any]]:
        if path.startswith("/records/namespaces/"):
            name, _, what = path.removeprefix("/records/namespaces/").partition("/")
            return self._records(unquote(name), what, body)
        if path.startswith("/indexes/"):
            return 200, _described(path.removeprefix("/indexes/"), self.url)
        asked = json.loads(body) if body else {}
        match path:
            case "/v1/embeddings":
                return 200, self._embedded(asked)
            case "/vectors/upsert":
                for one in asked["vectors"]:
                    held = self.spaces.setdefault(asked.get("namespace", ""), {})
                    held[one["id"]] = (one["values"], one.get("metadata", {}))
                return 200, {"upsertedCount": len(asked["vectors"])}
            case "/vectors/delete":
                return self._deleted(asked)
            case "/query":
                space = asked.get("namespace", "")
                found = self._near(space, asked["vector"], asked["topK"])
                matches = [{"id": id_, "score": score, "metadata": fields} for id_, score, fields in found]
                return 200, {"matches": matches, "namespace": space, "usage": {"readUnits": 1}}
        return 404, _error("NOT_FOUND", f"nothing is at {path}")

    def _records(self, space: str, what: str, body: bytes) -> tuple[int, dict[str, Any]]:
        """Of an index that embeds texts itself."""
        if what == "upsert":
            for line in body.splitlines():
                record = json.loads(line)
                self.texts.append(record["text"])
                fields = {name: value for name, value in record.items() if name != "_id"}
                self.spaces.setdefault(space, {})[record["_id"]] = (_vector(record["text"]), fields)
            return 201, {}
        query = json.loads(body)["query"]
        found = self._near(space, _vector(query["inputs"]["text"]), query["top_k"])
        hits = [{"_id": id_, "_score": score, "fields": fields} for id_, score, fields in found]
        return 200, {"result": {"hits": hits}, "usage": {"read_units": 1, "embed_total_tokens": 1}}

    def _deleted(self, asked: Mapping[str, Any]) -> tuple[int, dict[str, Any]]:
        held = self.spaces.get(asked["namespace"])
        if held is None:
            return 404, _error("NOT_FOUND", "Namespace not found")
        if asked.get("deleteAll"):
            del self.spaces[asked["namespace"]]
        for id_ in asked.get("ids", ()):
            held.pop(id_, None)
        return 200, {}

    def _near(self, space: str, vector: Sequence[float], count: int) -> list[tuple[str, float, dict[str, Any]]]:
        scored = [
            (id_, _cosine(vector, held), fields) for id_, (held, fields) in self.spaces.get(space, {}).items()
        ]
        return sorted(scored, key=lambda one: (-one[1], one[0]))[:count]

    def _embedded(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        texts = [asked["input"]] if isinstance(asked["input"], str) else asked["input"]
        self.texts += texts
        tokens = sum(o200k(text) for text in texts)
        size = asked.get("dimensions", SIZE)
        data = [
            {"object": "embedding", "index": number, "embedding": vector[:size]}
            for number, vector in enumerate(by_words(texts))
        ]
        usage = {"prompt_tokens": tokens, "total_tokens": tokens}
        return {"object": "list", "model": asked["model"], "data": data, "usage": usage}


def _error(code: str, message: str) -> dict[str, Any]:
    return {"error": {"code": code, "message": message}, "status": 0}


def _described(name: str, url: str) -> dict[str, Any]:
    return {
        "name": name,
        "host": url,
        "schema": {"fields": {"values": {"type": "dense_vector", "dimension": SIZE, "metric": "cosine"}}},
        "deployment": {"deployment_type": "managed", "cloud": "aws", "region": "us-east-1"},
        "read_capacity": {"mode": "OnDemand", "status": {"state": "Ready"}},
        "deletion_protection": "disabled",
        "status": {"ready": True, "state": "Ready"},
    }
