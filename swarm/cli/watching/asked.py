"""What is asked of a run from the screen, and its outcome in a line: also where nobody is there to hear it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from swarm.cli.plain import one_line
from swarm.errors import SwarmError
from swarm.observe.log import redact_text
from swarm.steer import Told, is_paused, tell
from swarm.store.mailbox import What

_LATER = "; not taken yet: it is as soon as the files are read in, or the machine is less busy"


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """What came of it, for a person; `failed` where nothing was asked of anybody."""

    said: str
    failed: bool = False


def ask(run: str, what: What, store: str | Path | None, *, text: str = "", slice_: str = "") -> Asked:
    """Ask something of a run and wait a moment until it is taken. For a thread that may wait. To pause one that is
    paused is to have it go on."""
    try:
        if what == "pause" and is_paused(run, store):
            what = "go_on"
        told = tell(run, what, text=text, slice_name=slice_, store=store)
    except SwarmError as error:
        return Asked(said=one_line(redact_text(one_line(str(error))), 400), failed=True)
    return Asked(said=_outcome(told, what, slice_) + (_LATER if told.at_work and not told.taken else ""))


def _outcome(told: Told, what: What, slice_: str) -> str:
    later = "" if told.at_work else ", when it goes on"
    return {
        "pause": "paused: nothing new is begun, calls in flight finish; p goes on",
        "go_on": "it goes on",
        "stop": "it stops: calls in flight finish, and it ends with what it has",
        "steer": f"it goes by that from now on{later}",
        "cancel": f"the slice {slice_[:12]} is left alone{later}",
    }[what]
