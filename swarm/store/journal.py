"""The journal: the durable, append-only record of runs, and of every model call. Here is what a journal is;
`sqlite` and `postgres` beside this module keep one, and one suite (`swarm.testing.conformance`) holds both to it.

A record is named by its run, its kind and a key, and is written once: appending it again changes nothing. A call
is named by what was asked of whom, is begun before it is sent and finished before anyone uses its reply; a
finished call is found again by every later run on the same store and is never paid twice. Everything else that
Swarm knows of a run can be rebuilt from here. The journal does not know what the records mean.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import apsw

from swarm.models.base import Completion
from swarm.store.claims import Lease
from swarm.task import Usage

Body = Mapping[str, Any]
Projection = Callable[[apsw.Connection], None]
"""What follows from a record in the tables beside the journal: run in a transaction of theirs, once or twice."""

LOST = "the process ended while the call was on its way"


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """Something to be recorded. `body` is a mapping or, where it was serialised already, JSON."""

    kind: str
    key: str
    body: Body | bytes


@dataclass(frozen=True, kw_only=True, slots=True)
class Record:
    """One thing that happened. `seq` orders the records of a run; `at` is in seconds since the epoch, for people
    only."""

    seq: int
    run: str
    kind: str
    key: str
    at: float
    body: dict[str, Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class Intent:
    """A call that is about to be sent: no content, and the most that it can come to. `key` is 32 hex digits."""

    run: str
    key: str
    model: str
    kind: str
    tokens: int
    """Input as counted, and the longest reply."""
    cost_usd: float
    asker: str = ""
    """Who asks: see `swarm.observe.scope`."""
    window: int = 0
    """Of the model, in tokens; 0: not said."""
    begun: float | None = None
    """Seconds since the epoch; None: when it is recorded."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Call:
    """A call as it was begun the last time. `seq` orders the calls of a run by when each was first begun; the rest
    is as in `Intent`. `tries` is how often it was about to be sent."""

    seq: int
    key: str
    asker: str
    model: str
    kind: str
    window: int
    tokens: int
    cost_usd: float
    begun: float
    tries: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """What became of one try of a call, which is named by its `seq`. `begun` and `at` are in seconds since the
    epoch, of when the try was sent (None: an older version did not note it) and of when this was known; `failure`
    is None where there is a reply, and `refused` where that is a refusal."""

    seq: int
    call: int
    begun: float | None
    at: float
    usage: Usage
    failure: str | None
    refused: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Begun:
    """What was known of a call when it was begun: nothing (`new`), its reply (`done`: it is not to be sent), or
    that it was sent before and nobody knows what became of it (`unknown`): it is sent again, and may be paid
    twice."""

    state: Literal["new", "done", "unknown"]
    reply: Completion | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Account:
    """A run from outside: `begun` and `last` are seconds since the epoch, of its first and last record."""

    run: str
    begun: float
    last: float
    usage: Usage


class Journal(Protocol):
    """What both stores do alike. Reads come at once and may be made from any thread; what is awaited is durable.

    Raises (any of its methods):
        StoreError: the store cannot be reached or written any more, or another process has taken the run.
    """

    @property
    def apart(self) -> bool:
        """Whether what follows from records is kept in another place than they are: a process that dies in between
        leaves it behind, to be made up for from the records."""

    async def append(self, run: str, *entries: Entry, also: Projection | None = None) -> None:
        """Record these together or none of them, durably once this returns. A record whose name is taken is left
        as it is.

        `also` is what follows from them. Where it raises, that error comes through: in one file nothing was
        recorded; where the journal is `apart` the records are durable and what follows is behind, to be made up
        for from them. So it must not be used to refuse records. It may be run twice."""

    def append_sync(self, run: str, *entries: Entry, also: Projection | None = None) -> None:
        """As `append`, for a thread that is not the event loop's."""

    def records(self, run: str, kind: str) -> Iterator[Record]:
        """The records of one kind in a run, in the order in which they were written."""

    def history(self, run: str) -> Iterator[Record]:
        """All records of a run, in the order in which they were written."""

    def since(self, run: str, seq: int, *, bodies: Collection[str] = (), limit: int = 10_000) -> list[Record]:
        """The next records of a run after the one with this `seq`, at most `limit`, in the order in which they
        were written: for whoever follows a run. Bodies are there of the kinds named, and empty of all others."""

    def calls(self, run: str, seq: int = 0, *, limit: int = 10_000) -> list[Call]:
        """The next calls of a run after the one with this `seq`, in the order in which they were first begun."""

    def tried_again(self, run: str, calls: Collection[int]) -> list[Call]:
        """Those of a run's calls, which are named by their `seq`, that were begun more than once, as they were the
        last time."""

    def outcomes(self, run: str, seq: int = 0, *, limit: int = 10_000) -> list[Outcome]:
        """The next outcomes of a run's calls after the one with this `seq`, in the order in which they came."""

    def keys(self, run: str, kind: str) -> list[str]:
        """The keys of the records of one kind, in the order in which they were written."""

    def count(self, run: str, kind: str) -> int:
        """How many records of one kind there are."""

    def record(self, run: str, kind: str, key: str) -> Record | None:
        """One record by its name, or None."""

    def latest(self, run: str, kind: str) -> Record | None:
        """The last record of one kind, or None."""

    @property
    def begins_late(self) -> bool:
        """Whether `finish_call` takes an intent: that of a call which is answered in this process, so that nothing
        can have been billed before its reply is there."""

    async def begin_call(self, intent: Intent) -> Begun:
        """Record that a call is about to be sent, unless a reply to it is known by now: that is told then, and
        nothing is recorded."""

    async def finish_call(self, run: str, key: str, completion: Completion, intent: Intent | None = None) -> None:
        """Record a reply as it came, before it is used, as paid by `run`, which has begun the call, or begins it
        now with `intent`, else LookupError. A run pays for its own reply; `finished_call` tells the first of
        all."""

    async def fail_call(self, run: str, key: str, reason: str, usage: Usage) -> None:
        """Record that a call, or one try of it, came to nothing, and what it may have cost all the same. The run
        has begun the call, else LookupError."""

    async def finished_call(self, key: str) -> Completion | None:
        """The reply to a call that was finished before, by any run; None where there is none."""

    def failed_calls(self, run: str) -> dict[str, str]:
        """The last reason of each call of a run that has failed and has no reply, by its key."""

    async def settle_lost(self, run: str) -> Usage:
        """Count the calls of a run whose last try has no outcome, because a process died, at the most that they
        can have come to: the provider may have billed them. What they come to is returned."""

    def spent(self, run: str) -> Usage:
        """What a run has paid for so far, with what it may have paid for."""

    def accounts(self) -> list[Account]:
        """All runs, oldest first."""

    def under(self, lease: Lease) -> Journal:
        """The same journal for whoever has claimed a slice of a run: what it writes to that run is refused with
        StaleLease once the lease is over, and needs no hold on the run. Reads are as before. It is not closed."""

    def hold(self, run: str) -> int:
        """Take a run for this process, until `let_go` or `close`. On a server, whoever writes to a run holds it.
        What is returned is higher than it was for every other process that held the run before.

        Raises:
            StoreError: another process that is alive holds it.
        """

    def let_go(self, run: str) -> None:
        """Of a run that is not worked any more, so that another process may take it. Nobody waits for it."""

    def held(self, run: str) -> bool:
        """Whether a process that is alive, this one included, holds the run."""

    async def forget(self, run: str) -> None:
        """Delete a run: its records and the calls that it paid for. This and `erase` alone do not append."""

    def erase(
        self, run: str, records: Sequence[tuple[str, str]], *entries: Entry, also: Projection | None = None
    ) -> None:
        """Delete records of a run, named by kind and key, and append others in their stead, together; `also` as in
        `append`. What is deleted is overwritten, as far as the store can. For a thread that is not the event
        loop's."""

    def close(self) -> None:
        """Let go of everything. Safe to call twice."""


def to_json(body: Body | bytes) -> str:
    """The body of a record as it is kept."""
    if isinstance(body, bytes):
        return body.decode()
    return json.dumps(body, ensure_ascii=False, separators=(",", ":"))


def to_bytes(text: str) -> bytes:
    """Text as it is kept: it may hold half of a surrogate pair, from a file's name or a provider's escapes."""
    return text.encode("utf-8", "surrogatepass")


def from_bytes(data: bytes) -> str:
    return data.decode("utf-8", "surrogatepass")
