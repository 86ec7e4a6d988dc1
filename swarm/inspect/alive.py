"""Which of a run's machines are alive, for whoever looks at it while it goes on: asked of the store now and then.

A run that no machine works asks nobody, nor does one in a file, or one that is over. That the store cannot tell is
no reason to show nothing else.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from swarm.errors import StoreError
from swarm.inspect.follow import Follower
from swarm.observe.log import get_logger, told
from swarm.store.machines import Seen

EVERY_SECONDS = 2.0
"""Between two questions."""

log = get_logger("inspect")


class Alive:
    """Of one run. `watch` gives seconds that only go forward."""

    def __init__(self, followed: Follower, watch: Callable[[], float] = time.monotonic) -> None:
        self._followed, self._watch = followed, watch
        self._asked: float | None = None
        self._seen: dict[str, Seen] = {}
        self.turns = 0
        """How often something changed of which machines are alive, or drain."""

    def seen(self) -> Mapping[str, Seen]:
        """The machines that work for the store, by their ids, as of a moment ago."""
        if not self._worth():
            return {}
        now = self._watch()
        if self._asked is None or now - self._asked >= EVERY_SECONDS:
            seen = self._look()
            self._asked = self._watch()
            self.turns += _state(seen) != _state(self._seen)
            self._seen = seen
        return self._seen

    def _worth(self) -> bool:
        followed = self._followed
        asks = followed.opened.machines is not None and bool(followed.plan.machines)
        return asks and (followed.live or followed.status == "interrupted")

    def _look(self) -> dict[str, Seen]:
        assert self._followed.opened.machines is not None
        try:
            return {one.id: one for one in self._followed.opened.machines().seen()}
        except StoreError as error:
            log.warning("cannot tell which machines are alive", said=told(error))
            return {}


def _state(seen: Mapping[str, Seen]) -> dict[str, tuple[str, bool]]:
    return {id_: (one.life, one.draining) for id_, one in seen.items()}
