"""The page of a run as a web application: the page, its data, and a stream of what changes.

    await serve(look, listening, token, ended, begun=lambda: print("it is there"))

FastAPI has the routes and checks what is asked for; `guard` stands before it, and `data` knows the run. Replies
are made in threads, one at a time: a follower is not for several. This module decides nothing.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import socket
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from contextlib import aclosing, contextmanager
from typing import Any

import uvicorn
from fastapi import FastAPI, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, StreamingResponse
from starlette.exceptions import HTTPException

from swarm.errors import SwarmError
from swarm.inspect.data import ENDPOINTS
from swarm.inspect.data.overview import changes
from swarm.inspect.look import Look, Unknown
from swarm.inspect.page.guard import Guard
from swarm.inspect.page.joined import document, policy, to_json
from swarm.observe.log import get_logger, told

log = get_logger("inspect")

EVERY_SECONDS = 1.0
"""Between two looks for something new, for each who listens."""
_HEARTBEAT_SECONDS = 15.0
LISTENERS = 64
"""Who may listen at once."""
_SOCKETS = 256
_GRACE_SECONDS = 2  # for replies to come to their end, once the server is told to stop


def application(look: Look, token: str, port: int, ended: asyncio.Event) -> Guard:
    """All that is served, behind its guard. `ended` is set when the server ends."""
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None, redirect_slashes=False)
    page = "".join(document(None))
    app.get("/")(lambda: HTMLResponse(page))
    for name, endpoint in ENDPOINTS.items():
        app.get(f"/api/{name}")(_route(look, endpoint))

    listeners: set[AsyncIterator[str]] = set()

    async def stream(version: int | None = None) -> Response:
        return StreamingResponse(_listening(look, ended, version, listeners), media_type="text/event-stream")

    app.get("/api/changes")(stream)
    app.add_exception_handler(SwarmError, _refused)
    app.add_exception_handler(RequestValidationError, _wrong)
    app.add_exception_handler(HTTPException, _failed)
    app.add_exception_handler(Exception, _broke)
    return Guard(app, token, port, policy())


def _route(look: Look, endpoint: Callable[..., dict[str, Any]]) -> Callable[..., Response]:
    """An endpoint with the parameters of its function, but for the look."""

    def answer(**given: Any) -> Response:
        with look.lock:
            reply = endpoint(look, **given)
        return _json(reply)

    _, *parameters = inspect.signature(endpoint, eval_str=True).parameters.values()
    answer.__signature__ = inspect.Signature([_query(one) for one in parameters])  # type: ignore[attr-defined]
    return answer


def _query(parameter: inspect.Parameter) -> inspect.Parameter:
    """A parameter as it is called in addresses: without the underscore that keeps it from being Python's word."""
    default = ... if parameter.default is inspect.Parameter.empty else parameter.default
    alias = parameter.name.rstrip("_")
    return parameter.replace(default=Query(default, alias=alias), kind=inspect.Parameter.KEYWORD_ONLY)


def _json(reply: object, status: int = 200) -> Response:
    return Response(to_json(reply), status, media_type="application/json")


# What changes


async def _listening(
    look: Look, ended: asyncio.Event, version: int | None, listeners: set[AsyncIterator[str]]
) -> AsyncIterator[str]:
    """As `_events`, of one who is counted: here, and not before, as many may come at once and some never begin."""
    if len(listeners) >= LISTENERS:
        yield _event("end", {"error": f"{LISTENERS} pages listen already: close some"})
        return
    events = _events(look, ended, version)
    listeners.add(events)
    try:
        async with aclosing(events):
            async for event in events:
                yield event
    finally:
        listeners.discard(events)


async def _events(look: Look, ended: asyncio.Event, version: int | None) -> AsyncGenerator[str]:
    """What is new, at most once a second, for as long as somebody listens; `version` is what they know."""
    heard = time.monotonic()
    while True:
        news = await asyncio.to_thread(_news, look)
        if "error" in news:
            yield _event("end", news)
            return
        if news["version"] != version:
            version, heard = news["version"], time.monotonic()
            yield _event("change", news)
        elif time.monotonic() - heard >= _HEARTBEAT_SECONDS:
            heard = time.monotonic()
            yield ": still here\n\n"
        if await _is_over(ended):
            yield _event("end", {})
            return


def _news(look: Look) -> dict[str, Any]:
    try:
        with look.lock:
            return changes(look)
    except SwarmError as error:
        return {"error": told(error)}


async def _is_over(ended: asyncio.Event) -> bool:
    """Whether the server ends before it is time to look again."""
    try:
        async with asyncio.timeout(EVERY_SECONDS):
            return await ended.wait()
    except TimeoutError:
        return False


def _event(name: str, body: dict[str, Any]) -> str:
    return f"event: {name}\ndata: {to_json(body)}\n\n"


# What is refused, each as one line


async def _refused(_: Request, error: Exception) -> Response:
    return _json({"error": told(error)}, 404 if isinstance(error, Unknown) else 503)


async def _wrong(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    name = ".".join(str(part) for part in first["loc"][1:])[:80]
    return _json({"error": f"{name}: {first['msg'][:200].lower()}"}, 400)


async def _failed(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    words = error.detail if error.status_code != 404 else f"nothing is at {request.url.path[:200]}"
    return _json({"error": words}, error.status_code)


async def _broke(_: Request, error: Exception) -> Response:
    log.error("a reply broke", error=type(error).__name__, said=told(error))
    return _json({"error": "the server made a mistake, and its log tells which"}, 500)


# The server


class _Server(uvicorn.Server):
    """Says when it is there, and leaves signals to whoever serves."""

    def __init__(self, config: uvicorn.Config, begun: Callable[[], None]) -> None:
        super().__init__(config)
        self._begun = begun

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._begun()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def serve(
    look: Look, listening: socket.socket, token: str, ended: asyncio.Event, begun: Callable[[], None]
) -> None:
    """Serve on a socket until `ended` is set; whoever listens then is told, and not waited for."""
    config = uvicorn.Config(
        application(look, token, listening.getsockname()[1], ended),
        http="h11",  # which bounds what it keeps of a request
        ws="none",
        lifespan="off",
        log_config=None,
        log_level=logging.CRITICAL,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        limit_concurrency=_SOCKETS,
        timeout_graceful_shutdown=_GRACE_SECONDS,
    )
    server = _Server(config, begun)

    async def end() -> None:
        await ended.wait()
        server.should_exit = True

    async with asyncio.TaskGroup() as group:
        waits = group.create_task(end())
        await server.serve(sockets=[listening])
        waits.cancel()
