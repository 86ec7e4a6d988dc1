"""Bytes to text: which encoding a file is in, whether it is text at all, and its characters in chunks.

UTF-8 first, byte order marks next, then a guess as Firefox makes it. Nothing here raises on a byte that does
not fit: it becomes U+FFFD, as every reader shows it. This module knows bytes, not formats.
"""

from __future__ import annotations

import codecs
import re

HEAD = 8_192
"""Bytes at the beginning by which a file is known to be text or not."""

_SAMPLE = 65_536  # bytes around the first one that is not UTF-8
_CONTROLS = bytes(byte for byte in range(32) if byte not in b"\t\n\r\f\b\x1b") + b"\x7f"
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_DECLARED = re.compile(
    rb"""<(?:meta|\?xml)[^>]{0,200}?(?:charset|encoding)\s*=\s*["']?\s*([\w.:-]+)""", re.IGNORECASE
)


class Survey:
    """Looks through bytes as they pass, and says at the end in which encoding they are."""

    def __init__(self, head: bytes, markup: bool = False) -> None:
        self.head = head
        self._marked = next((name for mark, name in _MARKS if head.startswith(mark)), None)
        self._declared = _declared(head) if markup and not self._marked else None
        self._decoder = codecs.getincrementaldecoder("utf-8")("strict")
        self._utf8 = not self._marked
        self._sample = b""

    def feed(self, data: bytes, last: bool) -> None:
        if not self._utf8:
            if len(self._sample) < _SAMPLE and not self._marked:
                self._sample += data[: _SAMPLE - len(self._sample)]
            return
        try:
            self._decoder.decode(data, last)
        except UnicodeDecodeError as error:
            self._utf8 = False
            begin = max(0, error.start - _SAMPLE // 4)
            self._sample = error.object[begin : begin + _SAMPLE]

    def encoding(self) -> str | None:
        """The name of the codec for what was fed; None where it is no text."""
        if self._marked:
            return self._marked
        wide = _wide(self.head)
        if wide:
            return wide
        if b"\0" in self.head:
            return None
        if self._utf8:
            return "utf-8"
        controls = len(self.head) - len(self.head.translate(None, _CONTROLS))
        if controls * 100 > len(self.head):
            return None
        return self._declared or _guess(self._sample)


def _declared(head: bytes) -> str | None:
    match = _DECLARED.search(head[:2048])
    if not match:
        return None
    try:
        name = codecs.lookup(match[1].decode("ascii", "replace")).name
    except LookupError:
        return None
    # a page that says UTF-16 in ASCII is not in UTF-16; Latin-1 means Windows-1252 on the web
    return {"iso8859-1": "cp1252", "ascii": "cp1252"}.get(name, None if name.startswith("utf") else name)


def _wide(head: bytes) -> str | None:
    """UTF-16 without a mark: every other byte of Latin text is zero."""
    even, odd = head[0::2], head[1::2]
    if len(head) < 4 or b"\0" not in head:
        return None
    if odd.count(0) > 0.4 * len(odd) and even.count(0) < 0.05 * len(even):
        return "utf-16-le"
    if even.count(0) > 0.4 * len(even) and odd.count(0) < 0.05 * len(odd):
        return "utf-16-be"
    return None


def _guess(sample: bytes) -> str:
    """The encoding of bytes that are not all UTF-8."""
    good = sum(1 for character in sample.decode("utf-8", "ignore") if not character.isascii())
    bad = sample.decode("utf-8", "replace").count("\ufffd")
    if good > 4 * bad:
        return "utf-8"  # with a few broken bytes
    from chardetng_py import EncodingDetector  # type: ignore[import-untyped]

    detector = EncodingDetector()
    detector.feed(sample, last=True)
    name: str = detector.guess(tld=None, allow_utf8=False)
    high = sum(byte >= 0x80 for byte in sample)
    if high < 8 and name.lower().startswith(("iso-8859", "windows-125")):
        return "cp1252"  # too little to tell the western encodings apart: the most common one
    try:
        return codecs.lookup(name).name
    except LookupError:
        return "cp1252"
