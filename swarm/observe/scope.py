"""Where the program is at: in which run, who asks there, and which call is on its way.

Logs, traces and the journal name these alike, so that one is found from the other. This module does not know what
a run is, and keeps nothing: a scope ends with its block, and tasks that are begun in it are in it too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Scope:
    """`asker` is the id of a slice, or a part of the coordinator (`plan`, `judge`, `consolidate`, `finish`; of
    work `plan:branch:number` and `judge:branch:number`); `call` the call's key in the journal. Empty: none."""

    run: str = ""
    asker: str = ""
    call: str = ""


PHASES = ("plan", "dispatch", "judge", "consolidate", "finish")
"""The parts of the coordinator that ask, and in one of which slices are worked."""
_NOWHERE = Scope()
_SCOPE: ContextVar[Scope] = ContextVar("swarm_scope", default=_NOWHERE)
_listener: Callable[[Scope], AbstractContextManager[None]] | None = None


def scope() -> Scope:
    """Where the program is at."""
    return _SCOPE.get()


def listen(listener: Callable[[Scope], AbstractContextManager[None]] | None) -> None:
    """Have every scope that is entered from now on be entered with `listener`, too; None: with nobody."""
    global _listener
    _listener = listener


@contextmanager
def within(*, run: str | None = None, asker: str | None = None, call: str | None = None) -> Iterator[None]:
    """Be in a run, at an asker or in a call for a block. What lies inside of it begins anew; what lies around it
    stays."""
    if run is not None:
        inner = Scope(run, asker or "", call or "")
    elif asker is not None:
        inner = replace(_SCOPE.get(), asker=asker, call=call or "")
    else:
        inner = replace(_SCOPE.get(), call=call or "")
    token = _SCOPE.set(inner)
    try:
        if _listener is None:
            yield
        else:
            with _listener(inner):
                yield
    finally:
        _SCOPE.reset(token)
