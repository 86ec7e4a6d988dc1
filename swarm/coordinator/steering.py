"""What people ask of a run while it is at work: to pause, to go on, to stop, to heed an instruction, to leave a
slice alone.

Requests come from the mailbox of the store, where other processes leave them, and from the facade in this one.
Each is recorded before anything goes by it, under its own id, so that one which is taken twice counts once. An
instruction holds for what begins after it: its record names the slices that were under way, so that a run that
goes on, or is played again, asks what it asked before. Here is what was asked and what waits because of it;
`listen` takes the requests, and the phases ask here before they begin something.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeVar
from weakref import WeakSet

from swarm.errors import SliceCancelled
from swarm.graph.identity import digest
from swarm.store.mailbox import Request
from swarm.tokens import o200k

T = TypeVar("T")

CANCELLED = "cancelled by a person"
POLL_SECONDS = 0.5
_READERS = 240  # tokens of o200k of instructions in a reader's prompt, at the most
_READERS_SHARE = 20  # and this part of what a slice may hold: so much is kept free for them in each
_ADDED = "Added by the person who asked: "
_ADDED_TOKENS = 8


@dataclass(frozen=True, kw_only=True, slots=True)
class Instruction:
    """What a person added while the run was at work. `under_way` are the slices that had begun by then and are
    worked without it."""

    id: str
    text: str
    under_way: frozenset[str] = frozenset()


class _Stopping(asyncio.Event):
    """Set, it lets those go who wait because the run is paused."""

    def __init__(self, then: Callable[[], None]) -> None:
        super().__init__()
        self._then = then

    def set(self) -> None:
        super().set()
        self._then()


class Steering:
    """What people have asked of one run so far. `clock` gives seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.stopping = _Stopping(self._move)
        """Hand out nothing more, and end with what there is. A signal may set it."""
        self.paused = False
        self.over = False
        """The answer is being written: an instruction comes too late, and waits for the run to go on."""
        self.ended = False
        """Nobody listens any more."""
        self.instructions: list[Instruction] = []
        self.cancelled: set[str] = set()
        """Ids of slices that are not to be worked any more."""
        self._clock = clock
        self._paused_at = self._paused_for = 0.0
        self._idle, self._may_send = asyncio.Event(), asyncio.Event()
        self._idle.set()  # no instruction is being recorded
        self._posted: deque[Request] = deque()
        self._woken = asyncio.Event()
        self._under_way: Counter[str] = Counter()
        self._scopes: dict[str, set[asyncio.Timeout]] = {}
        self._move()

    # For whoever begins something

    async def turn(self) -> None:
        """Before a slice is begun: wait while the run is paused, or an instruction is on its way into the journal.
        Whoever comes back goes by `stopping`, and enters `under_way` without another wait."""
        while not (self._idle.is_set() and self._may_send.is_set()):
            await self._idle.wait()
            await self._may_send.wait()

    async def sending(self) -> None:
        """Before a call is sent: wait while the run is paused."""
        while not self._may_send.is_set():
            await self._may_send.wait()

    async def conclude(self) -> None:
        """Before the answer is written: what is said from here on comes too late."""
        while not self._idle.is_set():
            await self._idle.wait()
        self.over = True

    @contextmanager
    def under_way(self, ref: str) -> Iterator[None]:
        """While a slice is worked, until what became of it is recorded."""
        self._under_way[ref] += 1
        try:
            yield
        finally:
            self._under_way[ref] -= 1
            if not self._under_way[ref]:
                del self._under_way[ref]

    async def work(self, ref: str, working: Callable[[], Awaitable[T]]) -> T:
        """What `working` returns: the part of a slice's work that can be broken off.

        Raises:
            SliceCancelled: a person cancelled the slice, before or now.
        """
        if ref in self.cancelled:
            raise SliceCancelled(CANCELLED)
        scope = asyncio.timeout(None)
        try:
            async with scope:
                self._scopes.setdefault(ref, set()).add(scope)
                try:
                    return await working()
                finally:
                    self._forget(ref, scope)
        except TimeoutError:
            if scope.expired():
                raise SliceCancelled(CANCELLED) from None
            raise

    def _forget(self, ref: str, scope: asyncio.Timeout) -> None:
        scopes = self._scopes.get(ref, set())
        scopes.discard(scope)
        if not scopes:
            self._scopes.pop(ref, None)

    # What was said

    @property
    def mark(self) -> str:
        """Tells what is asked after an instruction from what was asked before it; empty where there is none."""
        return self.mark_with(())

    def mark_with(self, more: Iterable[str]) -> str:
        """As `mark` would be with instructions of these ids too."""
        ids = [*(one.id for one in self.instructions), *more]
        return f"+{digest('said', *ids)[:12]}" if ids else ""

    def said(self, tokens: int) -> tuple[str, ...]:
        """The instructions, in their order, in at most so many tokens of o200k: where they do not fit, the latest
        count most."""
        return _fitting([one.text for one in self.instructions], tokens)

    def said_to(self, ref: str, material: int) -> str:
        """What the reader of a slice is told, where a slice may hold so many tokens of material; empty for one
        that had begun before."""
        texts = [one.text for one in self.instructions if ref not in one.under_way]
        if not texts:
            return ""
        fitting = _fitting([" ".join(text.split()) for text in texts], kept_free(material))
        return "\n".join(f"{_ADDED}{text}" for text in fitting)

    def seconds(self) -> float:
        """The clock without the time that the run was paused: no limit in seconds runs while it is."""
        now = self._clock()
        return now - self._paused_for - (now - self._paused_at if self.paused else 0.0)

    # What is asked

    def post(self, request: Request) -> None:
        """Ask something from within this process, on the thread of its event loop. It is taken at once."""
        self._posted.append(request)
        self._woken.set()

    def stop(self) -> None:
        """As a signal does: nothing is recorded."""
        self.stopping.set()

    def pause(self) -> bool:
        """Whether that changed anything."""
        if self.paused:
            return False
        self.paused, self._paused_at = True, self._clock()
        self._move()
        return True

    def go_on(self) -> bool:
        """Whether that changed anything."""
        if not self.paused:
            return False
        self._paused_for += self._clock() - self._paused_at
        self.paused = False
        self._move()
        return True

    def cancel(self, ref: str) -> None:
        """Leave a slice alone: what is under way for it ends here."""
        if ref in self.cancelled:
            return
        self.cancelled.add(ref)
        for scope in self._scopes.get(ref, ()):
            scope.reschedule(asyncio.get_running_loop().time())

    @contextmanager
    def recording(self) -> Iterator[list[str]]:
        """While an instruction is recorded, no slice begins: the ids of those under way."""
        self._idle.clear()
        try:
            yield sorted(self._under_way)
        finally:
            self._idle.set()

    async def asked(self) -> None:
        """Until something is posted, or it is time to look into the mailbox."""
        with suppress(TimeoutError):
            async with asyncio.timeout(POLL_SECONDS):
                await self._woken.wait()

    def posted(self) -> list[Request]:
        """What was posted since, to be taken by the caller."""
        self._woken.clear()
        found = list(self._posted)
        self._posted.clear()
        return found

    def _move(self) -> None:
        """Let those go who wait and need not any more."""
        if self.paused and not self.stopping.is_set():
            self._may_send.clear()
        else:
            self._may_send.set()


class Reins:
    """What the user of a swarm asks of its runs: of those at work, or where there is none, of the next. To stop is
    asked once for all that come."""

    def __init__(self) -> None:
        self.stopping = False
        self._at_work: WeakSet[Steering] = WeakSet()
        self._early: list[Request] = []

    def of_run(self, clock: Callable[[], float]) -> Steering:
        """Those of a run that begins now."""
        steering = Steering(clock)
        if self.stopping:
            steering.stop()
        for asked in self._early:
            steering.post(asked)
        self._early.clear()
        self._at_work.add(steering)
        return steering

    def ask(self, asked: Request) -> None:
        at_work = [steering for steering in self._at_work if not steering.ended]
        for steering in at_work:
            steering.post(asked)
        if not at_work:
            self._early.append(asked)

    def stop(self) -> None:
        self.stopping = True
        for steering in self._at_work:
            steering.stop()


def kept_free(material: int) -> int:
    """Tokens of o200k in each reader's prompt that are kept for what a person may add, where a slice holds so much
    material."""
    return min(_READERS, material // _READERS_SHARE)


def _fitting(texts: list[str], tokens: int) -> tuple[str, ...]:
    found: list[str] = []
    for text in reversed(texts):
        found.append(_cut(text, tokens - _ADDED_TOKENS))
        tokens -= o200k(found[-1]) + _ADDED_TOKENS
        if tokens <= 2 * _ADDED_TOKENS:
            break
    return tuple(text for text in reversed(found) if text)


@lru_cache(maxsize=64)
def _cut(text: str, tokens: int) -> str:
    """The beginning of a text, in so many tokens of o200k at the most."""
    if tokens <= 0:
        return ""
    whole, count = len(text), o200k(text)
    if count <= tokens:
        return text
    while text and count >= tokens:
        text = text[: min(len(text) - 1, int(len(text) * (tokens - 1) / count))]
        count = o200k(text)
    return f"{text}…" if len(text) < whole else text
