"""How a reply leaves: whole, or broken off on the way as a fault says. It decides nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from itertools import islice

from swarm.testing.exchange import Exchange
from swarm.testing.faults import Fault
from swarm.testing.wire import CHAT, Asked, Format, Said

_STREAM = "text/event-stream"
_PLAIN = "application/json"
_KEPT = 4_096


class Replies:
    """Replies as they are sent. Those under a key are kept, for when the same is asked again."""

    def __init__(self) -> None:
        self._kept: dict[tuple[str, int, bool], bytes] = {}

    def body(self, form: Format, asked: Asked, said: Said, key: str = "") -> bytes:
        name = (key, said.cached, said.novel)
        if key and (known := self._kept.get(name)) is not None:
            return known
        body = (
            b"".join(_events(form, asked, said)) if asked.stream else json.dumps(form.body(asked, said)).encode()
        )
        if key:
            if len(self._kept) >= _KEPT:
                del self._kept[next(iter(self._kept))]
            self._kept[name] = body
        return body


def content_type(asked: Asked) -> str:
    return _STREAM if asked.stream else _PLAIN


async def break_off(
    exchange: Exchange, form: Format, asked: Asked, said: Said, fault: Fault, headers: Mapping[str, str]
) -> None:
    """Send the reply as far as `fault` lets it come, and then what the fault is."""
    if fault.after > 0 or fault.end or fault.event:
        await _begin(exchange, form, asked, said, fault, headers)
    if fault.cut:
        exchange.cut()
    elif fault.reset:
        exchange.reset()
    elif fault.stall:
        await exchange.left()
    else:
        await exchange.end()


async def _begin(
    exchange: Exchange, form: Format, asked: Asked, said: Said, fault: Fault, headers: Mapping[str, str]
) -> None:
    error = form.error(0, fault.event, fault.message)
    if asked.stream:
        await exchange.begin(200, headers, _STREAM)
        for event in islice(_events(form, asked, said), fault.after):
            await exchange.write(event)
        if fault.event:
            await exchange.write(f"event: error\ndata: {json.dumps(error)}\n\n".encode())
        return
    whole = json.dumps(error if fault.event else form.body(asked, said)).encode()
    part = whole if fault.event else whole[: len(whole) // 2] if fault.after > 0 else b""
    promised = len(part) if fault.end or fault.event else len(whole)
    await exchange.begin(200, {**headers, "content-length": str(promised)}, _PLAIN)
    await exchange.write(part)


def _events(form: Format, asked: Asked, said: Said) -> Iterator[bytes]:
    for name, event in form.events(asked, said):
        yield ((f"event: {name}\n" if name else "") + f"data: {json.dumps(event)}\n\n").encode()
    if form is CHAT:
        yield b"data: [DONE]\n\n"
