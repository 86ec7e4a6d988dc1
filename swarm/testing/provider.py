"""A provider on a loopback address that speaks the formats of Anthropic and OpenAI, and fails as they do.

    with Provider(window=8_000) as provider:
        model = connect("openai:any", base_url=provider.openai_url)

It counts tokens and refuses prompts past its window; what it says comes from the prompt itself (`mimic`); what
goes wrong is set as a list of faults, used up one a request. It is no model of speed or price.
"""

from __future__ import annotations

import json
import logging
import socket
import threading
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass, field
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self

from swarm.testing.mimic import answer
from swarm.testing.wire import CHAT, MESSAGES, RESPONSES, Asked, Format, Said
from swarm.tokens import o200k

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

Dialect = Literal["anthropic", "openai", "vllm", "llamacpp", "ollama"]
_PER_TEXT = 4  # tokens around each message or block
_PER_REQUEST = 3

_TOO_LONG = {
    "anthropic": ("", "prompt is too long: {tokens} tokens > {window} maximum"),
    "openai": (
        "context_length_exceeded",
        "This model's maximum context length is {window} tokens. "
        "However, your messages resulted in {tokens} tokens.",
    ),
    "vllm": (
        "",
        "This model's maximum context length is {window} tokens. However, you requested {tokens} tokens in the "
        "messages, Please reduce the length of the messages.",
    ),
    "llamacpp": (
        "exceed_context_size_error",
        "request ({tokens} tokens) exceeds the available context size ({window} tokens), try increasing it",
    ),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Fault:
    """What goes wrong with one request. Only what is set happens.

    `status` (with `code`, `message`, `headers`) answers with an error. `text` is said instead of the mimic's
    reply, `stop` is why the reply ended. In a stream, after `after` events: `cut` breaks the connection, `stall`
    falls silent, `end` closes properly but too early, and `event` sends an error event of that type. `body`
    is sent raw.
    """

    status: int = 0
    code: str = ""
    message: str = "something went wrong"
    headers: dict[str, str] = field(default_factory=dict)
    text: str | None = None
    stop: Literal["", "length", "refusal", "filtered", "full"] = ""
    cut: bool = False
    stall: bool = False
    end: bool = False
    event: str = ""
    after: int = 2
    body: str | None = None
    content_type: str = "text/html"


class Provider:
    """A server on a thread of its own, from `with` to the end of its block.

    `window` is in tokens of `tokenizer` (o200k unless given). `structured` and `forced_tools` say which mechanisms
    it has for a schema. `key` is the only key it accepts, None any. `requests` holds the body of each request.
    """

    def __init__(
        self,
        *,
        window: int = 32_768,
        dialect: Dialect = "openai",
        tokenizer: Callable[[str], int] = o200k,
        faults: Iterable[Fault | None] = (),
        structured: bool = True,
        forced_tools: bool = True,
        novel: bool = False,
        key: str | None = None,
    ) -> None:
        self.window = window
        self.dialect = dialect
        self.tokenizer = tokenizer
        self.faults: deque[Fault | None] = deque(faults)
        self.structured = structured
        self.forced_tools = forced_tools
        self.novel = novel
        self.key = key
        self.requests: list[dict[str, Any]] = []
        self.url = ""
        self._cached: set[tuple[str, ...]] = set()

    @property
    def openai_url(self) -> str:
        """The base URL that OpenAI's SDK wants."""
        return f"{self.url}/v1"

    def count(self, asked: Asked) -> int:
        """Tokens of a request, as the provider bills them."""
        texts = [*asked.texts, json.dumps(asked.schema)] if asked.mechanism else asked.texts
        return sum(self.tokenizer(text) + _PER_TEXT for text in texts) + _PER_REQUEST

    def __enter__(self) -> Self:
        import uvicorn
        from starlette.applications import Starlette
        from starlette.routing import Route

        routes = [
            Route("/v1/messages", self._endpoint(MESSAGES), methods=["POST"]),
            Route("/v1/messages/count_tokens", self._counted, methods=["POST"]),
            Route("/v1/chat/completions", self._endpoint(CHAT), methods=["POST"]),
            Route("/v1/responses", self._endpoint(RESPONSES), methods=["POST"]),
        ]
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        config = uvicorn.Config(
            Starlette(routes=routes),
            log_config=None,
            log_level=logging.CRITICAL,  # connections that are cut on purpose are no news
            lifespan="off",
            timeout_graceful_shutdown=0,
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [self._socket]}, daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.should_exit = True
        self._thread.join()
        self._socket.close()

    def _endpoint(self, form: Format) -> Callable[[Request], Any]:
        async def serve(request: Request) -> Response:
            return self._serve(form, request, await request.json())

        return serve

    async def _counted(self, request: Request) -> Response:
        from starlette.responses import JSONResponse

        return JSONResponse({"input_tokens": self.count(MESSAGES.read({"max_tokens": 1} | await request.json()))})

    def _serve(self, form: Format, request: Request, body: dict[str, Any]) -> Response:
        from starlette.responses import JSONResponse, Response, StreamingResponse

        self.requests.append(body)
        fault = self.faults.popleft() if self.faults else None
        if fault is not None and fault.body is not None:
            return Response(fault.body, fault.status or 200, fault.headers, fault.content_type)
        if fault is not None and fault.status:
            error = form.error(fault.status, fault.code, fault.message)
            return JSONResponse(error, fault.status, fault.headers)
        asked = form.read(body)
        if (refused := self._refused(request, asked)) is not None:
            status, code, message = refused
            return JSONResponse(form.error(status, code, message), status)
        said = self._said(asked, fault or Fault())
        if not asked.stream:
            return JSONResponse(form.body(asked, said))
        return StreamingResponse(
            self._streamed(form, asked, said, fault or Fault()), media_type="text/event-stream"
        )

    def _refused(self, request: Request, asked: Asked) -> tuple[int, str, str] | None:
        given = request.headers.get("x-api-key") or request.headers.get("authorization", "").removeprefix(
            "Bearer "
        )
        if self.key is not None and given != self.key:
            return 401, "", f"Incorrect API key provided: {given}"
        missing = not self.structured and asked.mechanism in {"output_config", "json_schema", "json_object"}
        if missing or (not self.forced_tools and asked.mechanism == "tool_choice"):
            name = asked.mechanism if asked.mechanism in {"output_config", "tool_choice"} else "response_format"
            return 400, "", f"{name} is not supported by this model"
        tokens = self.count(asked)
        if tokens + asked.max_output > self.window and self.dialect != "ollama":
            code, words = _TOO_LONG[self.dialect]
            return 400, code, words.format(tokens=tokens, window=self.window)
        return None

    def _said(self, asked: Asked, fault: Fault) -> Said:
        text = fault.text if fault.text is not None else json.dumps(answer("\n".join(asked.texts), asked.schema))
        tokens = min(self.count(asked), self.window)
        prefix = asked.texts[: asked.cached_texts]
        share = sum(self.tokenizer(part) + _PER_TEXT for part in prefix)
        known = prefix in self._cached
        self._cached.add(prefix)
        return Said(
            text=text,
            input_tokens=tokens,
            output_tokens=self.tokenizer(text),
            stop=fault.stop or "end",
            cached=share if known else 0,
            written=0 if known else share,
            novel=self.novel,
        )

    async def _streamed(self, form: Format, asked: Asked, said: Said, fault: Fault) -> AsyncIterator[str]:
        import asyncio

        broken = fault.cut or fault.stall or fault.end or bool(fault.event)
        for number, (name, event) in enumerate(form.events(asked, said)):
            if broken and number == fault.after:
                if fault.event:
                    error = form.error(0, fault.event, fault.message)
                    yield f"event: error\ndata: {json.dumps(error)}\n\n"
                if fault.cut:
                    raise ConnectionResetError("cut off, as it was told to be")
                if fault.stall:
                    await asyncio.Event().wait()
                return
            yield (f"event: {name}\n" if name else "") + f"data: {json.dumps(event)}\n\n"
        if form is CHAT:
            yield "data: [DONE]\n\n"
