"""`swarm why`: from a sentence of an answer down to findings, reports, calls and bytes, and what it cost.

`swarm/inspect/why/` finds the way; this prints it (`why_lines`).
"""

from __future__ import annotations

import asyncio
import sys
import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from swarm.cli.plain import one_line

if TYPE_CHECKING:
    from swarm.inspect.opened import Opened
    from swarm.inspect.why.parts import Why

_TOLD_AFTER_CALLS = 2_000  # of a run whose replay takes a while

_Run = Annotated[
    str, typer.Argument(metavar="RUN", show_default=False, help="The id of the run, the beginning of it, or last.")
]
_Text = Annotated[
    str,
    typer.Argument(
        metavar="TEXT",
        show_default=False,
        help="A sentence of the answer or a part of it, its number (3), a citation ([3]), a cell, a finding or the"
        " beginning of its id, or the name of a slice.",
    ),
]
_Store = Annotated[str | None, typer.Option("--store", metavar="FILE|URL", help="The store of the run.")]
_Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
_Prompts = Annotated[
    bool, typer.Option("--prompts", help="Show prompts and replies too: the run is replayed, nothing is sent.")
]
_Limit = Annotated[int, typer.Option("--limit", metavar="N", min=1, max=1_000, help="How many of each to tell.")]


def why(
    run: _Run,
    text: _Text,
    store: _Store = None,
    as_json: _Json = False,
    prompts: _Prompts = False,
    limit: _Limit = 6,
) -> int:
    """Say why a run says something: down to findings, slices, calls and the exact words, and what it cost."""
    from swarm.cli.document import dumps
    from swarm.cli.why_lines import lines
    from swarm.inspect.opened import open_run
    from swarm.inspect.why import why as way_down

    with open_run(run, store) as opened:
        told = way_down(opened, text, limit=limit)
        if told.found is None:
            raise _nothing(told)
        if prompts:
            told = _with_prompts(told, opened)
    if as_json:
        sys.stdout.write(f"{dumps(asdict(told))}\n")
    else:
        sys.stdout.writelines(f"{line}\n" for line in lines(told))
    return 0


def _with_prompts(told: Why, opened: Opened) -> Why:
    from swarm.inspect.why.prompts import with_prompts

    calls = told.cost.run.calls if told.cost is not None else 0
    if calls > _TOLD_AFTER_CALLS:
        sys.stderr.write(f"swarm: {calls:,} calls are replayed to make the prompts again, nothing is sent ...\n")
    began = time.monotonic()
    done = asyncio.run(with_prompts(told, opened))
    if (took := time.monotonic() - began) > 5:
        sys.stderr.write(f"swarm: that took {took:.0f} s\n")
    return done


def _nothing(told: Why) -> Exception:
    from swarm.errors import UsageError

    near = "; ".join(f"{one.name}: {one_line(one.text, 80)!r}" for one in told.others)
    ends = f" ({', '.join(told.ends)})" if told.ends else ""
    nearest = f"; nearest are {near}" if near else ", nor anything like it"
    return UsageError(f"nothing in {told.run}{ends} says {one_line(told.asked, 80)!r}{nearest}")
