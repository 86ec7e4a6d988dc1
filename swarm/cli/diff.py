"""`swarm diff`: two runs side by side.

`swarm/inspect/diff/` compares; this prints it (`diff_lines`).
"""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import Annotated

import typer

_A = Annotated[
    str, typer.Argument(metavar="RUN_A", show_default=False, help="The id of a run, the beginning of it, or last.")
]
_B = Annotated[str, typer.Argument(metavar="RUN_B", show_default=False, help="The run that is held against it.")]
_Store = Annotated[str | None, typer.Option("--store", metavar="FILE|URL", help="The store of the runs.")]
_StoreB = Annotated[
    str | None, typer.Option("--store-b", metavar="FILE|URL", help="The store of RUN_B, where it is another.")
]
_Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
_Limit = Annotated[int, typer.Option("--limit", metavar="N", min=1, max=10_000, help="How many of each to list.")]


def diff(
    run_a: _A, run_b: _B, store: _Store = None, store_b: _StoreB = None, as_json: _Json = False, limit: _Limit = 8
) -> int:
    """Hold two runs against each other: answers, findings, coverage, cost, time and windows."""
    from swarm.cli.diff_lines import lines
    from swarm.cli.document import dumps
    from swarm.inspect.diff import diff as difference
    from swarm.inspect.opened import open_run

    with open_run(run_a, store) as a, open_run(run_b, store_b or store) as b:
        told = difference(a, b, limit=limit)
    if as_json:
        sys.stdout.write(f"{dumps(asdict(told))}\n")
    else:
        sys.stdout.writelines(f"{line}\n" for line in lines(told))
    return 0
