"""`swarm export`: a run for other programs: its tables as CSV or Parquet, its calls as an OpenTelemetry trace.

`swarm/inspect/` does the work; this chooses, and says what was written.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from swarm.cli.ending import tidied
from swarm.cli.plain import one_line, plural

if TYPE_CHECKING:
    from swarm.inspect.export.files import Write
    from swarm.inspect.opened import Opened

FORMATS = ("csv", "parquet", "otlp-json")

_Run = Annotated[
    str, typer.Argument(metavar="RUN", show_default=False, help="The id of the run, the beginning of it, or last.")
]
_Format = Annotated[
    str,
    typer.Option("--format", metavar="|".join(FORMATS), show_default=False, help="What is to be written."),
]
_Out = Annotated[
    Path,
    typer.Option(
        "--output", "-o", metavar="PATH", show_default=False, help="A new folder; of otlp-json a file, or -."
    ),
]
_Store = Annotated[str | None, typer.Option("--store", metavar="FILE|URL", help="The store of the run.")]
_Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


def export(run: _Run, format_: _Format, output: _Out, store: _Store = None, as_json: _Json = False) -> int:
    """Write what is known of a run for other programs, live or over."""
    from swarm.errors import UsageError
    from swarm.inspect.opened import open_run

    if format_ not in FORMATS:
        raise UsageError(f"--format {format_}: there are {', '.join(FORMATS)}")
    writer = _writer(format_)
    with open_run(run, store) as opened:
        if writer is None:
            return _trace(opened, output, as_json=as_json)
        return _tables(opened, output, writer, as_json=as_json)


def _writer(format_: str) -> Write | None:
    """What writes a table; None where it is no table that is asked for.

    Raises:
        UsageError: pyarrow is not installed.
    """
    from swarm.errors import UsageError
    from swarm.inspect.export.files import write_csv, write_parquet

    if format_ == "otlp-json":
        return None
    if format_ == "csv":
        return write_csv
    try:
        import pyarrow  # noqa: F401 - to tell that it is missing before anything is read
    except ImportError:
        raise UsageError("parquet needs pyarrow: pip install 'swarm-memory[parquet]'") from None
    return write_parquet


def _tables(opened: Opened, output: Path, write: Write, *, as_json: bool) -> int:
    from swarm.inspect.export.files import write_folder
    from swarm.inspect.export.tables import tables
    from swarm.inspect.look import Look

    with tidied():
        rows = write_folder(output, tables(Look(opened)), write)
    told = ", ".join(f"{name} {count:,}" for name, count in rows.items())
    _say(
        {"run": opened.run, "path": str(output), "rows": rows},
        f"wrote {one_line(str(output))}: {told}",
        as_json=as_json,
    )
    return 0


def _trace(opened: Opened, output: Path, *, as_json: bool) -> int:
    from swarm.inspect.export.otlp import write_otlp
    from swarm.inspect.whole import new_file

    if str(output) == "-":
        write_otlp(opened, sys.stdout.buffer)
        return 0
    with tidied(), new_file(output) as out:
        spans = write_otlp(opened, out)
    document = {"run": opened.run, "path": str(output), "spans": spans}
    _say(document, f"wrote {one_line(str(output))}: {plural(spans, 'span')}", as_json=as_json)
    return 0


def _say(document: dict[str, Any], line: str, *, as_json: bool) -> None:
    if as_json:
        from swarm.cli.document import dumps

        line = dumps(document)
    sys.stdout.write(f"{line}\n")
