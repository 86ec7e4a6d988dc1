"""A list of testable features in a repository: what is on it, what turns one to passing, and who writes in it.

The harness alone does, in code; a worker that touches it is turned down. This module knows no model, and not how a
feature is made.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from swarm.equipment import ToolFailed, Workspace
from swarm.errors import RecipeError
from swarm.orders import Order
from swarm.program import Checkout, Done, Piece, Place, Ruling
from swarm.task import Report
from swarm.workspace.account import at_tip
from swarm.workspace.files import Files

FEATURES, PROGRESS = "features.json", "progress.md"
INITIALISE, LIST, FEATURE, NOTE = "initialise", "list", "feature", "note"
TRIES = 5
"""Workers at one feature: then it stays as it is, and the next one's turn comes."""
SCHEMA = {
    "type": "array",
    "minItems": 1,
    "items": {
        "type": "object",
        "properties": {
            "name": {"type": "string", "pattern": "^[a-z0-9][a-z0-9-]{0,59}$"},
            "description": {"type": "string", "minLength": 1},
            "steps": {"type": "array", "items": {"type": "string"}},
            "check": {"type": "string", "minLength": 1},
            "tests": {"type": "array", "items": {"type": "string"}},
            "needs": {"type": "array", "items": {"type": "string"}},
        },
        "required": ["name", "description", "steps", "check"],
        "additionalProperties": False,
    },
}

"""Of the list, as its initialiser hands it in."""

Feature = dict[str, Any]


def put_list(needs: tuple[str, ...]) -> Order:
    return Order(
        name=LIST, objective=f"Put {FEATURES} and {PROGRESS} into the repository.", needs=needs, role=LIST
    )


def wrong_with(features: list[Feature], _order: Order) -> str | None:
    """What is wrong with a list, beside its form."""
    before: set[str] = set()
    for one in features:
        if one["name"] in before:
            return f"two features are called {one['name']!r}"
        if unknown := set(one.get("needs", ())) - before:
            return f"the feature {one['name']!r} needs {min(unknown)!r}, which is none of those before it"
        try:
            shlex.split(one["check"])
        except ValueError as error:
            return f"the check of {one['name']!r} is no command: {error}"
        before.add(one["name"])
    return None


async def by_harness(checkout: Checkout, _order: Order) -> Ruling:
    """What the harness itself writes lands as it is."""
    other = set(await checkout.changed()) - {FEATURES, PROGRESS}
    return Ruling(lands=not other, wrong=f"this is not the harness's to change: {min(other)}" if other else None)


class Book:
    """The list of a repository, and who may write in it: the harness alone."""

    def __init__(self, workspace: Workspace, at_once: int) -> None:
        self.workspace, self.at_once = workspace, at_once
        self._turned_down: dict[str, int] = {}

    # The plan

    def follow(self, order: Order, report: Report) -> Iterable[Order]:
        """From the initialiser to the list, and from the list to the features, so many chains side by side."""
        if order.role == INITIALISE:
            return [put_list((INITIALISE,))]
        return self._features(json.loads(report.result)) if order.role == LIST else []

    def _features(self, features: list[Feature]) -> Iterator[Order]:
        chain: list[str] = []
        notes = {one["name"]: f"note {one['name']}" for one in features}
        for one in features:
            before = chain[-self.at_once :][:1] if len(chain) >= self.at_once else []
            needs = [notes[name] for name in one.get("needs", ()) if name in notes]
            steps = "".join(f"\n{number}. {step}" for number, step in enumerate(one["steps"], 1))
            yield Order(
                name=f"{FEATURE} {one['name']}",
                objective=f"Make the feature {one['name']}: {one['description']}{steps}",
                done_when=f"`{one['check']}` passes, and so does the check of every feature that passed before.",
                needs=tuple(dict.fromkeys((*before, *needs))),
                role=FEATURE,
            )
            yield Order(
                name=notes[one["name"]],
                objective=f"Note in {FEATURES} and {PROGRESS} what came of {one['name']}.",
                needs=(f"{FEATURE} {one['name']}",),
                priority=1,
                role=NOTE,
            )
            chain.append(notes[one["name"]])

    # What decides

    async def trial(self, checkout: Checkout, order: Order) -> Ruling:
        """A feature lands when its check passes, and those of all features that passed before. Who has turned down
        the last worker at it lets it go: others do not wait for it."""
        wrong = await self._problem(checkout, order)
        if wrong is None:
            return Ruling(lands=True)
        self._turned_down[order.name] = self._turned_down.get(order.name, 0) + 1
        if self._turned_down[order.name] < TRIES:
            return Ruling(lands=False, wrong=wrong)
        return Ruling(lands=False, result=f"It was not made by {TRIES} workers. {wrong}")

    async def prepared(self, checkout: Checkout, _order: Order) -> Ruling:
        """What the initialiser made lands where it kept to its part."""
        wrong = _harness_only(await checkout.changed()) or await self._unchecked(checkout)
        return Ruling(lands=wrong is None, wrong=wrong)

    async def _problem(self, checkout: Checkout, order: Order) -> str | None:
        changed = set(await checkout.changed())
        if wrong := _harness_only(changed):
            return wrong
        features = _read(checkout.path)
        if touched := changed & {test for one in features for test in one.get("tests", ())}:
            return f"the tests of features are not to be changed: put {min(touched)} back as it was"
        name = order.name.removeprefix(f"{FEATURE} ")
        for one in sorted(features, key=lambda one: bool(one["name"] != name)):
            if one["name"] != name and not one["passes"]:
                continue
            if why := await self._fails(checkout, one["check"]):
                whose = (
                    "its check" if one["name"] == name else f"the feature {one['name']} passed before: its check"
                )
                return f"{whose} `{one['check']}` does not pass: {why}"
        return await self._unchecked(checkout)

    async def _unchecked(self, checkout: Checkout) -> str | None:
        check = self.workspace.check
        why = await self._fails(checkout, check) if check else ""
        return f"the check `{check}` does not pass: {why}" if why else None

    async def _fails(self, place: Place | Checkout, command: str) -> str:
        try:
            ran = await place.run(command, self.workspace.check_bounds)
        except ToolFailed as error:
            return str(error)
        return "" if ran.ok else f"{ran.ended or f'exit {ran.exit}'}\n{ran.output[-3_000:]}"

    async def missing(self, _results: Mapping[str, str]) -> str | None:
        """Which features do not pass, when nothing is left to do."""
        open_ = [one["name"] for one in await self.read() if not one["passes"]]
        return f"{len(open_)} features do not pass: {', '.join(open_)}" if open_ else None

    # What is written

    async def begin(self, piece: Piece) -> Done:
        """Put the list into the repository; a check that passes already has turned its feature to passing. What is
        there already is gone on with."""
        place = await piece.place()
        if INITIALISE in piece.results:
            features = [one | {"passes": False} for one in json.loads(piece.results[INITIALISE])]
            for one in features:
                one["passes"] = not await self._fails(place, one["check"])
            _write(place.path, features, f"# Progress\n\n{_count(features)}\n")
        else:
            features = _read(place.path)
        waiting = [one for one in features if not one["passes"]]
        return Done(result=json.dumps(waiting), summary=f"The list of features: {_count(features)}")

    async def note(self, piece: Piece) -> Done:
        """Turn a feature to passing where its check passes on what has landed, and note what its worker says."""
        place = await piece.place()
        for path in (FEATURES, PROGRESS):  # as they have landed, whatever was begun here, or conflicts
            await place.run(f"sh -c {shlex.quote(f'git show HEAD:{path} > {path}')}")
        features = _read(place.path)
        name = piece.order.name.removeprefix(f"{NOTE} ")
        one = next(one for one in features if one["name"] == name)
        one["passes"] = not await self._fails(place, one["check"])
        told = "passes" if one["passes"] else "does not pass"
        text = Files(place.path).read(PROGRESS).text
        notes = "\n\n".join(piece.results.values()).strip()
        _write(place.path, features, f"{text}\n## {name}: {told}\n\n{notes}\n\n{_count(features)}\n")
        return Done(result=_count(features), summary=f"The feature {name} {told}: {_count(features)}")

    async def read(self) -> list[Feature]:
        """The list as it stands on the branch; empty before there is one."""
        async with at_tip(self.workspace) as tip:
            try:
                return _read(tip.path) if (tip.path / FEATURES).exists() else []
            except (ToolFailed, ValueError, TypeError, AttributeError) as error:
                where = f"{FEATURES} on {self.workspace.branch}"
                raise RecipeError(f"{where} is no list of features: {error}; take it away, or mend it") from None


def _harness_only(changed: Iterable[str]) -> str | None:
    touched = {FEATURES, PROGRESS} & set(changed)
    return f"only the harness writes in {min(touched)}: put it back as it was" if touched else None


def _read(folder: Path) -> list[Feature]:
    features: list[Feature] = json.loads(Files(folder).read(FEATURES).text)
    if not all({"name", "description", "steps", "check", "passes"} <= one.keys() for one in features):
        raise ValueError("a feature has a name, a description, steps, a check, and whether it passes")
    return features


def _write(folder: Path, features: list[Feature], progress: str) -> None:
    files = Files(folder)  # which follows no link out of the folder
    files.write(FEATURES, json.dumps(features, indent=2, ensure_ascii=False) + "\n")
    files.write(PROGRESS, progress)


def _count(features: list[Feature]) -> str:
    return f"{sum(one['passes'] for one in features)} of {len(features)} pass."
