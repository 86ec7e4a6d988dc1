"""Going on with a run that a recipe made: the recipe is called again, as it was.

What stands in a store is code to run and commands to give: whoever goes on with a store from elsewhere is to know.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from swarm.cli.options import Settings
from swarm.cli.plain import one_line
from swarm.errors import UsageError

if TYPE_CHECKING:
    from swarm.cli.watched import Watched
    from swarm.invocation import Invocation
    from swarm.task import Answer

_QUIET = {"answer", "digest", "vote"}  # recipes that come with Swarm, run no program and write no file
_ADDRESSES = ("OPENAI_BASE_URL", "ANTHROPIC_BASE_URL")


def recalled(settings: Settings, run: str) -> Callable[[Watched], Awaitable[Answer | None]] | None:
    """What goes on with the recipe that a run belongs to; None where it belongs to none.

    Raises:
        UsageError: it was called in another folder, or nobody allows that it is run here.
        RecipeError: the recipe is not there any more, or takes other options.
    """
    from swarm.invocation import invocation_of, options_of
    from swarm.recipe import find, load

    made = invocation_of(run, settings.store)
    if made is None:
        return None
    if made.recipe not in _QUIET:
        allowed(settings, f"the run belongs to the recipe {one_line(_told(made), 300)}", "call it here?")
    recipe = load(find(made.recipe))
    options = options_of(recipe, made.options)
    if made.folder != str(Path.cwd()) and _is_bound(made, options):
        raise UsageError(f"the recipe was called in {made.folder}: go on from there")

    async def work(swarm: Watched) -> Answer | None:
        swarm.invocation = made
        return await recipe.run(swarm, list(made.paths), **options)

    return work


def _is_bound(made: Invocation, options: Mapping[str, Any]) -> bool:
    """Whether a call means something else in another folder. One on a remote, say, names nothing of its folder:
    another machine may go on with it."""
    given = [value for value in options.values() if isinstance(value, Path)]
    return not all(path.is_absolute() for path in (*map(Path, made.paths), *given))


def _told(made: Invocation) -> str:
    options = [word for name, value in made.options.items() if value for word in (f"--{name}", str(value))]
    return shlex.join([made.recipe, *made.paths, *options])


def allow_address(settings: Settings, run: str) -> None:
    """A run goes on where its model was, and the address stands in its store: whoever is there is sent the user's
    key and what is read. On this machine that is nobody else.

    Raises:
        UsageError: nobody allows it.
    """
    from swarm.invocation import address_of
    from swarm.models.prices import is_loopback
    from swarm.observe.log import redact_text

    at = address_of(run, settings.store) if settings.base_url is None else None
    if at is not None and not is_loopback(at) and at not in map(os.environ.get, _ADDRESSES):
        allowed(settings, f"the run asks its model at {one_line(redact_text(at), 200)}", "ask there?")


def allowed(settings: Settings, what: str, question: str) -> None:
    """See to it that a person allows something that stands in a store.

    Raises:
        UsageError: nobody does.
    """
    from swarm.cli.asking import on_terminal, yes

    if not settings.yes and not (on_terminal() and yes(f"{what}: {question}")):
        raise UsageError(f"{what}: give --yes to allow it")
