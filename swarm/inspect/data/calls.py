"""The calls of a run: all of them in pages, and one with its reply."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np

from swarm.inspect.calls import FAILED
from swarm.inspect.data.bounds import clipped, page
from swarm.inspect.data.columns import Columns, columns
from swarm.inspect.data.ground import Numbers
from swarm.inspect.data.rows import call_row
from swarm.inspect.look import Look, Unknown
from swarm.models.base import Completion
from swarm.observe.log import redact_text


def calls(
    look: Look,
    offset: int = 0,
    limit: int = 50,
    sort: str = "begun",
    order: str = "desc",
    asker: str = "",
    failed: bool = False,
) -> dict[str, Any]:
    """The calls by when they were begun, the newest first, or by cost, tokens, seconds or fill, the largest first;
    the other way round where `order` is `asc`. `asker` names a slice or a part of the coordinator; `failed`: those
    alone that failed."""
    known = columns(look)
    offset, limit = page(offset, limit, 200)
    rows = rows_of(look, known, asker)
    if failed:
        rows = rows[known.state[rows] == FAILED]
    by = {
        "cost": known.cost_usd,
        "tokens": known.tokens,
        "seconds": known.seconds,
        "fill": np.nan_to_num(known.fill),
    }.get(sort, known.begun)
    ordered = rows[np.lexsort((rows, by[rows]))]
    chosen = (ordered if order == "asc" else ordered[::-1])[offset : offset + limit]
    return {"total": len(rows), "offset": offset, "rows": [call_row(look, int(row)) for row in chosen]}


def rows_of(look: Look, known: Columns, asker: str) -> Numbers:
    """The rows of those calls that one asker asked for; of all, where none is named."""
    if not asker:
        return np.arange(len(known.begun))
    try:
        number = look.follower.calls.askers.texts.index(asker)
    except ValueError:
        return np.empty(0, np.int64)
    return np.flatnonzero(known.asker == number)


def call(look: Look, key: str) -> dict[str, Any]:
    """One call with what came of it. A reply is the first that anybody got to this very question.

    Raises:
        Unknown: the run sent no such call.
    """
    followed = look.fresh()
    row = followed.calls.row_of(key)
    if row is None:
        raise Unknown(f"the run sent no call {key:.80}: look for it in the list of calls")
    reply = _reply(look, key)
    failure = None
    if reply is None and followed.calls.state[row] == FAILED:
        failures = look.kept("failures", lambda: followed.opened.journal.failed_calls(followed.run))
        failure = failures.get(key)
    texts = {
        "reply": reply.text if reply is not None else None,
        "refusal": reply.refusal if reply is not None else None,
        "failure": redact_text(failure) if failure is not None else None,
    }
    return call_row(look, row) | clipped(texts)


def _reply(look: Look, key: str) -> Completion | None:
    return asyncio.run(look.opened.journal.finished_call(key))
