"""`swarm watch`: a run looked at while it goes on, on a screen of its own; in a pipe or a log as lines of text.

What is shown is made in `swarm/cli/watching/`; here is decided how, and when it ends.
"""

from __future__ import annotations

import os
import shutil
import sys
import time
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from swarm.cli.watching.argued import Argued
    from swarm.cli.watching.frame import Frame
    from swarm.cli.watching.look import Look

_FIRST_SECONDS, _LAST_SECONDS = 5.0, 60.0
"""Between two lines, where there is no screen: at first, and of a run that takes long."""
_WIDTH = 100

_Run = Annotated[
    str, typer.Argument(metavar="RUN", show_default=False, help="The id of the run, the beginning of it, or last.")
]
_Store = Annotated[str | None, typer.Option("--store", metavar="FILE|URL", help="The store of the run.")]
_Once = Annotated[bool, typer.Option("--once", help="Print how it stands, and end.")]
_Json = Annotated[bool, typer.Option("--json", help="Print how it stands as one JSON object, and end.")]


def watch(run: _Run, store: _Store = None, once: _Once = False, as_json: _Json = False) -> int:
    """Watch a run, live or over: plan, places, spending, findings, failures; pause, steer and stop it from there.

    Without a terminal: a line now and then, until nobody is at the run any more.
    """
    from swarm.cli.watching.argued import Argued
    from swarm.cli.watching.look import Look
    from swarm.inspect.follow import Follower
    from swarm.inspect.opened import open_run

    with open_run(_there(run, store), store) as opened:
        look, argued = Look(Follower(opened)), Argued(opened)
        if once or as_json:
            _picture(look, argued, as_json)
        elif _has_screen():
            from swarm.cli.watching.app import run as show

            _left(show(look, argued))
        else:
            return follow_in_lines(look)
    return 0


def _there(run: str, store: str | None) -> str:
    """The id of a run.

    Raises:
        StoreError: there is no such run, or none at all.
    """
    from swarm.errors import NoSuchRun
    from swarm.history import LAST, find
    from swarm.store.opening import shown

    try:
        return find(run, store)
    except NoSuchRun:
        if run != LAST:
            raise
        raise NoSuchRun(f"{shown(store)} holds no run yet: begin one, and watch it then") from None


def _has_screen() -> bool:
    return sys.stdin.isatty() and sys.stdout.isatty() and os.environ.get("TERM", "") not in ("", "dumb")


def caught_up(look: Look) -> Frame:
    """How the run stands, with all that is recorded of it."""
    while (frame := look.next()).head.behind:
        pass
    return frame


def _picture(look: Look, argued: Argued, as_json: bool) -> None:
    from swarm.cli.document import dumps
    from swarm.cli.watching.told import document, picture
    from swarm.cli.watching.tree import Wish

    frame = caught_up(look)
    look.disputes = argued.look(frame.version)
    frame = look.frame(Wish())
    if as_json:
        sys.stdout.write(f"{dumps(document(frame))}\n")
        return
    width = shutil.get_terminal_size((_WIDTH, 24)).columns
    for line in picture(frame, max(40, min(width, 2 * _WIDTH))):
        sys.stdout.write(f"{line}\n")


def follow_in_lines(look: Look, first_seconds: float = _FIRST_SECONDS) -> int:
    """A line whenever something happened, less often the longer it goes on, until nobody is at the run. Ctrl-C
    ends the watching, and not the run."""
    from swarm.cli.watching.told import line

    wait, version = first_seconds, -1
    try:
        while True:
            frame = caught_up(look)
            if frame.version != version:
                sys.stdout.write(f"{line(frame)}\n")
                sys.stdout.flush()
                version = frame.version
            if frame.head.status not in ("running", "paused"):
                if frame.head.again:
                    sys.stdout.write(f"go on with: {frame.head.again}\n")
                return 0
            time.sleep(wait)
            wait = min(_LAST_SECONDS, wait * 1.1)
    except KeyboardInterrupt:
        return 130


def _left(frame: Frame | None) -> None:
    """What stays on the terminal when the screen is gone."""
    from swarm.cli.watching.told import line

    if frame is not None:
        sys.stdout.write(f"{line(frame)}\n")
