"""Text of a run, fit to be shown: cleaned, without secrets, cut, and on one line; names of slices among it.

This module does not know a terminal.
"""

from __future__ import annotations

from functools import lru_cache

from swarm.cli.plain import clean, one_line
from swarm.inspect import names
from swarm.inspect.plan import Seen
from swarm.observe.log import redact_text

LONGEST = 400
"""Characters of any text that is shown on a line: more than the widest terminal has."""
_COORDINATOR = {
    "plan": "plans", "judge": "judges", "consolidate": "condenses", "finish": "answers",
}  # fmt: skip


def shown(text: str, width: int = LONGEST) -> str:
    """One line of what a source, a model or an error said."""
    return _shown(text[: 16 * width], width)


@lru_cache(maxsize=8_192)
def _shown(text: str, width: int) -> str:
    """Most of it is asked for again at each look. Cleaned first, as a secret may have signs between its letters
    that nobody sees; and cut last, as half a secret looks like none."""
    return one_line(redact_text(clean(text))[: 8 * width], width)


class Names:
    """What slices are called, on a line of a screen."""

    def __init__(self, names: names.Names) -> None:
        self._names = names

    def of(self, seen: Seen) -> str:
        return shown(self._names.of(seen))

    def source(self, id_: str) -> str:
        """The path of a source."""
        return shown(self._names.source(id_)[0])


def doing(asker: str, kind: str) -> str:
    """What somebody is at who asked for a call of a kind."""
    return _COORDINATOR.get(asker.partition(":")[0], "") or shown(kind)
