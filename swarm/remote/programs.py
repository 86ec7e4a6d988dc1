"""The program of a run, where its plan is code: a worker calls the recipe that the run belongs to, and takes the
plan that it would run.

The recipe is called with a swarm that runs nothing. For the runs that it made before the one in question the
recorded answers are given; at that one the call waits, so that what the recipe holds open (the servers of its
tools, say) stays open as long as slices of the run are worked here. What a recipe does until then is done on each
worker: it has to be harmless, and can ask `swarm.joining`. A recipe is code: only those that the worker was told
to trust are called, and none is taken from the store.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from swarm.coordinator.records import ANSWER
from swarm.errors import UsageError
from swarm.invocation import KEY, options_of
from swarm.models.base import Model
from swarm.program import Program
from swarm.recipe import find, load
from swarm.run import Swarm
from swarm.source import Corpus
from swarm.store.journal import Journal
from swarm.store.opening import Store
from swarm.task import Answer, Task

HARMLESS = frozenset({"vote"})
"""Recipes with plans that come with Swarm, run no program and write no file."""


class _Joining(Swarm):
    """Runs nothing. `answers` are those of the runs that the recipe made before, by their places; the plan of the
    one in the `place` in question is `found`."""

    joining = True
    answers: dict[int, Answer]
    place: int
    found: asyncio.Future[Program | None]
    _made = 0

    async def _run(
        self,
        task: Task,  # noqa: ARG002
        run_id: str,  # noqa: ARG002
        emit: Any,  # noqa: ARG002
        plan: Program | None,
        corpus: Corpus | None = None,  # noqa: ARG002
    ) -> Answer:
        self._made += 1
        if self._made in self.answers and self._made < self.place:
            return self.answers[self._made]
        if not self.found.done():
            self.found.set_result(plan)
        never: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        return await never  # until the call is cancelled


@asynccontextmanager
async def program_of(
    store: Store, session: dict[str, Any], models: tuple[Model, Model], trusted: Collection[str] | None
) -> AsyncIterator[Program | None]:
    """The program of a run, from its session's record, while it is used; None where it has none. `trusted` are the
    recipes that may be called, by their names or paths; None: any.

    Raises:
        UsageError: the recipe is not trusted, not there, or takes other options.
    """
    called = session.get(KEY)
    if called is None:
        yield None
        return
    name = str(called["recipe"])
    recipe = load(_file_of(name, trusted))
    joining = _Joining(models[0], reader=models[1], store=store.url or store.database.path)
    joining.place, joining.answers = int(called["place"]), _answers(store.journal, called["id"])
    joining.found = asyncio.get_running_loop().create_future()
    options = options_of(recipe, called["options"])
    call = asyncio.create_task(recipe.run(joining, list(called["paths"]), **options))
    try:
        await asyncio.wait((call, joining.found), return_when=asyncio.FIRST_COMPLETED)
        if not joining.found.done():
            await call
            raise UsageError(f"the recipe {name} made no run in the place of this one: it is not what it was")
        yield joining.found.result()
    finally:
        call.cancel()
        await asyncio.wait({call})


def _file_of(name: str, trusted: Collection[str] | None) -> Path:
    """Of a recipe that is trusted, the file that the worker was told of: that a path stands in the store, and ends
    like that of a trusted one, is no reason to run what is there."""
    if trusted is None or name in HARMLESS:
        return find(name)
    alike = [one for one in trusted if Path(one).name == Path(name).name]
    if not alike:
        raise UsageError(f"it belongs to the recipe {name}: let the worker call it with --recipe {name}")
    return find(name if name in alike else alike[0])


def _answers(journal: Journal, call: str) -> dict[int, Answer]:
    """What the runs of one call of a recipe came to, by their places."""
    found: dict[int, Answer] = {}
    for account in journal.accounts():
        session = journal.latest(account.run, "session")
        told = session.body.get(KEY) if session is not None else None
        last = journal.latest(account.run, "answer")
        if told is not None and told["id"] == call and last is not None:
            found[int(told["place"])] = ANSWER.validate_python(last.body)
    return found
