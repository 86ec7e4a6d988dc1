"""The door of the endpoint: who may come in, and by which name the endpoint is called.

It stands before everything else. A name that is not the endpoint's own, or a page of another origin, is turned
away first: a web page must not reach a server on this machine by a name that it controls. Then comes the token, on
every route but that of health. Nothing of a request is read before. This module knows ASGI; no wire but for the
shape of its errors.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Collection, Coroutine, Mapping
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from swarm.observe.log import get_logger
from swarm.serve.clients import Clients
from swarm.serve.reply import Reply, headers_of
from swarm.serve.request import Wire, Wrong
from swarm.serve.wire import WIRES

log = get_logger("serve")

App = Callable[[Any, Any, Any], Coroutine[Any, Any, None]]

HEALTH = "/healthz"
_HERE = {"localhost"}


class Door:
    """Lets in whom `clients` knows. `hosts` are names by which the endpoint may be called beside those of this
    machine; any address is one where `anywhere` is set. `origins` are pages that may call it."""

    def __init__(
        self,
        app: App,
        clients: Clients,
        *,
        hosts: Collection[str] = (),
        origins: Collection[str] = (),
        anywhere: bool = False,
    ) -> None:
        self._app, self._clients = app, clients
        self._hosts = _HERE | {host.lower() for host in hosts}
        self._origins = {origin.lower().rstrip("/") for origin in origins}
        self._anywhere = anywhere

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            return
        headers = headers_of(scope)
        reply = Reply(send)

        async def sent(message: Any) -> None:
            reply.begun = True
            reply.ended = message["type"] == "http.response.body" and not message.get("more_body")
            await send(message)

        try:
            self._check_name(headers)
            if scope["path"] != HEALTH:
                client = self._clients.known(_token(headers))
                if client is None:
                    raise Wrong(401, "give this endpoint's token as Authorization: Bearer, or as x-api-key")
                scope["swarm.client"] = client
            await self._app(scope, receive, sent)
        except Wrong as wrong:
            await reply.wrong(wrong, wire_of(scope["path"], headers))
        except Exception as error:
            frames = traceback.extract_tb(error.__traceback__)
            where = f"{frames[-1].filename.rpartition('/')[2]}:{frames[-1].lineno}" if frames else ""
            log.error("a request broke", error=type(error).__name__, where=where)  # its words may hold content
            await reply.wrong(Wrong(500, "this endpoint made a mistake"), wire_of(scope["path"], headers))

    def _check_name(self, headers: Mapping[str, str]) -> None:
        """Raises:
        Wrong: it is called by a name that is not its own, or by a page of another origin.
        """
        host = _host(f"//{headers.get('host', '')}")
        if host not in self._hosts and not _is_address(host, loopback=not self._anywhere):
            raise Wrong(403, "this endpoint is not called by that name: allow it with --allow-host")
        origin = headers.get("origin", "").lower().rstrip("/")
        if origin and origin not in self._origins:
            raise Wrong(403, "pages of that origin may not call this endpoint: allow it with --allow-origin")


def wire_of(path: str, headers: Mapping[str, str]) -> Wire:
    """In whose shape an error is told."""
    anthropic = path.startswith("/v1/messages") or "anthropic-version" in headers
    return WIRES["messages" if anthropic else "chat"]


def _token(headers: Mapping[str, str]) -> str | None:
    scheme, _, token = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and token.strip():
        return token.strip()
    return headers.get("x-api-key")


def _host(url: str) -> str:
    try:
        return (urlsplit(url).hostname or "").rstrip(".")
    except ValueError:
        return ""


def _is_address(host: str, *, loopback: bool) -> bool:
    """Whether that is an address and no name: no page can make one lead elsewhere."""
    try:
        address = ip_address(host)
    except ValueError:
        return False
    return address.is_loopback or not loopback
