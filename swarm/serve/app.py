"""The endpoint as an ASGI application: the routes, what is open while it serves, and its description.

    async with opened(serving) as endpoint:
        await uvicorn.Server(uvicorn.Config(application(serving, endpoint))).serve()

FastAPI has the routes and the description; bodies go by it unread, to `endpoint`. This module decides nothing.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from swarm.models.registry import connect
from swarm.serve import describe
from swarm.serve.clients import Client, Clients
from swarm.serve.counting import Counting
from swarm.serve.door import HEALTH, Door, wire_of
from swarm.serve.endpoint import Endpoint, Terms
from swarm.serve.fold import VIEW_TOKENS, folding
from swarm.serve.reply import headers_of
from swarm.serve.request import WireName, Wrong
from swarm.serve.spending import Account
from swarm.serve.upstream import Behind, Upstream
from swarm.serve.wire import PATHS
from swarm.tokens import Exact

COUNTS: dict[str, WireName] = {
    "/v1/messages/count_tokens": "messages",
    "/v1/responses/input_tokens": "responses",
}


@dataclass(frozen=True, kw_only=True)
class Serving:
    """What is served. `to` is the model behind, None for none; `hosts`, `origins` and `anywhere` as in `Door`."""

    clients: Clients
    to: Behind | None = None
    store: Path | str | None = None
    window: int | None = None
    concurrency: int | None = None
    view_tokens: int = VIEW_TOKENS
    hosts: tuple[str, ...] = ()
    origins: tuple[str, ...] = ()
    anywhere: bool = False
    terms: Terms = field(default_factory=Terms)


@asynccontextmanager
async def opened(serving: Serving) -> AsyncIterator[Endpoint]:
    """All that serves, for the length of the block.

    Raises:
        StoreError: the store cannot be used.
    """
    to = serving.to
    model = to.model if to is not None else connect("extractive", window=serving.window)
    counting = Counting(to.counter if to is not None else Exact())
    async with AsyncExitStack() as stack:
        folds = await stack.enter_async_context(
            folding(
                store=serving.store,
                model=model,
                window=model.window,
                counter=counting.counter,
                concurrency=serving.concurrency,
                view_tokens=serving.view_tokens,
            )
        )
        upstream = await stack.enter_async_context(Upstream(to)) if to is not None else None
        journal = folds.opened.store.journal
        costs = to is not None and to.price.worst(1_000, 1_000) > 0
        accounts = {}
        for client in serving.clients:
            recorded = client.bounded or costs
            account = Account(client, journal, to.name if to is not None else "extractive", recorded=recorded)
            accounts[client.name] = account
            await account.restore(folds.readings.spent)
        yield Endpoint(terms=serving.terms, folding=folds, counting=counting, accounts=accounts, upstream=upstream)


def application(serving: Serving, endpoint: Endpoint) -> Door:
    """The application, with its door. Whoever serves it keeps the endpoint open."""
    return Door(
        _routes(endpoint),
        serving.clients,
        hosts=serving.hosts,
        origins=serving.origins,
        anywhere=serving.anywhere,
    )


class _Answer(Response):
    """A response that is yet to be made: it gets hold of the connection itself."""

    def __init__(self, work: Callable[[Any, Any, Any], Coroutine[Any, Any, None]]) -> None:
        self._work = work
        self.background = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self._work(scope, receive, send)


def _routes(endpoint: Endpoint) -> FastAPI:
    app = FastAPI(
        title="swarm serve",
        description=describe.DESCRIPTION,
        version=version("swarm-memory"),
        docs_url=None,
        redoc_url=None,
    )
    app.state.endpoint = endpoint
    app.state.since = datetime.now(UTC).replace(microsecond=0)
    for path, name in PATHS.items():
        _add(app, path, name, counts=False)
    for path, name in COUNTS.items():
        _add(app, path, name, counts=True)
    app.get("/v1/models", summary="The model behind, in either vendor's shape.", operation_id="models")(_models)
    app.get("/v1/models/{name:path}", summary="One model.", operation_id="model")(_model)
    app.get(HEALTH, summary="Whether it serves. Needs no token.", operation_id="health")(_health)
    app.add_exception_handler(HTTPException, _failed)
    app.add_exception_handler(Exception, _broke)
    _describe(app)
    return app


def _add(app: FastAPI, path: str, name: WireName, *, counts: bool) -> None:
    async def answer(request: Request) -> Response:
        endpoint: Endpoint = request.app.state.endpoint
        client: Client = request.scope["swarm.client"]
        serve = endpoint.count if counts else endpoint.serve
        return _Answer(lambda scope, receive, send: serve(name, scope, receive, send, client))

    app.post(
        path,
        summary="Tokens of a request, never fewer than are billed." if counts else f"Answer by the {name} wire.",
        operation_id=f"{name}_{'tokens' if counts else 'reply'}",
        openapi_extra=describe.operation(name, counts=counts),
        response_class=Response,
    )(answer)


async def _health() -> dict[str, str]:
    return {"status": "ok"}


async def _models(request: Request) -> JSONResponse:
    made = _told(request)
    if "anthropic-version" in request.headers:
        return JSONResponse({"data": [made], "has_more": False, "first_id": made["id"], "last_id": made["id"]})
    return JSONResponse({"object": "list", "data": [made]})


async def _model(request: Request, name: str) -> JSONResponse:
    made = _told(request)
    if name != made["id"]:
        raise HTTPException(404, "there is no model of that name here")
    return JSONResponse(made)


def _told(request: Request) -> dict[str, Any]:
    endpoint: Endpoint = request.app.state.endpoint
    since: datetime = request.app.state.since
    if "anthropic-version" in request.headers:
        longest = endpoint.upstream.to.max_output if endpoint.upstream is not None else endpoint.folding.window
        return describe.anthropic_model(endpoint.model, since.isoformat(), longest)
    return describe.openai_model(endpoint.model, int(since.timestamp()))


async def _failed(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    words = error.detail if error.detail != "Not Found" else f"nothing is at {request.url.path[:200]}"
    wire = wire_of(request.url.path, headers_of(request.scope))
    return JSONResponse(
        wire.error(Wrong(error.status_code, words)), status_code=error.status_code, headers=error.headers
    )


async def _broke(request: Request, _error: Exception) -> JSONResponse:
    """The shape that the client knows; the door logs what broke."""
    wire = wire_of(request.url.path, headers_of(request.scope))
    return JSONResponse(wire.error(Wrong(500, "this endpoint made a mistake")), status_code=500)


def _describe(app: FastAPI) -> None:
    """FastAPI's own description, with how one comes in."""
    made = app.openapi

    def described() -> dict[str, Any]:
        document = made()
        document.setdefault("components", {})["securitySchemes"] = describe.SECURITY
        for path, operations in document["paths"].items():
            for told in operations.values():
                told.setdefault("security", [] if path == HEALTH else [{"bearer": []}, {"key": []}])
        return document

    app.openapi = described  # type: ignore[method-assign]  # as FastAPI's docs have it
