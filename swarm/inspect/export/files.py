"""Tables as a folder of files: CSV with the standard library, Parquet with pyarrow.

Rows pass through a batch at a time. Text comes from sources and models: in CSV no cell begins with what a
spreadsheet would take for a formula. This module does not know what the tables tell.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from swarm.inspect.export.tables import Column, Table
from swarm.inspect.whole import new_folder

if TYPE_CHECKING:
    import pyarrow

_BATCH = 10_000
_FORMULA = re.compile(
    "[\\s\0\xad\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff]*[=+\\-@\uff1d\uff0b\uff0d\uff20]|[\0-\x1f\x7f-\x9f]"
)
"""What a spreadsheet may take for the beginning of a formula, also behind blanks and what is not seen, and in the
wide letters that some of them read as the others."""
_NO_TEXT = re.compile("[\0\ud800-\udfff]")

Write = Callable[[Path, Table], int]


def write_csv(folder: Path, table: Table) -> int:
    """One table as `NAME.csv`; how many rows it has."""
    kinds = [column.type for column in table.columns]
    with (folder / f"{table.name}.csv").open("w", encoding="utf-8", newline="") as out:
        writer = csv.writer(out, lineterminator="\r\n")  # as RFC 4180 has it
        writer.writerow([column.name for column in table.columns])
        rows = 0
        for row in table.rows():
            writer.writerow([_cell(kind, value) for kind, value in zip(kinds, row, strict=True)])
            rows += 1
    return rows


def _cell(kind: str, value: Any) -> Any:
    if value is None:
        return ""
    if kind == "text":
        text = plain(value)
        return f"'{text}" if _FORMULA.match(text) else text
    if kind == "time":
        return datetime.fromtimestamp(value, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    if kind == "flag":
        return "true" if value else "false"
    return value


def plain(text: str) -> str:
    """`text` without what no file of text may hold: halves of surrogate pairs, and zeros."""
    return _NO_TEXT.sub("\ufffd", text)


def write_parquet(folder: Path, table: Table) -> int:
    """One table as `NAME.parquet`; how many rows it has."""
    from pyarrow import parquet

    schema = _schema(table.columns)
    rows = 0
    with parquet.ParquetWriter(folder / f"{table.name}.parquet", schema, compression="zstd") as writer:
        for batch in _batches(table.rows()):
            writer.write_batch(_record_batch(schema, table.columns, batch))
            rows += len(batch)
    return rows


def _schema(columns: Sequence[Column]) -> pyarrow.Schema:
    import pyarrow

    types = {
        "text": pyarrow.string(), "whole": pyarrow.int64(), "number": pyarrow.float64(), "flag": pyarrow.bool_(),
        "time": pyarrow.timestamp("us", tz="UTC"),
    }  # fmt: skip
    return pyarrow.schema([pyarrow.field(column.name, types[column.type]) for column in columns])


def _record_batch(
    schema: pyarrow.Schema, columns: Sequence[Column], rows: Sequence[tuple[Any, ...]]
) -> pyarrow.RecordBatch:
    import pyarrow

    arrays = []
    for column, type_, values in zip(columns, schema.types, zip(*rows, strict=True), strict=True):
        if column.type == "text":
            values = tuple(None if value is None else plain(value) for value in values)
        elif column.type == "time":
            values = tuple(None if value is None else round(value * 1e6) for value in values)
        arrays.append(pyarrow.array(values, type_))
    return pyarrow.record_batch(arrays, schema=schema)


def _batches(rows: Iterator[tuple[Any, ...]]) -> Iterator[list[tuple[Any, ...]]]:
    while batch := list(islice(rows, _BATCH)):
        yield batch


def write_folder(path: Path, tables: Iterable[Table], write: Write) -> dict[str, int]:
    """All tables as files of the new folder `path`; the rows of each. Raises as `new_folder`."""
    with new_folder(path) as folder:
        return {table.name: write(folder, table) for table in tables}
