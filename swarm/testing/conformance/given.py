"""What the tests of a journal write into it, and the other process that they need."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from unittest import SkipTest

from swarm.models.base import Completion
from swarm.store.journal import Entry, Intent, Journal
from swarm.task import Usage

Opened = Callable[[], AbstractContextManager[Journal]]

TEXTS = {
    "plain": "naïve – “quoted”",
    "wide": "𝔘𝔫𝔦 😀 漢字",
    "nul": "before\0after",
    "half a surrogate pair": "\ud83d alone, as a cut escape leaves it",
    "of a file's name": b"caf\xe9".decode("utf-8", "surrogateescape"),
    "lines": "one\r\ntwo\u2028three\t\x1b[0m",
    "empty": "",
    "like JSON": '{"a": "\\u0000", "b": [1]}',
}
"""Text that a journal gives back as it was."""


def call_key(number: int) -> str:
    """The key of a call, as a journal takes it: 32 hex digits."""
    return f"{number:032x}"


def intent(run: str, number: int, *, tokens: int = 10, cost_usd: float = 0.5) -> Intent:
    return Intent(run=run, key=call_key(number), model="model", kind="read", tokens=tokens, cost_usd=cost_usd)


def reply(text: str, *, input_tokens: int = 3, cost_usd: float = 0.25, refusal: str | None = None) -> Completion:
    usage = Usage(calls=1, input_tokens=input_tokens, output_tokens=2, cached_tokens=1, cost_usd=cost_usd)
    return Completion(text=text, usage=usage, refusal=refusal)


def entry(key: str, kind: str = "report") -> Entry:
    return Entry(kind=kind, key=key, body={"key": key})


@contextmanager
def running(program: str, rest: str) -> Iterator[subprocess.Popen[str]]:
    """Another process with the store open; it is killed at the end of the block, if not before."""
    if not program:
        raise SkipTest("this store is not reached from another process")
    process = subprocess.Popen(  # noqa: S603
        [sys.executable, "-c", f"{program}\n{rest}"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    with process:
        try:
            yield process
        finally:
            process.kill()
