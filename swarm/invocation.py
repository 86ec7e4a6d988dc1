"""Which recipe a run belongs to, and with what it was called: so that `swarm resume` goes on with the recipe.

A recipe may do more than its run, and hold the plan of it as code. Each run that it makes is recorded with the
file of the recipe, its arguments and its place among the runs of that call. Going on with one of them calls the
recipe again; the runs it made before are gone on with in their places. This module runs nothing.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from swarm.errors import UsageError
from swarm.recipe import Recipe
from swarm.store.opening import open_store

KEY = "recipe"
"""Under which a session's record holds it."""


@dataclass(frozen=True, kw_only=True)
class Invocation:
    """One call of a recipe. `recipe` is the name of one that comes with Swarm, or the path of a file; `folder` is
    where it was called. `known` are the runs it made before, by their places, from 1."""

    recipe: str
    paths: tuple[str, ...]
    options: Mapping[str, Any]
    folder: str
    id: str = field(default_factory=lambda: secrets.token_hex(6))
    known: Mapping[int, str] = field(default_factory=dict)

    def body(self, place: int) -> dict[str, Any]:
        """What is recorded with the run in that place."""
        return {
            "recipe": self.recipe,
            "paths": list(self.paths),
            "options": dict(self.options),
            "folder": self.folder,
            "id": self.id,
            "place": place,
        }


def invoked(
    recipe: Recipe, shipped: Mapping[str, Path], paths: list[str], options: Mapping[str, Any]
) -> Invocation:
    """A call of a recipe that begins now."""
    file = recipe.where.rpartition(":")[0]
    ours = recipe.name in shipped and str(shipped[recipe.name]) == file
    return Invocation(
        recipe=recipe.name if ours else str(Path(file).resolve()),
        paths=tuple(paths),
        options={name: _plain(value) for name, value in options.items()},
        folder=str(Path.cwd()),
    )


def _plain(value: Any) -> Any:
    match value:
        case Enum():
            return value.value
        case Path():
            return str(value)
        case list() | tuple():
            return [_plain(one) for one in value]
    return value


def invocation_of(run: str, store: Path | str | None) -> Invocation | None:
    """The call of a recipe that a run belongs to, with all runs that it made; None where it belongs to none.

    Raises:
        StoreError: the store cannot be read.
    """
    with open_store(store, read_only=True) as opened:
        journal = opened.journal
        session = journal.latest(run, "session")
        body = session.body.get(KEY) if session is not None else None
        if body is None:
            return None
        known: dict[int, str] = {}
        for account in journal.accounts():
            other = journal.latest(account.run, "session")
            told = other.body.get(KEY) if other is not None else None
            if told is not None and told["id"] == body["id"]:
                known[int(told["place"])] = account.run
    return Invocation(
        recipe=body["recipe"],
        paths=tuple(body["paths"]),
        options=body["options"],
        folder=body["folder"],
        id=body["id"],
        known=known,
    )


def address_of(run: str, store: Path | str | None) -> str | None:
    """Where the model was asked that a run last went on with, if anywhere but at its provider.

    Raises:
        StoreError: the store cannot be read.
    """
    with open_store(store, read_only=True) as opened:
        session, task = opened.journal.latest(run, "session"), opened.journal.record(run, "task", "")
        if session is not None:
            settings = session.body
        else:  # it died before
            settings = task.body.get("settings", {}) if task is not None else {}
        address = settings.get("base_url")
        return None if address is None else str(address)


def options_of(recipe: Recipe, given: Mapping[str, Any]) -> dict[str, Any]:
    """The options of a recorded call as the recipe takes them.

    Raises:
        UsageError: the recipe does not take them any more.
    """
    taken: dict[str, Any] = {}
    for option in recipe.options:
        if option.name not in given:
            continue
        try:
            taken[option.name] = TypeAdapter(option.annotation).validate_python(given[option.name])
        except ValidationError as error:
            problem = error.errors(include_url=False, include_input=False)[0]["msg"]
            raise UsageError(f"{recipe.where}: --{option.name} is not what it was: {problem}") from None
    if missing := given.keys() - taken.keys():
        raise UsageError(f"{recipe.where}: the recipe takes no --{min(missing)} any more: give the whole command")
    return taken
