"""A reply that is not passed on as it came: it gets citations, or is told in another wire.

Where the model behind has the client's wire, its events go on as they are, with annotations between them and the
reading in their usage. Where it has not, its text is told anew. This module knows no window, no limits and no
store.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from swarm.observe.log import redact_text
from swarm.serve.cited import Cited, Items, cited
from swarm.serve.events import MOST_BYTES, dumped, loaded
from swarm.serve.own import Own
from swarm.serve.passing import (
    NOT_OF_THE_WIRE,
    DoesNotFit,
    bounded,
    events_of,
    smaller_window,
    tells_usage_alone,
    unanswered,
)
from swarm.serve.reply import STREAM, Reply
from swarm.serve.request import Event, Reading, Request, Stop, Used, Wire, Wrong
from swarm.serve.spending import Held, usage_of
from swarm.serve.upstream import Unreached, Upstream, passed_headers
from swarm.serve.wire import WIRES
from swarm.task import Usage

if TYPE_CHECKING:
    import httpx2

_ERROR_BYTES = 2**20
_LONGEST_ERROR = 500
_CREATED = "response.created"
_NOT_ITS_WIRE = "the model behind did not answer in its wire; check the base URL"


@dataclass
class Answering:
    """One reply. `items` are what the labels of its marks lead to, `more` what was spent before it, and `told`
    what the client is told beside the wire. `drops` takes out the chunk of usage, which only this endpoint asked
    for."""

    upstream: Upstream | None
    request: Request
    reply: Reply
    items: Items = field(default_factory=dict)
    more: Used = field(default_factory=Used)
    told: Mapping[str, Any] = field(default_factory=dict)
    drops: bool = False
    named: Callable[[str], Awaitable[None]] | None = None
    """Hears the id of the reply, before the client does."""
    used: Used = field(default_factory=lambda: Used(known=False))

    @property
    def wire(self) -> Wire:
        return WIRES[self.request.wire]

    async def run(self, body: dict[str, Any], target: Wire, held: Held, given: dict[str, str]) -> None:
        """Send a body in the wire `target`, and tell the reply.

        Raises:
            Wrong: nothing came back, or an error.
            DoesNotFit: the model behind says so.
        """
        assert self.upstream is not None
        sent = dumped({**body, "model": self.upstream.to.name})
        try:
            async with self.upstream.sending(target.name, sent, given) as response:
                if response.status_code >= 400:
                    unanswered(held, response.status_code)
                    raise await failure(response, self.upstream, self.request)
                if response.headers.get("content-type", "").startswith("text/event-stream"):
                    await self._stream(response, target, held)
                else:
                    await self._whole(response, target, held)
        except Unreached as error:
            if not error.sent:
                held.settle(Usage(), error.message)
            raise

    async def _whole(self, response: httpx2.Response, target: Wire, held: Held) -> None:
        try:
            body = loaded(await bounded(response, MOST_BYTES))
            text, self.used, stop = target.read_whole(body)
        except NOT_OF_THE_WIRE:
            raise Wrong(502, _NOT_ITS_WIRE) from None
        self._settle(held)
        await self._name(body)
        if target is self.wire:
            made = target.cited_whole(body, lambda one: cited(one, self.items), self.more)
        else:
            made = self.wire.whole(self.request, text, cited(text, self.items), self.used + self.more, stop)
        await self._end_whole(made, passed_headers(response) if target is self.wire else [])

    async def _end_whole(self, made: dict[str, Any], headers: Sequence[tuple[bytes, bytes]]) -> None:
        if self.told:
            made["swarm"] = dict(self.told)
        kept = [(name, value) for name, value in headers if name != b"content-type"]
        if self.reply.begun:  # the head went out to keep the connection alive
            await self.reply.end(dumped(made))
        else:
            await self.reply.json(200, made, kept)

    async def _stream(self, response: httpx2.Response, target: Wire, held: Held) -> None:
        reading = target.reading()
        reading.add(self.more)
        tell = self._amended if target is self.wire else self._anew
        if not self.reply.begun:
            headers = passed_headers(response) if target is self.wire else STREAM
            await self.reply.begin(200, headers)
        await self.reply.events(self._told())
        try:
            await tell(response, reading)
        except NOT_OF_THE_WIRE:
            raise Wrong(502, _NOT_ITS_WIRE) from None
        finally:
            self.used = reading.used
            self._settle(held, ended=reading.stop is not None)
        await self.reply.end()

    async def _amended(self, response: httpx2.Response, reading: Reading) -> None:
        marks = Cited(self.items)
        async for event in events_of(response):
            delta = reading.take(event)
            if event.name == _CREATED:
                await self._name(event.data.get("response"))
            if self.drops and tells_usage_alone(event):
                continue
            out: list[Event] = []
            if delta is None and event.name not in ("ping", ":"):
                out += [one for place, found in marks.end() for one in reading.cite(place, found)]
            out.append(reading.amended(event))
            if delta is not None:
                out += reading.cite(delta.place, marks.take(delta))
            await self.reply.events(out)

    async def _anew(self, response: httpx2.Response, reading: Reading) -> None:
        marks, writing = Cited(self.items), self.wire.writing(self.request)
        await self.reply.events(writing.begin())
        async for event in events_of(response):
            delta = reading.take(event)
            if delta is not None:
                await self.reply.events([*writing.text(delta.text), *writing.cite(marks.take(delta))])
            elif isinstance(event.data, dict) and event.data.get("error"):
                raise Wrong(502, "the model behind broke its reply off with an error")
        if reading.stop is None:
            raise Wrong(502, "the model behind broke its reply off")
        left = [one for _, found in marks.end() for one in found]
        await self.reply.events([*writing.cite(left), *writing.end(reading.used + self.more, reading.stop)])

    async def own(self, answer: Own) -> None:
        """Tell an answer that was made here."""
        used, stop = used_of(answer.spent), _END
        if not self.request.stream:
            made = self.wire.whole(self.request, answer.text, answer.citations, used, stop)
            await self._end_whole(made, [])
            return
        writing = self.wire.writing(self.request)
        if not self.reply.begun:
            await self.reply.begin(200, STREAM)
        await self.reply.events([*self._told(), *writing.begin()])
        for text, citations in answer.pieces:
            await self.reply.events([*writing.text(text), *writing.cite(citations)])
        await self.reply.events(writing.end(used, stop))
        await self.reply.end()

    async def _name(self, told: Any) -> None:
        if self.named is not None and isinstance(told, dict) and isinstance(told.get("id"), str):
            await self.named(told["id"])

    def _told(self) -> list[Event]:
        """A comment, which clients skip and people can read."""
        if not self.told:
            return []
        return [Event(":", "", b": swarm " + dumped(dict(self.told)) + b"\n\n")]

    def _settle(self, held: Held, *, ended: bool = True) -> None:
        if self.used.known and ended:
            held.settle(usage_of(self.used, held.price))


_END: Stop = "end"


def used_of(usage: Usage) -> Used:
    return Used(
        input_tokens=usage.input_tokens, output_tokens=usage.output_tokens, cached_tokens=usage.cached_tokens
    )


async def failure(response: httpx2.Response, upstream: Upstream, request: Request) -> Exception:
    """What the model behind said instead of a reply, as an error that any wire can tell."""
    body = await bounded(response, _ERROR_BYTES)
    if limit := smaller_window(body, response.status_code, upstream, request):
        return DoesNotFit(limit)
    error: Any = {}
    with suppress(ValueError, AttributeError):
        told = loaded(body)
        error = told.get("error", told)
    if not isinstance(error, dict):
        error = {"message": error}
    text = redact_text(str(error.get("message") or f"the model behind said {response.status_code}"))
    after = response.headers.get("retry-after", "")
    return Wrong(
        response.status_code,
        text[:_LONGEST_ERROR],
        code=str(error.get("code") or ""),
        param=str(error.get("param") or ""),
        retry_after=float(after) if after.isdigit() else None,
    )
