"""The body of a request: read as it arrives, parsed, and sent on with as little changed as can be.

It is never larger than allowed, at any moment; a client that sends too slowly is not waited for; nesting without
end and fields given twice are refused, since two readers might understand them in two ways. What goes to the model
behind is what the client sent, byte for byte, but for the top fields that have to be others. This module knows
JSON and ASGI; no wire.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any, NoReturn

from swarm.serve.events import dumped
from swarm.serve.request import Wrong

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]

LARGE = 256 * 1024
"""Bytes from which on a body is parsed in a thread, so that others are served meanwhile."""
WAIT_SECONDS = 30.0
"""For a body to go on arriving."""
_SLOWEST = 16 * 1024  # bytes in a second, on the whole
_SPACE = " \t\r\n"
TELLING = {
    "model", "models", "messages", "input", "stream", "stream_options", "max_tokens", "max_completion_tokens",
    "max_output_tokens", "n", "best_of", "tools", "functions", "service_tier", "speed", "thread",
}  # fmt: skip
"""Fields that say what a request may come to. Some servers take them in capitals too."""


class Gone(Exception):
    """The client has gone away."""


async def read(receive: Receive, most: int, told: str | None, wait_seconds: float = WAIT_SECONDS) -> bytes:
    """All of a body of at most `most` bytes. `told` is what its content-length says.

    Raises:
        Wrong: it is larger, or arrives too slowly.
        Gone: the client went away.
    """
    if told is not None and told.isascii() and told.isdigit() and int(told[:20]) > most:
        raise _too_large(most)
    pieces: list[bytes] = []
    size, loop = 0, asyncio.get_running_loop()
    began = loop.time()
    while True:
        try:
            async with asyncio.timeout_at(min(loop.time(), began + size / _SLOWEST) + wait_seconds):
                message = await receive()
        except TimeoutError:
            raise Wrong(408, "the request did not arrive in time") from None
        if message["type"] == "http.disconnect":
            raise Gone
        piece = message.get("body", b"")
        size += len(piece)
        if size > most:
            raise _too_large(most)
        pieces.append(piece)
        if not message.get("more_body"):
            return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def _too_large(most: int) -> Wrong:
    return Wrong(413, f"the request is larger than the {most:,} bytes that this client may send", again=False)


class Body:
    """A JSON object. `raw` is how it came, `data` what it says."""

    def __init__(self, raw: bytes) -> None:
        """Parse it.

        Raises:
            Wrong: it is no JSON object, or one that could be understood in two ways.
        """
        self.raw = raw
        try:
            text = raw.decode()
            self.data, spans = _parsed(text)
        except Wrong:
            raise
        except (ValueError, RecursionError, StopIteration) as error:
            why = "it is nested too deeply" if isinstance(error, RecursionError) else "it is no JSON object"
            raise Wrong(400, f"the body of the request cannot be read: {why}") from None
        self._spans = spans if text.isascii() else _in_bytes(text, spans)

    @classmethod
    async def of(cls, raw: bytes) -> Body:
        """As the class itself, without holding anybody up."""
        return cls(raw) if len(raw) < LARGE else await asyncio.to_thread(cls, raw)

    def having(self, changes: Mapping[str, Any]) -> bytes:
        """The body with these top fields, and all else byte for byte as it came. None leaves a field as it is."""
        new = {name: dumped(value) for name, value in changes.items() if value is not None}
        if all(self.data.get(name, ...) == changes[name] for name in new):
            return self.raw
        pieces, at = [], 0
        for name, (start, end) in sorted(self._spans.items(), key=lambda item: item[1]):
            if name in new:
                pieces += [self.raw[at:start], new.pop(name)]
                at = end
        pieces.append(self.raw[at:])
        whole = b"".join(pieces)
        if not new:
            return whole
        first = whole.index(b"{") + 1
        added = b",".join(dumped(name) + b":" + value for name, value in new.items())
        return whole[:first] + added + (b"," if self.data else b"") + whole[first:]


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        names = [name for name, _ in pairs]
        raise _twice(next(name for name in names if names.count(name) > 1))
    return made


def _twice(name: str) -> Wrong:
    return Wrong(400, f"the field {name[:60]!r} stands twice in the request", param=name[:60])


_decoder: Any = json.JSONDecoder(parse_constant=_no_number, object_pairs_hook=_object)
_scan: Callable[[str, int], tuple[Any, int]] = _decoder.scan_once
_scan_name: Callable[[str, int, bool], tuple[str, int]] = _decoder.parse_string


def _parsed(text: str) -> tuple[dict[str, Any], dict[str, tuple[int, int]]]:
    """An object, and where the values of its fields stand."""
    at = _skip(text, 0)
    if text[at : at + 1] != "{":
        raise ValueError
    data: dict[str, Any] = {}
    spans: dict[str, tuple[int, int]] = {}
    at = _skip(text, at + 1)
    while text[at : at + 1] != "}" or data:
        if text[at : at + 1] != '"':
            raise ValueError
        name, at = _scan_name(text, at + 1, True)
        if name in data:
            raise _twice(name)
        if name.casefold() in TELLING and name not in TELLING:
            raise Wrong(400, f"the field {name[:60]!r} is written otherwise", param=name[:60])
        at = _skip(text, at)
        if text[at : at + 1] != ":":
            raise ValueError
        start = _skip(text, at + 1)
        data[name], end = _scan(text, start)
        spans[name] = start, end
        at = _skip(text, end)
        if text[at : at + 1] == "}":
            break
        if text[at : at + 1] != ",":
            raise ValueError
        at = _skip(text, at + 1)
    if _skip(text, at + 1) != len(text):
        raise ValueError
    return data, spans


def _skip(text: str, at: int) -> int:
    while at < len(text) and text[at] in _SPACE:
        at += 1
    return at


def _in_bytes(text: str, spans: Mapping[str, tuple[int, int]]) -> dict[str, tuple[int, int]]:
    """Places in characters as places in bytes."""
    found, at, length = {}, 0, 0
    for name, (start, end) in spans.items():
        length += len(text[at:start].encode())
        begun, at = length, end
        length += len(text[start:end].encode())
        found[name] = begun, length
    return found
