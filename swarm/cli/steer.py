"""`swarm steer`, `pause` and `stop`, and `resume` for a run that is paused: a word to a run in another process.

`swarm/steer.py` does the work; this says on one line what came of it.
"""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from swarm.steer import Told

_Run = Annotated[
    str, typer.Argument(metavar="RUN", show_default=False, help="The id of the run, the beginning of it, or last.")
]
_Text = Annotated[
    str, typer.Argument(metavar="INSTRUCTION", show_default=False, help="What is to be heeded from now on.")
]
_Slice = Annotated[
    str | None,
    typer.Option(
        "--slice", metavar="SLICE", help="Cancel this slice alone: its name, or its id or its beginning."
    ),
]
_Store = Annotated[str | None, typer.Option("--store", metavar="FILE|URL", help="The store of the run.")]
_Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]

_LATER = "not taken yet: it is as soon as the files are read in, or the machine is less busy"


def steer(run: _Run, instruction: _Text, store: _Store = None, as_json: _Json = False) -> int:
    """Add an instruction to a run: it holds for all that begins after it."""
    from swarm.steer import tell

    told = tell(run, "steer", text=instruction, store=store)
    if told.at_work:
        return _said(told, f"{told.run} goes by it from now on", as_json)
    return _said(
        told, f"{told.run} is not at work, and goes by it when it goes on: swarm resume {told.run}", as_json
    )


def pause(run: _Run, store: _Store = None, as_json: _Json = False) -> int:
    """Pause a run: nothing new is begun, calls in flight finish, and its process waits."""
    from swarm.steer import tell

    told = tell(run, "pause", store=store)
    return _said(told, f"{told.run} is paused; go on with: swarm resume {told.run}", as_json)


def stop(run: _Run, slice_: _Slice = None, store: _Store = None, as_json: _Json = False) -> int:
    """Stop a run as Ctrl-C does, or cancel one slice of it."""
    from swarm.steer import tell

    if slice_ is None:
        told = tell(run, "stop", store=store)
        return _said(told, f"{told.run} stops: calls in flight finish, and it ends with what it has", as_json)
    told = tell(run, "cancel", slice_name=slice_, store=store)
    when = "" if told.at_work else " when it goes on"
    return _said(told, f"{told.run} leaves the slice {slice_} alone{when}", as_json)


def go_on_if_paused(run: str, store: str | None, *, as_json: bool) -> int | None:
    """Where a process is at this run, and it is paused: tell it to go on. None: there is nobody to tell."""
    from swarm.steer import is_paused, tell

    if not is_paused(run, store):
        return None
    told = tell(run, "go_on", store=store)
    return _said(told, f"{told.run} goes on, in the process that is at it", as_json)


def _said(told: Told, text: str, as_json: bool) -> int:
    if as_json:
        from swarm.cli.document import dumps

        sys.stdout.write(f"{dumps(asdict(told))}\n")
    else:
        sys.stdout.write(f"{text}{f' ({_LATER})' if told.at_work and not told.taken else ''}\n")
    return 0
