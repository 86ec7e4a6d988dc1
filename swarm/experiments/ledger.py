"""The ledger of experiments: everything that was tried, whatever came of it, as rows that a person can read.

A row is on the disk before anybody goes by it. So a run that was killed knows what it had measured, and the
measure that is to be beaten comes from here and never from the repository, where it could be forged. This module
knows rows and a file, neither commands nor git.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args

from swarm.errors import UsageError
from swarm.experiments.measure import Bar, Yardstick, pooled

Status = Literal["baseline", "keep", "discard", "crash", "timeout"]

COLUMNS = tuple("number commit metric replicates status seconds lines chars file values description".split())
_DESCRIPTION_CHARS = 300
_COMMIT_CHARS = 64
_GROUPS = 5  # of runs of the same file, the last ones, tell how much runs vary
_LANDING = "landing"  # the status, on the disk, of what is about to be kept


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One experiment. `metric` is None where nothing was measured; `replicates` are the runs that count, whose
    `values` they are; without any, the metric is that of the run that only looked. `file` is the digest of the
    editable file as it was tried, `lines` and `chars` its size."""

    number: int
    commit: str = ""
    metric: float | None = None
    replicates: int = 0
    status: Status
    seconds: float = 0.0
    lines: int = 0
    chars: int = 0
    file: str = ""
    values: tuple[float, ...] = ()
    description: str = ""

    @property
    def landed(self) -> bool:
        return self.status in ("baseline", "keep")

    def as_json(self, **more: Any) -> str:
        """The row as the result of its slice, with `more` to say."""
        return json.dumps({**asdict(self), **more}, ensure_ascii=False)


def row_of(text: str) -> Row | None:
    """The row in the result of a slice; None where it holds none."""
    try:
        given = json.loads(text)
        kept = {key: given[key] for key in COLUMNS}
    except (ValueError, KeyError, TypeError):
        return None
    return Row(**{**kept, "values": tuple(kept["values"])})


def one_line(text: str, most: int = _DESCRIPTION_CHARS) -> str:
    """A text as a cell of the ledger."""
    line = " ".join(text.split())
    return line if len(line) <= most else f"{line[: most - 1]}…"


class Ledger:
    """The rows of a file, in the order in which they came. `at` None keeps them in memory."""

    def __init__(self, at: Path | None, yard: Yardstick) -> None:
        self._at, self._yard = at, yard
        self._rows: dict[int, Row] = {}
        self._before: set[int] = set()  # kept, and not known to have landed
        if at is not None and at.exists():
            for row, before in _read(at):
                self._rows[row.number] = row
                if before:
                    self._before.add(row.number)

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[Row]:
        return iter(list(self._rows.values()))

    def row(self, number: int) -> Row | None:
        return self._rows.get(number)

    def put(self, row: Row, *, before: bool = False) -> None:
        """Write a row down; a later word on the same experiment takes the place of an earlier one. With `before`
        it is about to land: it is on the disk, and is gone by once it has."""
        row = _as_written(row)
        known = self._rows.get(row.number)
        if known == row and before == (row.number in self._before):
            return
        (self._before.add if before else self._before.discard)(row.number)
        if known is None or (known.status, known.commit) != (row.status, row.commit):
            self._rows.pop(row.number, None)  # it comes last
        self._rows[row.number] = row
        self._write()

    def unsettled(self) -> list[Row]:
        """What was about to land when it was last written of."""
        return [self._rows[number] for number in sorted(self._before)]

    def confirm(self, number: int) -> None:
        """What was about to land has landed."""
        if number in self._before:
            self.put(self._rows[number])

    def arrived(self, commit: str) -> None:
        """The branch is at this commit: whoever made it has landed."""
        for row in self.unsettled():
            if row.commit == commit:
                self.confirm(row.number)

    def drop(self, number: int) -> None:
        """Forget a row: what it says did not come to be."""
        self._before.discard(number)
        if self._rows.pop(number, None) is not None:
            self._write()

    def _landed(self) -> list[Row]:
        return [row for row in self._rows.values() if row.landed and row.number not in self._before]

    @property
    def tip(self) -> Row | None:
        """What landed last."""
        return next(reversed(self._landed()), None)

    @property
    def best(self) -> Row | None:
        """The best measure that landed: what is kept for being simpler does not lower the bar."""
        landed = [row for row in self._landed() if row.metric is not None]
        if not landed:
            return None
        return max(landed, key=lambda row: self._yard.gain(row.metric or 0.0, 0.0))

    @property
    def bar(self) -> Bar | None:
        """What is to be beaten now."""
        best, tip = self.best, self.tip
        if best is None or tip is None or best.metric is None:
            return None
        return Bar(value=best.metric, runs=max(1, best.replicates), size=(tip.lines, tip.chars))

    @property
    def spread(self) -> float:
        """The standard deviation of single runs of the same file, from the last that were repeated: what is learnt
        better may vary less."""
        repeated = [row.values for row in self._rows.values() if len(row.values) > 1]
        return pooled(repeated[-_GROUPS:])

    @property
    def since(self) -> int:
        """Experiments since the last that landed."""
        count = 0
        for row in reversed(self._rows.values()):
            if row.landed:
                break
            count += 1
        return count

    def tried(self, file: str) -> Row | None:
        """The experiment that had a file with this digest."""
        return next((row for row in self._rows.values() if row.file == file), None)

    def table(self, last: int | None = None) -> str:
        """The rows, or the last of them, as a table with tabs."""
        rows = list(self._rows.values())
        shown = rows[-last:] if last else rows
        lines = ["\t".join(COLUMNS), *(_line(row, row.number in self._before) for row in shown)]
        return "\n".join(lines) + "\n"

    def _write(self) -> None:
        """The whole file anew, beside it and then in its place: it is small, and is never half a file."""
        if self._at is None:
            return
        beside = self._at.with_name(f".{self._at.name}.new")
        with beside.open("w", encoding="utf-8") as file:
            file.write(self.table())
            file.flush()
            os.fsync(file.fileno())
        beside.replace(self._at)


def _as_written(row: Row) -> Row:
    """As it will be read again."""
    return replace(
        row,
        metric=None if row.metric is None else float(f"{row.metric:.9g}"),
        values=tuple(float(f"{value:.9g}") for value in row.values),
        seconds=round(row.seconds, 2),
        description=one_line(row.description),
    )


def _line(row: Row, before: bool) -> str:
    cells = {
        **asdict(row),
        "status": _LANDING if before else row.status,
        "metric": "" if row.metric is None else f"{row.metric:.9g}",
        "seconds": f"{row.seconds:.2f}",
        "values": " ".join(f"{value:.9g}" for value in row.values),
    }
    return "\t".join(str(cells[name]) for name in COLUMNS)


def _read(at: Path) -> Iterator[tuple[Row, bool]]:
    """The rows of a file, and which of them were about to land.

    Raises:
        UsageError: it is no ledger.
    """
    lines = at.read_text("utf-8").splitlines()
    if not lines or tuple(lines[0].split("\t")) != COLUMNS:
        raise UsageError(f"{at} is no ledger of experiments: move it away, or name another folder with --out")
    for number, line in enumerate(lines[1:], 2):
        try:
            yield _parsed(line.split("\t"))
        except (ValueError, IndexError):
            raise UsageError(f"{at}:{number} is no row of a ledger: mend or remove the line") from None


def _parsed(cells: Sequence[str]) -> tuple[Row, bool]:
    given = dict(zip(COLUMNS, cells, strict=True))
    before = given["status"] == _LANDING
    if before:
        given["status"] = "keep"
    if given["status"] not in get_args(Status):
        raise ValueError(given["status"])
    values = tuple(float(value) for value in given["values"].split())
    row = Row(
        number=int(given["number"]),
        commit=given["commit"][:_COMMIT_CHARS],
        metric=float(given["metric"]) if given["metric"] else None,
        replicates=int(given["replicates"]),
        status=given["status"],  # type: ignore[arg-type]  # looked at above
        seconds=float(given["seconds"]),
        lines=int(given["lines"]),
        chars=int(given["chars"]),
        file=given["file"],
        values=values,
        description=given["description"],
    )
    return row, before


__all__ = ["COLUMNS", "Ledger", "Row", "Status", "one_line", "row_of"]
