"""The model behind the endpoint: where it is, what it holds and costs, and sending it a body in a wire that it
has.

The key is ours and goes with every request; of the client's headers only those go along that say how the body is
to be understood, and of the reply's headers none that tells of the account. Nothing is retried: that is the
client's business. This module knows HTTP; not what a body says.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from swarm.errors import ModelError
from swarm.models.base import Price
from swarm.models.connection import was_sent
from swarm.models.counters import counter_of
from swarm.models.registry import connect
from swarm.observe.log import hide
from swarm.serve.request import WireName, Wrong
from swarm.tokens import Bound, TokenCounter

if TYPE_CHECKING:
    import httpx2

    from swarm.models.base import Model

_HOMES = {"anthropic": "https://api.anthropic.com", "openai": "https://api.openai.com/v1"}
_KEYS = {"anthropic": "ANTHROPIC_API_KEY", "openai": "OPENAI_API_KEY"}
_URLS = {"anthropic": "ANTHROPIC_BASE_URL", "openai": "OPENAI_BASE_URL"}
_WIRES: dict[str, dict[WireName, WireName]] = {
    "anthropic": {"messages": "messages", "chat": "messages", "responses": "messages"},
    "openai": {"chat": "chat", "responses": "responses", "messages": "chat"},
    "openai-chat": {"chat": "chat", "responses": "chat", "messages": "chat"},
    "openai-responses": {"chat": "responses", "responses": "responses", "messages": "responses"},
}
_PATHS: dict[WireName, str] = {
    "messages": "/v1/messages",
    "chat": "/chat/completions",
    "responses": "/responses",
}
_SENT = ("anthropic-version", "anthropic-beta", "openai-beta", "idempotency-key", "x-client-request-id")
_VERSION = "2023-06-01"
_KEPT_OPEN = 128  # connections that nobody uses at the moment
_KEPT_BACK = {
    "connection", "keep-alive", "proxy-authenticate", "te", "trailer", "transfer-encoding", "upgrade",
    "content-length", "content-encoding", "date", "server", "set-cookie", "alt-svc", "strict-transport-security",
    "openai-organization", "openai-project", "anthropic-organization-id", "anthropic-workspace-id",
    "www-authenticate", "location",
}  # fmt: skip
"""Of the connection, of whoever serves it, and of the account."""


@dataclass(kw_only=True)
class Behind:
    """One model. `window` and `max_output` in tokens; `wires` says for each wire of the endpoint in which the
    model is asked; `model` reads for it, through the SDK."""

    kind: str
    name: str
    url: str
    key: str = field(repr=False)
    window: int
    max_output: int
    price: Price
    counter: TokenCounter
    wires: Mapping[WireName, WireName]
    model: Model

    @property
    def hosted(self) -> bool:
        """Whether the maker of the format itself serves it."""
        return self.url.startswith(tuple(_HOMES.values()))


def behind(
    name: str, *, base_url: str | None = None, window: int | None = None, max_output: int | None = None
) -> Behind:
    """The model of that name, as `connect` takes it; keys and addresses come from the environment as ever.

    Raises:
        ModelError: it is none that speaks one of the wires, or has no key.
    """
    kind, _, bare = name.partition(":")
    if kind not in _WIRES or "|" in name:
        raise ModelError(
            f"no endpoint can be made of {name!r}: give extractive, anthropic:NAME, openai:NAME, openai-chat:NAME "
            "or openai-responses:NAME"
        )
    model = connect(name, base_url=base_url, window=window, max_output=max_output)
    vendor = kind.partition("-")[0]
    url = (base_url or os.environ.get(_URLS[vendor]) or _HOMES[vendor]).rstrip("/")
    key = os.environ.get(_KEYS[vendor]) or os.environ.get(
        "ANTHROPIC_AUTH_TOKEN" if vendor == "anthropic" else "", ""
    )
    hide(key)
    hosted = url.startswith(_HOMES[vendor])
    return Behind(
        kind=kind,
        name=bare,
        url=url,
        key=key,
        window=model.window,
        max_output=model.max_output,
        price=model.price,
        counter=Bound() if vendor == "anthropic" else counter_of(bare, hosted=hosted),
        wires=_WIRES[kind],
        model=model,
    )


class Upstream:
    """Sends to the model behind. Used as a context: its connections are closed at the end."""

    def __init__(self, to: Behind, *, read_seconds: float = 600.0) -> None:
        import httpx2

        self.to = to
        self.answered = 0
        """Tokens of the largest request that was answered: so much it holds, whatever it says."""
        self._free: list[httpx2.AsyncClient] = []
        self._urls: dict[str, httpx2.URL] = {}
        self._timeout = httpx2.Timeout(read_seconds, connect=10.0, pool=None)
        self._trusted = httpx2.create_ssl_context()
        headers = {"content-type": "application/json", "accept-encoding": "identity", "user-agent": "swarm-serve"}
        if to.kind != "anthropic":
            headers["authorization"] = f"Bearer {to.key or 'none'}"
        elif os.environ.get(_KEYS["anthropic"]) or not to.key:
            headers["x-api-key"] = to.key or "none"
        else:
            headers["authorization"] = f"Bearer {to.key}"
        self._headers = headers

    async def __aenter__(self) -> Upstream:
        return self

    async def __aexit__(self, *_: Any) -> None:
        for client in self._free:
            await client.aclose()
        await self.to.model.close()

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[httpx2.AsyncClient]:
        """A client of its own for one request at a time, that is, one connection. The pool of a client that all
        share looks at every connection that it has for each request: with a hundred of them that was most of the
        work."""
        import httpx2

        if self._free:
            client = self._free.pop()
        else:
            client = httpx2.AsyncClient(timeout=self._timeout, verify=self._trusted, follow_redirects=False)
        try:
            yield client
        finally:
            if len(self._free) < _KEPT_OPEN:
                self._free.append(client)
            else:
                await client.aclose()

    def _headers_for(self, wire: WireName, given: Mapping[str, str]) -> dict[str, str]:
        headers = dict(self._headers)
        if wire == "messages":
            headers["anthropic-version"] = _VERSION
        own = ("anthropic-version", "anthropic-beta") if wire == "messages" else ("openai-beta",)
        headers |= {
            name: given[name]
            for name in _SENT
            if name in given
            and given[name].isascii()  # no other header can be sent
            and (name in own or not name.startswith(("anthropic", "openai")))
        }
        return headers

    def _url(self, path: str, query: bytes) -> httpx2.URL:
        """To parse an address is a fiftieth of the work of passing a request on."""
        import httpx2

        if (url := self._urls.get(path)) is None:
            url = self._urls[path] = httpx2.URL(f"{self.to.url}{path}")
        return url.copy_with(query=query) if query else url

    @asynccontextmanager
    async def sending(
        self, wire: WireName, body: bytes, given: Mapping[str, str], *, tail: str = "", query: bytes = b""
    ) -> AsyncIterator[httpx2.Response]:
        """Send a body, and hand over the reply as it begins. Where the block ends early, so does the call.

        Raises:
            Unreached: nothing came back.
        """
        import httpx2

        url = self._url(f"{_PATHS[wire]}{tail}", query)
        headers = self._headers_for(wire, given)
        async with self._connection() as client:
            request = client.build_request("POST", url, content=body, headers=headers)
            try:
                response = await client.send(request, stream=True)
            except httpx2.TimeoutException as error:
                raise Unreached(504, "the model behind did not answer in time", was_sent(error)) from None
            except httpx2.HTTPError as error:
                raise Unreached(502, "the model behind cannot be reached", was_sent(error)) from None
            try:
                if 300 <= response.status_code < 400:
                    raise Unreached(502, "the model behind sends elsewhere: check the base URL", False)
                yield response
            except httpx2.HTTPError:
                raise Unreached(502, "the connection to the model behind broke off", True) from None
            finally:
                await response.aclose()


class Unreached(Wrong):
    """The model behind did not answer, or not to the end. `sent` is true where it may bill the call all the
    same."""

    def __init__(self, status: int, message: str, sent: bool) -> None:
        super().__init__(status, message)
        self.sent = sent


def passed_headers(response: httpx2.Response) -> list[tuple[bytes, bytes]]:
    """Of a reply's headers those that a client may see, as ASGI has them."""
    return [
        (name.lower(), value)
        for name, value in response.headers.raw
        if name.lower().decode("latin-1") not in _KEPT_BACK and not name.lower().startswith(b"access-control-")
    ]
