"""Pages of what is added to a run on a PostgreSQL server, by number, such that none is missed.

Several processes add to one run, and a row has its number before it can be read: what has a lower number may come
to light after what has a higher one. So whoever adds to a run signs for that, with a shared lock that keeps nobody
waiting (`postgres_rows.sign`). A page that is new is read once all have come to an end who had signed when its
last row was there: what began later has higher numbers.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, Literal

from swarm.store.postgres_rows import writers_of

Row = tuple[Any, ...]
Table = Literal["records", "calls", "outcomes"]

WAIT_SECONDS = 1.0
"""For which those are waited for who add to a run; after that nothing is told for now."""
_FIRST_SECONDS, _MOST_SECONDS = 0.0005, 0.01
_WRITERS = (
    "SELECT virtualtransaction FROM pg_locks WHERE locktype = 'advisory' AND granted AND objsubid = 1 "
    "AND classid::bigint = (%s >> 32) & 4294967295 AND objid::bigint = %s & 4294967295 "
    "AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
)


class Pages:
    """`read` gives the rows of a query. For any thread."""

    def __init__(self, read: Callable[[str, Row], list[Row]]) -> None:
        self._read = read
        self._final: dict[tuple[Table, str], int] = {}
        """The number up to which nothing more comes, by table and run."""

    def page(
        self, table: Table, run: str, seq: int, limit: int, columns: str, parameters: Sequence[Any] = ()
    ) -> list[Row]:
        """The next rows of a run after the one with this number. `columns` may hold `parameters`."""
        of_run = "seq > %s AND run = (SELECT num FROM runs WHERE id = %s)"
        last = f"SELECT max(seq) FROM (SELECT seq FROM {table} WHERE {of_run} ORDER BY seq LIMIT %s) AS page"  # noqa: S608
        ((end,),) = self._read(last, (seq, run, limit))
        if end is None:
            return []
        if end > self._final.get((table, run), 0):
            if not self._all_ended(run):
                return []
            self._final[table, run] = end
        sql = f"SELECT {columns} FROM {table} WHERE {of_run} AND seq <= %s ORDER BY seq LIMIT %s"  # noqa: S608
        return self._read(sql, (*parameters, seq, run, end, limit))

    def _all_ended(self, run: str) -> bool:
        """Wait for those who are adding to the run now; whether all have come to an end."""
        number = writers_of(run)
        begun = {who for (who,) in self._read(_WRITERS, (number, number))}
        end, wait = time.monotonic() + WAIT_SECONDS, _FIRST_SECONDS
        while begun:
            if time.monotonic() > end:
                return False
            time.sleep(wait)
            wait = min(2 * wait, _MOST_SECONDS)
            begun &= {who for (who,) in self._read(_WRITERS, (number, number))}
        return True
