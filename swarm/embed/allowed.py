"""What whoever embeds Swarm allows those who ask: which folders are read, what may be spent, whether work is done.

Those who ask are programs and models: their paths are names out of data, and stay below the folders that are
allowed; their limits may be tighter than the owner's and never wider. This module begins nothing.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, fields, replace
from glob import has_magic
from itertools import takewhile
from pathlib import Path
from typing import Any, Literal, get_args

from swarm.errors import SourceError, UsageError
from swarm.limits.budget import effective
from swarm.sources.inside import inside, real, shown, within
from swarm.task import Limits, Slicing, Task

Asked = Literal["answer", "digest", "table", "graph", "work"]
"""What a task comes to: the outputs of a run that reads, or `work` towards a goal."""

_LONGEST = 20_000  # characters of a question, and of when it is done
_MOST_PATHS = 1_000
_MOST_WORDS = 20_000
_LARGER_IS_WIDER = tuple(
    field.name for field in fields(Limits) if field.name not in ("each_slice", "cost_is_default")
)
_NOTHING = Limits()


@dataclass(frozen=True, kw_only=True, slots=True)
class Allowed:
    """`roots` are resolved folders; what lies in none of them is not read. `work`: tasks may work towards a goal,
    with no material or with some."""

    roots: tuple[str, ...]
    limits: Limits
    work: bool = False

    def task(
        self,
        question: str,
        paths: Sequence[str | Path] = (),
        *,
        output: Asked = "answer",
        by: Literal["source", "record"] = "source",
        words: int | None = None,
        done_when: str = "",
        limits: Limits | Mapping[str, Any] | None = None,
    ) -> Task:
        """The task that is asked for, as far as it is allowed.

        Raises:
            UsageError: it is not, or makes no sense.
        """
        question = question.strip()
        if output not in get_args(Asked):
            raise UsageError(f"output {output!r:.40}: give one of {', '.join(get_args(Asked))}")
        if not question and output in ("answer", "table", "work"):
            raise UsageError("nothing is asked: give a question, or a goal")
        if len(question) > _LONGEST:
            raise UsageError(f"the question has {len(question):,} characters and may have {_LONGEST:,}")
        if len(done_when) > _LONGEST:
            raise UsageError(f"done_when has {len(done_when):,} characters and may have {_LONGEST:,}")
        task = Task(
            questions=_questions(question, output),
            paths=self.paths(paths),
            limits=tightened(self.limits, limits),
        )
        if output == "work":
            return self._worked(replace(task, mode="work", done_when=done_when))
        if not task.paths:
            raise UsageError("nothing is to be read: give paths, which are files, folders or patterns")
        if words is not None and not 1 <= words <= _MOST_WORDS:
            raise UsageError(f"words is {words}: give a number from 1 to {_MOST_WORDS:,}")
        slicing: Slicing = by if output == "table" else "window"
        return replace(task, output=output, slicing=slicing, words=words or task.words)

    def _worked(self, task: Task) -> Task:
        if not self.work:
            raise UsageError(
                "work towards a goal is not allowed here: ask for an answer, a digest, a table or a graph"
            )
        return task

    def paths(self, names: Sequence[str | Path]) -> tuple[str, ...]:
        """The paths that these names mean: relative to the first root that holds them, or else to the current
        folder, or absolute.

        Raises:
            SourceError: a name that leads out of all roots, or to nothing.
        """
        if isinstance(names, str):  # a sequence of its letters, too
            names = (names,)
        if len(names) > _MOST_PATHS:
            raise SourceError(f"{len(names):,} paths, of {_MOST_PATHS:,} at the most: name folders, or patterns")
        return tuple(dict.fromkeys(self._path(str(name)) for name in names))

    def _path(self, name: str) -> str:
        found: list[Path] = []
        # as places are shown, too: relative to the current folder, where that leads into a root
        for said in (name, str(Path.cwd() / name)) if name else ("",):
            for root in self.roots:
                with suppress(SourceError):
                    found.append(inside(root, said))
        if not found:
            some = ", ".join(shown(root) for root in self.roots) or "none"
            raise SourceError(f"{name!r:.200} lies in none of the folders that may be read ({some})")
        return _plain(next((path for path in found if _begins(path)), found[0]))

    def covers(self, task: Task) -> bool:
        """Whether a task that was begun before is still within what is allowed, its limits aside."""
        if task.check or (task.mode == "work" and not self.work):
            return False
        return all(any(within(root, real(path)) for root in self.roots) for path in task.paths)


def allowed(
    roots: Sequence[str | Path] | str | Path,
    limits: Limits | Mapping[str, Any] | None = None,
    work: bool = False,
    models: Sequence[Any] = (),
) -> Allowed:
    """What holds for tasks with these models.

    Raises:
        UsageError: a root that is no folder, or a limit that makes no sense.
    """
    resolved = []
    for root in (roots,) if isinstance(roots, str | Path) else roots:  # "/data/" is no sequence of its letters
        path = real(root)
        if not Path(path).is_dir():
            raise UsageError(f"{shown(root)} is no folder: a root is a folder whose files may be read")
        resolved.append(path)
    holds = effective(_said(limits or {}), models)
    return Allowed(roots=tuple(dict.fromkeys(resolved)), limits=holds, work=work)


def tightened(owner: Limits, given: Limits | Mapping[str, Any] | None) -> Limits:
    """The owner's limits, with those that are given in their place where they are tighter.

    Raises:
        UsageError: one that is wider than the owner's, or makes no sense.
    """
    if given is None:
        return owner
    said = _said(given)
    effective(said, ())
    return _tightened(owner, said, "limits")


def _said(limits: Limits | Mapping[str, Any]) -> Limits:
    from swarm.coordinator.asking import limits_of

    return limits if isinstance(limits, Limits) else limits_of(dict(limits))


def _tightened(owner: Limits, said: Limits, name: str) -> Limits:
    changes: dict[str, Any] = {}
    for field in _LARGER_IS_WIDER:
        value, most = getattr(said, field), getattr(owner, field)
        if value == getattr(_NOTHING, field):
            continue
        if most is not None and (value is None or value > most):
            raise UsageError(f"{name}.{field} is {value}: the most that is allowed here is {most}")
        changes[field] = value
    if "cost_usd" in changes:
        changes["cost_is_default"] = False
    if said.each_slice is not None:
        each = owner.each_slice or Limits()
        changes["each_slice"] = _tightened(each, said.each_slice, f"{name}.each_slice")
    return replace(owner, **changes)


def tightest(owner: Limits, before: Limits) -> Limits:
    """Of a task that goes on: its own limits, or the owner's of now where those are tighter."""
    changes: dict[str, Any] = {}
    for field in _LARGER_IS_WIDER:
        value, most = getattr(before, field), getattr(owner, field)
        if most is not None and (value is None or value > most):
            changes[field] = most
    if "cost_usd" in changes:
        changes["cost_is_default"] = owner.cost_is_default
    if owner.each_slice is not None:
        changes["each_slice"] = tightest(owner.each_slice, before.each_slice or Limits())
    return replace(before, **changes)


def plain_limits(limits: Limits) -> dict[str, Any]:
    """The limits that were said, as JSON has them."""
    return {
        name: plain_limits(value) if isinstance(value, Limits) else _finite(value)
        for name in asdict(limits)
        if name != "cost_is_default" and (value := getattr(limits, name)) != getattr(_NOTHING, name)
    }


def _finite(value: Any) -> Any:
    return "none" if value == float("inf") else value


def _questions(question: str, output: Asked) -> tuple[str, ...]:
    if output != "table":
        return (question,) if question else ()
    return tuple(line.strip() for line in question.splitlines() if line.strip())


def _begins(path: Path) -> bool:
    """Whether it is there, or the folder that a pattern begins with."""
    plain = list(takewhile(lambda part: not has_magic(part), path.parts))
    return os.path.lexists(path) or (len(plain) < len(path.parts) and os.path.lexists(Path(*plain)))


def _plain(path: Path) -> str:
    """As it is shown: relative where it lies below the current folder."""
    name = str(path)
    here = real(os.curdir)
    if not within(here, name):
        return name
    short = os.path.relpath(name, here)
    return name if short == "-" else short
