"""Standing by for a run that another process coordinates: until that has died, or the run has come to its end.

Who coordinates a run holds it in the store, for as long as its connection lives. A process that hangs keeps its
connection and says nothing any more: after a minute the hold is ended for it, and should it wake up, the store
takes nothing from it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from swarm.coordinator.distributed import coordinates
from swarm.coordinator.records import ANSWER
from swarm.errors import UsageError
from swarm.observe.log import get_logger
from swarm.store.journal import Journal
from swarm.store.opening import Store, is_url, open_store

log = get_logger("standby")

SILENT_SECONDS = 60.0
_LOOK_SECONDS = 2.0


async def stand_by(run: str, store: Path | str | None, tell: Callable[[str], None]) -> None:
    """Return once nobody coordinates the run, or it has its whole answer. `tell` is told whom it waits for.

    Raises:
        UsageError: the store is a file: whoever has it has all of it.
        StoreError: the store cannot be reached.
    """
    if not is_url(str(store)):
        raise UsageError("to stand by needs a store on a server: --store postgresql://…")
    opened = await asyncio.to_thread(open_store, store, read_only=True)
    try:
        told = False
        while await asyncio.to_thread(_coordinated, opened, run):
            if not told:
                tell(f"standing by for run {run}")
                told = True
            await asyncio.sleep(_LOOK_SECONDS)
    finally:
        await asyncio.to_thread(opened.close)


def _coordinated(store: Store, run: str) -> bool:
    """Whether somebody who lives is at the run. Blocks."""
    if _over(store.journal, run) or not store.journal.held(run):
        return False
    for machine in store.machines.seen():
        if machine.note == coordinates(run) and machine.ago > SILENT_SECONDS:
            log.warning("ended the hold of a coordinator that is silent", run=run, machine=machine.id)
            assert store.url is not None
            from swarm.store.postgres_holds import end_hold

            end_hold(store.url, run, machine.pid, machine.host)
            store.machines.leave(machine.id)
    return True


def _over(journal: Journal, run: str) -> bool:
    session, answer = journal.latest(run, "session"), journal.latest(run, "answer")
    if session is None or answer is None or answer.key != session.key:
        return False
    return ANSWER.validate_python(answer.body).complete
