"""Server-sent events: cut out of what arrives in any pieces, and written.

This module knows no wire. An event whose data is no JSON keeps it as text (`[DONE]`); a comment is an event called
`:`.
"""

from __future__ import annotations

import json
import re
from typing import Any

from pydantic_core import PydanticSerializationError, from_json, to_json

from swarm.serve.request import Event

ALIVE = Event(":", "")
"""A comment, which every client skips."""

MOST_BYTES = 64 * 2**20
"""Of one event: Responses tells all of a reply in its last one."""

_END = re.compile(rb"\r\n\r\n|\n\n|\r\r")
_LINE = re.compile(rb"\r\n|\n|\r")


class Cut:
    """Cuts a stream of bytes into events."""

    def __init__(self) -> None:
        self._left = bytearray()

    def feed(self, data: bytes) -> list[bytes]:
        """The events that are whole now, each with the blank line that ends it.

        Raises:
            ValueError: one event is longer than anybody sends.
        """
        if not self._left and data.endswith(b"\n\n") and data.count(b"\n\n") == 1:
            return [data]  # as most arrive
        searched = max(0, len(self._left) - 3)
        self._left += data
        whole, at = [], 0
        for found in _END.finditer(self._left, searched):
            whole.append(bytes(self._left[at : found.end()]))
            at = found.end()
        del self._left[:at]
        if len(self._left) > MOST_BYTES:
            raise ValueError(f"an event of more than {MOST_BYTES:,} bytes")
        return whole

    def rest(self) -> bytes:
        """What was begun and not ended."""
        return bytes(self._left)


def event_of(raw: bytes) -> Event:
    """What an event says. Comments and lines that nobody knows are left out of it, and stay in `raw`."""
    name, data = "", []
    for line in _LINE.split(raw):
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if field == b"data":
            data.append(value)
        elif field == b"event":
            name = value.decode("utf-8", "replace")
    if not data:
        return Event(name or ":", "", raw)
    text = b"\n".join(data)
    try:
        return Event(name, loaded(text), raw)
    except ValueError:
        return Event(name, text.decode("utf-8", "replace"), raw)


def written(event: Event) -> bytes:
    """The event as bytes: as it came, where it still is as it came."""
    if event.raw:
        return event.raw
    if event.name == ":":
        return b": alive\n\n"
    data = event.data if isinstance(event.data, str) else dumped(event.data)
    body = data.encode() if isinstance(data, str) else data
    return (b"event: " + event.name.encode() + b"\n" if event.name else b"") + b"data: " + body + b"\n\n"


def loaded(data: bytes) -> Any:
    """What JSON says.

    Raises:
        ValueError: it is none.
    """
    try:
        return from_json(data)
    except ValueError:
        try:
            return json.loads(data)  # which bears half of a surrogate pair
        except RecursionError:
            raise ValueError("nested too deeply") from None


def dumped(value: Any) -> bytes:
    """JSON, whatever text it holds: half of a surrogate pair is written as an escape."""
    try:
        return to_json(value)
    except (PydanticSerializationError, UnicodeEncodeError):
        return json.dumps(value, separators=(",", ":")).encode()
