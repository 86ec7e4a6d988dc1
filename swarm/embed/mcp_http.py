"""The MCP server over streamable HTTP: on this machine alone, behind a token, with sessions.

Whoever does not bring the token gets nothing. The headers Host and Origin are held to this machine's own names, so
that no web page reaches the server through a name that it points here. This module knows addresses and tokens;
what is served is the business of `mcp`.
"""

from __future__ import annotations

import asyncio
import hmac
import os
import secrets
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from swarm.embed.jobs import Jobs
from swarm.embed.mcp import mcp_server
from swarm.equipment import Tool
from swarm.errors import UsageError

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

PATH = "/mcp"
LOOPBACK = ("127.0.0.1", "::1", "localhost")
_LEAST_TOKEN = 16  # characters
_MOST_TOKEN = 4_096
_BODY_BYTES = 1 << 20  # of a request: a question and some paths
_IDLE_SECONDS = 3_600.0  # after which a session that nobody uses is forgotten; its tasks go on
_SESSIONS = 200
_WAITING = 128  # connections that are not taken yet
_CLOSING_SECONDS = 2  # for which open streams are waited for when the server ends


def http_app(jobs: Jobs, token: str, more: Sequence[Tool] = ()) -> ASGIApp:
    """The server of `mcp_server` as an ASGI application, at `PATH`; its lifespan has to be run.

    Raises:
        UsageError: the SDK is not installed, or the token is too short.
    """
    if len(token) < _LEAST_TOKEN:
        raise UsageError(f"the token has {len(token)} characters: give one of {_LEAST_TOKEN} at the least")
    app = mcp_server(jobs, more).streamable_http_app(
        streamable_http_path=PATH,
        host="127.0.0.1",  # by which the SDK holds Host and Origin to this machine's names
        max_request_body_size=_BODY_BYTES,
        session_idle_timeout=_IDLE_SECONDS,
        max_sessions=_SESSIONS,
    )
    return _Guarded(app, token)


def listening(address: str) -> socket.socket:
    """A socket at `[HOST:]PORT` of this machine; the port 0 takes any that is free.

    Raises:
        UsageError: it is no such address, or it is taken.
    """
    host, _, number = address.rpartition(":")
    host = host.strip("[]") or LOOPBACK[0]
    if host not in LOOPBACK:
        raise UsageError(
            f"{address!r:.100}: the server listens on this machine alone ({', '.join(LOOPBACK)}): "
            "to serve others, put a proxy with TLS in front of it"
        )
    if not number.isdecimal() or int(number) > 65_535:
        raise UsageError(f"{address!r:.100} names no port: give [HOST:]PORT")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    taken = socket.socket(family, socket.SOCK_STREAM)
    taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        taken.bind((host, int(number)))
        taken.listen(_WAITING)  # at once: whoever is told the address may come before all else is loaded
    except OSError as error:
        taken.close()
        said = (error.strerror or "unknown").lower()
        raise UsageError(f"{host}:{number} cannot be listened on: {said}") from None
    return taken


def url_of(listens: socket.socket) -> str:
    host, port = listens.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}{PATH}"


async def serve_http(
    jobs: Jobs, listens: socket.socket, token: str, stopped: asyncio.Event, more: Sequence[Tool] = ()
) -> None:
    """Serve all who bring the token, until `stopped` is set. The socket is closed.

    Raises:
        UsageError: as `http_app`.
    """
    import uvicorn

    class Server(uvicorn.Server):
        @contextmanager
        def capture_signals(self) -> Iterator[None]:
            """Not here: whoever serves has tasks to end before the process may."""
            yield

    config = uvicorn.Config(
        http_app(jobs, token, more),
        log_config=None,
        access_log=False,
        lifespan="on",
        timeout_graceful_shutdown=_CLOSING_SECONDS,
        server_header=False,
    )
    server = Server(config)

    async def end() -> None:
        await stopped.wait()
        server.should_exit = True

    with listens:
        async with asyncio.TaskGroup() as group:
            waits = group.create_task(end())
            await server.serve(sockets=[listens])
            waits.cancel()


def token_in(path: Path) -> str:
    """The token that a file holds; one is made where there is no such file, for its owner alone.

    Raises:
        UsageError: it cannot be read or made, or holds no token.
    """
    try:
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            made = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(made, "w") as file:
                file.write(f"{secrets.token_urlsafe(32)}\n")
        with path.open(encoding="ascii") as file:
            token = file.read(_MOST_TOKEN).strip()
    except OSError as error:
        said = (error.strerror or "unknown").lower()
        raise UsageError(f"{path} cannot hold the token: {said}") from None
    except UnicodeDecodeError:
        token = ""
    if len(token) < _LEAST_TOKEN or not token.isprintable() or " " in token:
        raise UsageError(
            f"{path} holds no token: one line of {_LEAST_TOKEN} characters or more; "
            "delete the file to have one made"
        )
    return token


class _Guarded:
    """Lets through only those who bring the token. The comparison takes as long whatever is brought."""

    def __init__(self, app: ASGIApp, token: str) -> None:
        self._app, self._token = app, token.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan" or (scope["type"] == "http" and self._brings(scope)):
            await self._app(scope, receive, send)
            return
        from starlette.responses import JSONResponse

        refusal: Any = JSONResponse(
            {"error": "a token is needed: send it as Authorization: Bearer TOKEN"},
            status_code=401,
            headers={"WWW-Authenticate": "Bearer"},
        )
        await refusal(scope, receive, send)

    def _brings(self, scope: Scope) -> bool:
        given = [value for name, value in scope["headers"] if name == b"authorization"]
        kind, _, token = given[0].partition(b" ") if len(given) == 1 else (b"", b"", b"")
        return kind.lower() == b"bearer" and hmac.compare_digest(token.strip(), self._token)
