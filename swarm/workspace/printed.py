"""What a command printed: the head and the tail of it, as plain text.

Bytes come in as they are read, however many; no more than `KEPT_BYTES` of them are held. Knows no process.
"""

from __future__ import annotations

import re

HEAD_BYTES = 16 << 10
TAIL_BYTES = 48 << 10
"""The tail is longer: what went wrong stands at the end of most outputs."""
KEPT_BYTES = HEAD_BYTES + TAIL_BYTES

_ESCAPES = re.compile(
    r"\x1b\[[0-?]{0,64}[ -/]{0,8}[@-~]"  # colours, moves of the cursor
    r"|\x1b[\]PX^_][^\x07\x1b]{0,4096}(?:\x07|\x1b\\)?"  # titles, links, and other strings for the terminal
    r"|\x1b[ -/]{0,8}[0-~]?"
)
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
_CUT_BYTES = 1024  # for which a whole line is looked for, where the middle is left out


class Printed:
    """`bytes` is how much came in all."""

    def __init__(self) -> None:
        self.bytes = 0
        self._head, self._tail = bytearray(), bytearray()

    def add(self, data: bytes) -> None:
        self.bytes += len(data)
        if room := HEAD_BYTES - len(self._head):
            self._head += data[:room]
            data = data[room:]
        self._tail += data[-TAIL_BYTES:]
        if len(self._tail) > 2 * TAIL_BYTES:  # not for each piece: that would move the tail with every line
            del self._tail[:-TAIL_BYTES]

    def text(self) -> str:
        """UTF-8 as far as it is, without escapes and control characters, and a line that says what is left out."""
        tail = bytes(self._tail[-TAIL_BYTES:])
        left_out = self.bytes - len(self._head) - len(tail)
        if not left_out:
            return _plain(bytes(self._head) + tail)
        head = bytes(self._head)
        head = head[: _after(head.rfind(b"\n", -_CUT_BYTES), len(head))]
        tail = tail[_after(tail.find(b"\n", 0, _CUT_BYTES), 0) :]
        left_out = self.bytes - len(head) - len(tail)
        return f"{_plain(head).rstrip()}\n[{left_out:,} bytes left out here]\n{_plain(tail).lstrip()}"


def _after(found: int, otherwise: int) -> int:
    return found + 1 if found >= 0 else otherwise


def _plain(data: bytes) -> str:
    text = _CONTROL.sub("", _ESCAPES.sub("", data.decode("utf-8", "replace")))
    # of a line that was written over, as by a progress bar, what stood there last
    return "\n".join(line.rstrip("\r").rpartition("\r")[2] for line in text.split("\n"))
