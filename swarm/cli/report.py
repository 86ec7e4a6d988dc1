"""`swarm report`: a run as one HTML file to send to somebody. `swarm/inspect/report/` does the work."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from swarm.cli.ending import tidied
from swarm.cli.plain import one_line

if TYPE_CHECKING:
    from swarm.inspect.report.write import Written

MOST_MB = 25.0

_Run = Annotated[
    str, typer.Argument(metavar="RUN", show_default=False, help="The id of the run, the beginning of it, or last.")
]
_Out = Annotated[
    Path,
    typer.Option("--output", "-o", metavar="FILE", show_default=False, help="The file to write, or - for stdout."),
]
_Title = Annotated[
    str, typer.Option("--title", metavar="TEXT", show_default=False, help="Its heading; else what was asked.")
]
_Most = Annotated[
    float,
    typer.Option(
        "--max-mb", metavar="N", min=2, max=10_000, help="How long it may be; what matters least is left out."
    ),
]
_Store = Annotated[str | None, typer.Option("--store", metavar="FILE|URL", help="The store of the run.")]
_Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


def report(
    run: _Run,
    output: _Out,
    title: _Title = "",
    max_mb: _Most = MOST_MB,
    store: _Store = None,
    as_json: _Json = False,
) -> int:
    """Write a run as one HTML file: its answer, what it rests on, and how it was worked. It loads nothing."""
    if str(output) == "-":
        _write(run, store, None, title, max_mb)
        return 0
    written = _write(run, store, output, title, max_mb)
    if as_json:
        from swarm.cli.document import dumps

        document = {
            "path": str(output), "bytes": written.bytes, "findings": written.findings,
            "left_out": list(written.left_out),
        }  # fmt: skip
        sys.stdout.write(f"{dumps(document)}\n")
        return 0
    for line in lines(output, written):
        sys.stdout.write(f"{line}\n")
    return 0


def lines(output: Path, written: Written) -> list[str]:
    """What was written, and what is not in it."""
    said = [f"wrote {one_line(str(output))}: {written.bytes / 1e6:.1f} MB, {written.findings:,} findings"]
    return said + [f"  not in it: {line}" for line in written.left_out]


def _write(run: str, store: str | None, output: Path | None, title: str, max_mb: float) -> Written:
    from contextlib import nullcontext

    from swarm.inspect.opened import open_run
    from swarm.inspect.report.write import write_report
    from swarm.inspect.whole import new_file

    with open_run(run, store) as opened:
        place = nullcontext(sys.stdout.buffer) if output is None else new_file(output)
        with tidied(), place as out:
            return write_report(opened, out, title=title, most_mb=max_mb)


def save(run: str, store: str | None, output: Path) -> Written:
    """Write the report of a run to a file, as `swarm graph --save` does."""
    return _write(run, store, output, "", MOST_MB)
