"""A run that several people look into at once: it is followed further when somebody asks, and no more than that.

    with open_run("last") as opened:
        look = Look(opened)
        print(ENDPOINTS["overview"](look))

What is dear to tell (counts over a whole graph, how far the reading came) is kept, and told anew no sooner than it
is worth the time. This module does not know what is told.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from threading import RLock
from typing import Any, TypeVar, cast

from swarm.errors import NoSuchRun, UsageError
from swarm.graph.graph import SharedGraph
from swarm.inspect.alive import Alive
from swarm.inspect.follow import Follower
from swarm.inspect.opened import Opened
from swarm.store.library import Library

T = TypeVar("T")

_EVERY_SECONDS = 0.5  # between looks at a run that goes on
_AT_REST_SECONDS = 5.0  # between looks at one that nobody is at, and that somebody may go on with
_SHARE = 20  # what is kept is brought forward after so many times the time that it took
_WHOLE_SHARE = 100  # and made anew from the ground up after so many times the time that that took
_REFRESH_SECONDS = 5.0  # between looks at a graph that is kept apart from its journal


class Unknown(UsageError):
    """There is no such node, slice, call or source in the run."""


@dataclass(slots=True)
class _Kept:
    """`made` is when it was brought forward and `took` how long that took; `whole` and `whole_took` are of when it
    was made anew."""

    value: Any
    version: object
    made: float
    took: float
    whole: float
    whole_took: float


class Look:
    """One run. `clock` gives seconds since the epoch, `watch` those that only go forward. Whoever reads from the
    follower holds `lock`; `fresh` and `kept` take it."""

    def __init__(
        self,
        opened: Opened,
        clock: Callable[[], float] = time.time,
        watch: Callable[[], float] = time.monotonic,
    ) -> None:
        self.opened, self.clock = opened, clock
        self.follower = Follower(opened, clock)
        self.alive = Alive(self.follower, watch)
        self.lock = RLock()
        self._watch = watch
        self._kept: dict[str, _Kept] = {}
        self._looked: float | None = None
        self._refreshed, self._refreshing = watch(), 0.0
        self._over = False

    @property
    def graph(self) -> SharedGraph:
        return self.opened.graph

    @property
    def library(self) -> Library:
        return self.opened.library

    def fresh(self) -> Follower:
        """The follower, brought to where the run is by now: at most twice a second, and no further once the run
        came to its end.

        Raises:
            StoreError: the store cannot be read any more, or does not hold the run any more.
        """
        with self.lock:
            now = self._watch()
            if self._looked is None or now - self._looked >= self._pause():
                self._check_there()
                if not self._over:
                    self._refresh(now)
                    self.follower.catch_up()
                self._looked = self._watch()
                self._over = self.follower.status == "answered"
            return self.follower

    def _check_there(self) -> None:
        """Whoever has a run forgotten does not want it shown, from memory or otherwise."""
        if self.opened.journal.record(self.opened.run, "task", "") is None:
            raise NoSuchRun(f"the run {self.opened.run} is not in the store any more: somebody had it forgotten")

    def _pause(self) -> float:
        return _EVERY_SECONDS if self.follower.live else _AT_REST_SECONDS

    def _refresh(self, now: float) -> None:
        """A graph that is kept apart costs as much to bring forward as the run is long, so that it lags behind."""
        if not self.opened.journal.apart or now - self._refreshed < max(
            _REFRESH_SECONDS, _SHARE * self._refreshing
        ):
            return
        self.opened.refresh()
        self._refreshed = self._watch()
        self._refreshing = self._refreshed - now

    def kept(
        self,
        name: str,
        make: Callable[[], T],
        version: object = None,
        *,
        more: Callable[[T], T] | None = None,
        at_once: bool = False,
    ) -> T:
        """What `make` gives, as it was made for this version (None: the follower's) of the run. While the run goes
        on it may be a little behind, but for what is to be made `at_once`. `more` brings what is known forward for
        less, and may miss something: then it is made anew once in a while, and when the run is over."""
        with self.lock:
            if version is None:
                version = self.follower.version
            live = self.follower.live
            if more is not None:
                version = (version, live)
            known, now = self._kept.get(name), self._watch()
            if known is not None and (known.version == version or not (at_once or self._is_worth(known, now))):
                return cast("T", known.value)
            if known is None or more is None or not live or now - known.whole >= _WHOLE_SHARE * known.whole_took:
                value = make()
                made = self._watch()
                self._kept[name] = _Kept(value, version, made, made - now, made, made - now)
                return value
            known.value = more(known.value)
            known.version, known.made = version, self._watch()
            known.took = known.made - now
            return cast("T", known.value)

    def _is_worth(self, known: _Kept, now: float) -> bool:
        return not self.follower.live or now - known.made >= _SHARE * known.took
