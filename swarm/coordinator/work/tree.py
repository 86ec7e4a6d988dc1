"""The subtasks of a run as a tree, told from the journal: what was handed on to whom, and what it came to.

It asks nobody; what is in a subtask beside its conclusion stays in the journal.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from swarm.store.journal import Journal
from swarm.worker.act import SUBTASK


@dataclass(frozen=True, kw_only=True, slots=True)
class Subtask:
    """A part that a sub-agent handed on. `slice` is the id of the slice that it was a part of, `ref` the name of
    the call, `depth` how many subtasks it stands in. `conclusion` is None where the run broke off before."""

    slice: str
    ref: str
    depth: int
    objective: str
    conclusion: str | None
    failed: bool = False


def subtasks_of(journal: Journal, run: str) -> Iterator[Subtask]:
    """The subtasks of a run: each after the one it stands in, in the order in which they were handed on."""
    parts: dict[str, str] = {}
    ends: dict[str, tuple[str, bool]] = {}
    for record in journal.records(run, "tool"):
        if record.key.endswith("/part"):
            parts[record.key.removesuffix("/part")] = record.body["text"]
        elif record.body["tool"] == SUBTASK:
            ends[record.key] = record.body["text"], bool(record.body.get("failed"))
    for key in sorted(parts, key=_place):
        slice_, _, ref = key.partition(":")
        text, failed = ends.get(key, (None, False))
        yield Subtask(
            slice=slice_,
            ref=ref,
            depth=ref.count("/"),
            objective=parts[key],
            conclusion=text,
            failed=failed,
        )


def _place(key: str) -> tuple[str, list[int]]:
    """Where it stands: by its slice, then by leg and try, step and number, one within another. `0.0/3.1:2:0` is
    the first call of step 2 in the subtask that the second call of step 3 handed on."""
    slice_, _, ref = key.partition(":")
    digits = "".join(char if char.isdigit() else " " for char in ref)
    return slice_, [int(one) for one in digits.split()]
