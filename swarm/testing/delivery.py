"""How a reply leaves: whole, spoiled, or broken off on the way as a fault says. It decides nothing."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
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


def spoiled(said: Said, fault: Fault, longest: int, count: Callable[[str], int]) -> Said:
    """The reply as the fault leaves it. Where tools are used, what goes wrong is in the arguments of the last
    call, but for words that are no JSON: those are said instead."""
    said = replace(said, stop=fault.stop or said.stop)
    whole = said.calls[-1].arguments if said.calls else said.text
    if fault.endless:
        spoilt = '{"thoughts": "and so' + " on" * longest
        said = replace(said, stop="length", output_tokens=longest)
    elif fault.text is not None or fault.share < 1:
        spoilt = fault.text if fault.text is not None else whole[: int(len(whole) * fault.share)]
        said = replace(said, output_tokens=count(spoilt))
    else:
        return said
    if not said.calls or not (fault.text is None or fault.text.startswith("{")):
        return replace(said, text=spoilt, calls=())
    return replace(said, calls=(*said.calls[:-1], replace(said.calls[-1], arguments=spoilt)))


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
