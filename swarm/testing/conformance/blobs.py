"""Bytes are kept by name, once, and come back as they were."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager

from swarm.store.blobs import Blobs

Kept = Callable[[], AbstractContextManager[Blobs]]


class BlobsConformance:
    """`kept` opens one and the same store again and again, one at a time, as a context manager."""

    def test_bytes_come_back_as_they_were(self, kept: Kept) -> None:
        several = {
            "empty": b"",
            "nul": b"\0\xff",
            "name ü/of: any kind": bytes(range(256)),
            "large": b"\x9c" * 3_000_000,
        }
        with kept() as blobs:
            blobs.put(several)
            blobs.put({})
        with kept() as blobs:
            assert blobs.get([*several, "never there"]) == several
            assert blobs.get(["nul"]) == {"nul": b"\0\xff"}
            assert blobs.get([]) == {}

    def test_each_is_written_once(self, kept: Kept) -> None:
        with kept() as blobs:
            blobs.put({"a": b"one"})
            blobs.put({"a": b"two", "b": b"two"})
            assert blobs.get("ab") == {"a": b"one", "b": b"two"}

    def test_what_is_missing_is_told_and_what_is_dropped_is_missing(self, kept: Kept) -> None:
        with kept() as blobs:
            blobs.put(dict.fromkeys("abc", b"x"))
            assert blobs.missing("abcd") == {"d"}
            blobs.drop(["a", "never there"])
            blobs.drop([])
            assert blobs.missing(["a", "b"]) == {"a"}
            blobs.put({"a": b"anew"})
            assert blobs.get("a") == {"a": b"anew"}
            assert blobs.missing([]) == set()

    def test_threads_put_the_same_at_once(self, kept: Kept) -> None:
        names = [str(number) for number in range(50)]
        with kept() as blobs, ThreadPoolExecutor(4) as pool:
            for _ in pool.map(
                blobs.put, [{name: name.encode() for name in order} for order in (names, names[::-1]) * 4]
            ):
                pass
            assert blobs.get(names) == {name: name.encode() for name in names}

    def test_closing_twice_is_safe(self, kept: Kept) -> None:
        with kept() as blobs:
            blobs.put({"a": b""})
            blobs.close()
            blobs.close()
