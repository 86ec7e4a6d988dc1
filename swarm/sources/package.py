"""An office package: XML parts in a zip archive, each read as a stream of elements with bounded memory.

What an archive says of itself is not believed: how much there is to unpack, how many parts there are and how large
one element grows are bounded before memory is taken for them. A document type, by which XML grows without end, has
no place in the format. This module knows zip and XML; it does not know what the elements mean.
"""

from __future__ import annotations

import posixpath
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import IO, Any, Self

from swarm.sources.original import Unreadable

LARGEST = 256 << 20
"""Bytes of one part, unpacked."""
_LARGEST_ELEMENT = 8 << 20  # bytes of XML that are held as a tree at one time; 30 times that in memory, at worst
_LARGEST_DIRECTORY = 4 << 20  # bytes of the list of parts: some 40,000 of them
_CHUNK = 1 << 15
_OLD = b"\xd0\xcf\x11\xe0"  # a compound file: what Office wrote before, and how it wraps what is encrypted
_END, _END_BYTES = b"PK\5\6", 22
_END64, _END64_BYTES, _LOCATOR, _LOCATOR_BYTES = b"PK\6\6", 56, b"PK\6\7", 20
_RELATIONSHIP = "{http://schemas.openxmlformats.org/package/2006/relationships}Relationship"
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # of others, what is packed says how much memory it wants


class Package:
    """An open package. Use it as a context: within it, whatever is wrong with the archive is `Unreadable`.

    Raises:
        Unreadable: corrupt, encrypted, or larger than is read.
    """

    def __init__(self, stream: IO[bytes]) -> None:
        if stream.read(4) == _OLD:
            raise Unreadable(
                "an encrypted DOCX, or an old Word file: save it as DOCX without a password", lasting=True
            )
        with _translated():
            if _directory_bytes(stream) > _LARGEST_DIRECTORY:
                raise Unreadable("too large: it holds too many parts", lasting=True)
            self._archive = zipfile.ZipFile(stream)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._archive.close()

    def __contains__(self, name: str) -> bool:
        return name in self._archive.NameToInfo

    def part(self, name: str) -> Part:
        """One part.

        Raises:
            Unreadable: there is none, or it is too large.
        """
        with _translated():
            entry = self._archive.getinfo(name)
            if entry.compress_type not in _METHODS:
                raise Unreadable("a corrupt DOCX", lasting=True)
            # no more than it says is ever unpacked, whatever is there
            if entry.file_size > LARGEST:
                raise Unreadable(f"too large: it unpacks to more than {LARGEST >> 20} MB", lasting=True)
            return Part(self._archive.open(entry))

    def related(self, name: str, kind: str) -> str | None:
        """The name of the part that is the `kind` of the part `name` (of the package, where that is empty)."""
        folder, _, base = name.rpartition("/")
        relations = posixpath.join(folder, "_rels", f"{base}.rels")
        if relations not in self:
            return None
        for event, element in (part := self.part(relations)).events():
            if event == "end" and element.tag == _RELATIONSHIP:
                if element.get("Type", "").endswith(f"/{kind}"):
                    return posixpath.normpath(posixpath.join("/", folder, element.get("Target", ""))).lstrip("/")
                part.forget(element)
        return None


class Part:
    """One part, being read."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._held = 0

    def read(self, size: int = _CHUNK) -> bytes:
        """For the parser: more of the XML, unless what it holds has grown too large already."""
        data = self._stream.read(min(size, _CHUNK))
        self._held += len(data)
        if self._held > _LARGEST_ELEMENT:
            raise Unreadable(
                f"too large: one paragraph or row of more than {_LARGEST_ELEMENT >> 20} MB", lasting=True
            )
        return data

    def events(self) -> Iterator[tuple[str, Any]]:
        """`start` and `end` of each element, in the order of the document."""
        from lxml import etree  # type: ignore[import-untyped]

        parsing = etree.iterparse(
            self,
            events=("start", "end"),
            resolve_entities=False,
            no_network=True,
            remove_comments=True,
            remove_pis=True,
            collect_ids=False,
        )
        with _translated(), self._stream:
            for number, (event, element) in enumerate(parsing):
                if not number and element.getroottree().docinfo.doctype:
                    raise Unreadable("a corrupt DOCX", lasting=True)
                yield event, element

    def forget(self, element: Any) -> None:
        """Let go of an element that has ended, and of all before it in its parent."""
        element.clear()
        parent = element.getparent()
        while parent is not None and element.getprevious() is not None:
            del parent[0]
        self._held = 0


@contextmanager
def _translated() -> Iterator[None]:
    """What the parsers of others say of a broken archive, in one word."""
    from lxml import etree

    try:
        yield
    except RuntimeError as error:
        if "password" in str(error) or "encrypted" in str(error):
            raise Unreadable("an encrypted DOCX: save it without a password", lasting=True) from None
        raise Unreadable("a corrupt DOCX", lasting=True) from None
    except (zipfile.BadZipFile, zlib.error, etree.LxmlError, LookupError, ValueError, OSError, EOFError):
        raise Unreadable("a corrupt DOCX", lasting=True) from None


def _directory_bytes(stream: IO[bytes]) -> int:
    """The size of the archive's list of parts, as `zipfile` is going to believe it; it is read whole."""
    size = stream.seek(0, 2)
    stream.seek(max(0, size - _END64_BYTES - _LOCATOR_BYTES - _END_BYTES - 0xFFFF))
    tail = stream.read()
    stream.seek(0)
    at = len(tail) - _END_BYTES
    if at < 0 or not tail.startswith(_END, at) or tail[-2:] != b"\0\0":  # with a comment behind it
        at = tail.rfind(_END)
    if at < 0 or len(tail) - at < _END_BYTES:
        return 0  # no archive
    end64 = at - _LOCATOR_BYTES - _END64_BYTES
    if end64 >= 0 and tail.startswith(_LOCATOR, at - _LOCATOR_BYTES) and tail.startswith(_END64, end64):
        return int.from_bytes(tail[end64 + 40 : end64 + 48], "little")
    return int.from_bytes(tail[at + 12 : at + 16], "little")
