"""The text of a source as bytes that travel: parts with all that a library keeps of them, and a head.

A part is a stretch of whole passages. The head says what the source is, where its parts begin and the hash of
each; a source of one part has it in its head. Whoever unpacks trusts nothing: what is not as it was packed is a
ValueError. This module does not know where the bytes are kept.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator, Sequence
from functools import lru_cache
from hashlib import blake2b
from itertools import pairwise
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import Field, TypeAdapter

from swarm.store.intake import Draft

HASH_BYTES = 16
_LEVEL = 1  # of zlib: a third of the size; the next levels save little and cost much
_SHORT_BYTES = 16_000  # up to which less memory is enough: to clear it costs more than the work itself
_MOST_BYTES = 64 << 20
"""Of a part, unpacked: some fifty times of what one holds. Beyond, somebody means harm."""
_LENGTH = 4  # bytes of the number that says how long the JSON is

_Number = Annotated[int, Field(ge=0, lt=1 << 32)]
_Long = Annotated[int, Field(ge=0, lt=1 << 56)]
_Places = Literal["lines", "line marks", "page marks", "none"]
_Passage = tuple[_Number, _Number, _Number, _Number, list[_Number], list[tuple[_Number, _Number]]]


class Begins(NamedTuple):
    """Where a part begins: its first character, the line or page of the original there, and its hash in hex."""

    start: _Long
    place: _Number
    hash: str


class Head(NamedTuple):
    """What a source is. `reader` is the version of the readers that made it of just the bytes of its text in
    UTF-8; 0: of others."""

    media: str
    places: _Places
    chars: _Long
    bytes: _Long
    reader: _Number
    parts: list[Begins]


class _Drawn(NamedTuple):
    """A part without its text: of each passage its characters, tokens, cut, context by its place in `contexts`,
    records and marks; and what the search saw of those where it is another text."""

    contexts: list[str]
    passages: list[_Passage]
    indexed: list[tuple[_Number, str]]


@lru_cache(1)
def _adapters() -> tuple[TypeAdapter[Head], TypeAdapter[_Drawn]]:
    return TypeAdapter(Head), TypeAdapter(_Drawn)


def hash_of(packed: bytes) -> str:
    return blake2b(packed, digest_size=HASH_BYTES).hexdigest()


def pack(drafts: Sequence[Draft]) -> bytes:
    """A part, before it is squeezed."""
    contexts: dict[str, int] = {}
    passages = [
        (
            len(one.text), one.tokens, one.cut, contexts.setdefault(one.context, len(contexts)), one.records,
            one.marks,
        )
        for one in drafts
    ]  # fmt: skip
    indexed = [(at, one.indexed) for at, one in enumerate(drafts) if one.indexed]
    return _joined((list(contexts), passages, indexed), "".join([one.text for one in drafts]).encode())


def unpack(packed: bytes) -> list[Draft]:
    """The passages of a part.

    Raises:
        ValueError: it is no such part.
    """
    drawn, rest = _split(packed)
    contexts, passages, indexed = _adapters()[1].validate_json(drawn)
    text, seen = rest.decode(), dict(indexed)
    made, at = [], 0
    for number, (chars, tokens, cut, context, records, marks) in enumerate(passages):
        if context >= len(contexts) or not _rise([0, *records, chars]):
            raise ValueError("a passage is none")
        piece = text[at : at + chars]
        made.append(
            Draft(piece, tokens, cut, contexts[context], tuple(records), seen.get(number, ""), tuple(marks))
        )
        at += chars
    if at != len(text):
        raise ValueError("its passages are not its text")
    if not _rise(list(marks_of(made))):
        raise ValueError("its marks are in no order")
    return made


def pack_head(head: Head, inside: bytes = b"") -> bytes:
    """A head, with its only part where that is `inside`, before it is squeezed."""
    return _joined(head, inside)


def unpack_head(packed: bytes) -> tuple[Head, bytes]:
    """A head, and the part inside, if one is.

    Raises:
        ValueError: it is no head.
    """
    drawn, inside = _split(packed)
    head = _adapters()[0].validate_json(drawn)
    starts = [part.start for part in head.parts]
    if starts[:1] != [0] or not _rise(starts) or starts[-1] > head.chars:
        raise ValueError("its parts are in no order")
    return head, inside


def squeeze(packed: bytes) -> bytes:
    memory = (13, 6) if len(packed) <= _SHORT_BYTES else (zlib.MAX_WBITS, zlib.DEF_MEM_LEVEL)
    squeezing = zlib.compressobj(_LEVEL, zlib.DEFLATED, *memory)
    return squeezing.compress(packed) + squeezing.flush()


def expand(squeezed: bytes) -> bytes:
    """What was squeezed.

    Raises:
        ValueError: it is damaged, or larger than any part.
    """
    unpacking = zlib.decompressobj()
    try:
        packed = unpacking.decompress(squeezed, _MOST_BYTES)
    except zlib.error as error:
        raise ValueError(str(error)) from None
    if not unpacking.eof:
        raise ValueError("it ends too early, or is too large")
    return packed


def seal(packed: bytes) -> bytes:
    """What nothing else holds the hash of, with its own before it."""
    return bytes.fromhex(hash_of(packed)) + squeeze(packed)


def unseal(sealed: bytes) -> bytes:
    """Raises ValueError: it is damaged."""
    packed = expand(sealed[HASH_BYTES:])
    if sealed[:HASH_BYTES].hex() != hash_of(packed):
        raise ValueError("its hash is another")
    return packed


def _joined(drawn: Any, rest: bytes) -> bytes:
    told = json.dumps(drawn, ensure_ascii=False, separators=(",", ":")).encode()
    return len(told).to_bytes(_LENGTH, "big") + told + rest


def _split(packed: bytes) -> tuple[bytes, bytes]:
    end = _LENGTH + int.from_bytes(packed[:_LENGTH], "big")
    return packed[_LENGTH:end], packed[end:]


def marks_of(drafts: Sequence[Draft]) -> Iterator[int]:
    """Where the marks of a part are, in characters from its beginning."""
    at = 0
    for draft in drafts:
        yield from (at + offset for offset, _ in draft.marks)
        at += len(draft.text)


def _rise(numbers: Sequence[int]) -> bool:
    return all(one < other for one, other in pairwise(numbers))
