"""What fits the model's window, passed straight through: the body as the client sent it, the reply as it came.

Of the body only the model's name is another, and what a limit of the client needs. The bytes of the reply go on as
they arrive, events that nobody knows included; on their way their usage is read. A chunk of usage that only this
endpoint asked for is taken out again. This module knows no window and no conversation.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from swarm.errors import PromptTooLong
from swarm.models.failures import GAVE_UP_WAITING, Failure, error_of
from swarm.observe.log import redact_text
from swarm.serve.body import Body
from swarm.serve.events import MOST_BYTES, Cut, event_of, loaded
from swarm.serve.reply import Reply
from swarm.serve.request import Event, Reading, Request, Used, Wire, WireName, Wrong
from swarm.serve.spending import Held, usage_of
from swarm.serve.upstream import Unreached, Upstream, passed_headers
from swarm.serve.wire import WIRES
from swarm.serve.wire.chat import asked_usage
from swarm.task import Usage

if TYPE_CHECKING:
    import httpx2

NOT_OF_THE_WIRE = (ValueError, AttributeError, TypeError, LookupError)
"""What reading a reply raises that is of no known shape."""
_TEXT = 2**20  # bytes of an error that are read
_PIECE = 24  # characters that two texts do not share by chance


class DoesNotFit(Exception):
    """The model behind holds less than was thought: `limit` tokens."""

    def __init__(self, limit: int) -> None:
        super().__init__(limit)
        self.limit = limit


class Passing:
    """One request on its way through. `counted` is what was counted of it in tokens, 0 where nothing was."""

    def __init__(self, upstream: Upstream, request: Request, reply: Reply, held: Held, counted: int = 0) -> None:
        self.used = Used(known=False)
        self._upstream, self._request, self._reply, self._held = upstream, request, reply, held
        self._wire: Wire = WIRES[request.wire]
        self._counted = counted

    async def run(self, body: Body, changes: Mapping[str, Any], given: dict[str, str], query: bytes) -> None:
        """Send it and pass the reply on.

        Raises:
            Wrong: nothing came back.
            DoesNotFit: the model behind says so; nothing was answered.
        """
        request = self._request
        changes = {**changes, "model": self._upstream.to.name}
        drops = request.wire == "chat" and request.stream and not asked_usage(body.data)
        if drops:
            options = body.data.get("stream_options")
            changes["stream_options"] = {**(options if isinstance(options, dict) else {}), "include_usage": True}
        try:
            async with self._upstream.sending(request.wire, body.having(changes), given, query=query) as response:
                if response.status_code >= 400:
                    unanswered(self._held, response.status_code)
                    await self._failed(response)
                elif response.headers.get("content-type", "").startswith("text/event-stream"):
                    await self._stream(response, drops=drops)
                else:
                    await self._whole(response)
        except Unreached as error:
            if not error.sent:
                self._held.settle(Usage(), error.message)
            raise

    async def _failed(self, response: httpx2.Response) -> None:
        body = await bounded(response, _TEXT)
        if limit := smaller_window(body, response.status_code, self._upstream, self._request):
            raise DoesNotFit(limit)
        if self._upstream.to.key:
            body = redact_text(body.decode("utf-8", "replace")).encode()
        await self._reply.whole(response.status_code, passed_headers(response), body)

    async def _whole(self, response: httpx2.Response) -> None:
        body = await bounded(response, MOST_BYTES)
        with suppress(*NOT_OF_THE_WIRE):  # it goes on as it came, and counts at its worst
            _, self.used, _ = self._wire.read_whole(loaded(body))
        self._settle()
        await self._reply.whole(response.status_code, passed_headers(response), body)

    async def _stream(self, response: httpx2.Response, *, drops: bool) -> None:
        reading, cut = self._wire.reading(), Cut()
        await self._reply.begin(response.status_code, passed_headers(response))
        try:
            async for data in response.aiter_raw():
                whole = cut.feed(data)
                if drops:
                    data = b"".join(event for event in whole if not self._take(reading, event))
                else:
                    for event in whole:
                        self._take(reading, event)
                await self._reply.write(data)
        except ValueError as error:
            raise Wrong(502, f"the model behind sent {error}") from None
        finally:
            self.used = reading.used
            self._settle(ended=reading.stop is not None)
        await self._reply.end(cut.rest() if drops else b"")

    def _take(self, reading: Reading, raw: bytes) -> bool:
        """Read an event where it may tell something. Whether it tells usage and nothing else."""
        if not any(mark in raw for mark in _MARKS[self._request.wire]):
            return False
        event = event_of(raw)
        try:
            reading.take(event)
        except NOT_OF_THE_WIRE:
            return False  # it goes on as it came
        return tells_usage_alone(event)

    def _settle(self, *, ended: bool = True) -> None:
        if not self.used.known or not ended:
            return
        self._held.settle(usage_of(self.used, self._held.price))
        self._upstream.answered = max(self._upstream.answered, self.used.input_tokens)
        if self._counted and not self._request.fixed_tokens and not self._request.tools_tokens:
            # what a provider adds to pictures, files and tools of its own says nothing of its tokenizer
            self._upstream.to.counter.observe(self._counted, self.used.input_tokens)


_MARKS: dict[WireName, tuple[bytes, ...]] = {
    "chat": (b'"usage":{', b'"usage": {', b'"finish_reason":"', b'"finish_reason": "'),
    "messages": (b"message_start", b"message_delta"),
    "responses": (b"response.completed", b"response.incomplete", b"response.failed"),
}
"""What stands in events that tell usage or the end."""


def unanswered(held: Held, status: int) -> None:
    """Settle a call that came to an error: nothing is billed, unless somebody on the way only stopped waiting."""
    if status not in GAVE_UP_WAITING:
        held.settle(Usage(), f"the model behind said {status}")


def smaller_window(body: bytes, status: int, upstream: Upstream, request: Request) -> int:
    """What the model behind holds, in tokens, where an error says that it is less than was thought; else 0. What
    was answered before fits, and words that the client put into its request prove nothing."""
    error: Any = {}
    with suppress(*NOT_OF_THE_WIRE):
        error = loaded(body)["error"]
    if status not in (400, 413) or not isinstance(error, dict):
        return 0
    code, kind, message = (str(error.get(name) or "") for name in ("code", "type", "message"))
    made = error_of(Failure(provider="behind", status=status, code=code, kind=kind, message=message))
    if not isinstance(made, PromptTooLong) or not upstream.answered < made.limit < upstream.to.window:
        return 0
    return 0 if _quotes(message, request) else made.limit


def _quotes(message: str, request: Request) -> bool:
    """Whether an error repeats a piece of what was sent."""
    said = repr(request.body)
    return any(message[at : at + _PIECE] in said for at in range(0, max(1, len(message) - _PIECE), _PIECE // 4))


def tells_usage_alone(event: Event) -> bool:
    """Whether a chunk of Chat Completions is there for its usage."""
    data = event.data
    return isinstance(data, dict) and data.get("choices") == [] and bool(data.get("usage"))


async def bounded(response: httpx2.Response, most: int) -> bytes:
    """All of a reply.

    Raises:
        Wrong: it is longer than that.
    """
    pieces, size = [], 0
    async for data in response.aiter_raw():
        size += len(data)
        if size > most:
            raise Wrong(502, f"the model behind sent more than {most:,} bytes")
        pieces.append(data)
    return b"".join(pieces)


async def events_of(response: httpx2.Response) -> AsyncIterator[Event]:
    """The events of a streamed reply.

    Raises:
        Wrong: one is longer than anybody sends.
    """
    cut = Cut()
    try:
        async for data in response.aiter_raw():
            for raw in cut.feed(data):
                yield event_of(raw)
    except ValueError as error:
        raise Wrong(502, f"the model behind sent {error}") from None
