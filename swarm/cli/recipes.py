"""`swarm run`: a recipe as a command, its parameters as options.

Recipes are loaded when they are named, and not before; listing them runs none.
"""

from __future__ import annotations

import inspect
from enum import Enum
from pathlib import Path
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Union, get_args, get_origin

import typer
from typer.core import TyperGroup

from swarm.cli.again import resume_with
from swarm.cli.estimating import execute_estimate
from swarm.cli.options import NEW, PATHS, PATHS_IF_ANY, RESERVED, Settings, command, option
from swarm.cli.session import begin, execute
from swarm.errors import RecipeError
from swarm.recipe import Option, Recipe, find, load, shipped, summary

if TYPE_CHECKING:
    from swarm.cli.watched import Watched
    from swarm.task import Answer


class Recipes(TyperGroup):
    """A group whose commands are the recipes, by name or by path."""

    estimated: ClassVar[bool] = False

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ARG002 - the base class names it
        return as_command(load(find(cmd_name)), estimated=self.estimated)

    def format_commands(self, ctx: Any, formatter: Any) -> None:  # noqa: ARG002
        with formatter.section("Recipes that come with Swarm"):
            formatter.write_dl([(name, summary(path)) for name, path in shipped().items()])


class EstimatedRecipes(Recipes):
    """The same, and nothing of them is done."""

    estimated = True


_USAGE = "RECIPE [OPTIONS] PATH..."
recipes = typer.Typer(cls=Recipes, subcommand_metavar=_USAGE)
estimated_recipes = typer.Typer(cls=EstimatedRecipes, subcommand_metavar=_USAGE)


@estimated_recipes.callback()
def estimate_run() -> None:
    """Say what the first run of a recipe would come to.

    The recipe works up to its first run, which is estimated and not begun.
    """


@recipes.callback()
def run() -> None:
    """Run a recipe.

    RECIPE is the path of a .py file, or the name of a recipe that comes with Swarm. Its parameters are its
    options: `swarm run RECIPE --help` tells them.
    """


def as_command(recipe: Recipe, *, estimated: bool = False) -> Any:
    """The recipe as a command: its paths, its own options, and those that every run has.

    Raises:
        RecipeError: a parameter that cannot be an option.
    """

    def body(settings: Settings, paths: list[str] | None = None, **options: Any) -> int:
        paths = paths or []
        if estimated:
            return execute_estimate(settings, lambda it: recipe.run(it, paths, **options))

        async def work(swarm: Watched) -> Answer | None:
            from swarm.invocation import invoked

            swarm.invocation = invoked(recipe, shipped(), paths, options)
            return await recipe.run(swarm, paths, **options)

        return execute(settings, begin(settings), work, resume_with(settings))

    own = own_options(recipe)
    single = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
    single.command()(
        command(
            body, (PATHS if recipe.needs_paths else PATHS_IF_ANY, *own), NEW, name=recipe.name, text=recipe.help
        )
    )
    return typer.main.get_command(single)


def own_options(recipe: Recipe) -> list[inspect.Parameter]:
    """The recipe's own options, as a command takes them.

    Raises:
        RecipeError: a parameter that cannot be one.
    """
    return [_option(recipe, found) for found in recipe.options]


def _option(recipe: Recipe, found: Option) -> inspect.Parameter:
    where, name = recipe.where, found.name
    if name in RESERVED:
        raise RecipeError(f"{where}: --{name} is an option of every run: give the parameter another name")
    if not _fits(found.annotation):
        raise RecipeError(
            f"{where}: the type of {name} has no form on a command line: take str, int, float, bool, Path, "
            "an Enum, a Literal, or a list of one of them"
        )
    return option(
        name, found.annotation, found.default, help=found.help or None, metavar=_metavar(found.annotation)
    )


def _metavar(annotation: Any) -> str | None:
    """What stands for the value in the help; None leaves it to typer, which lists choices."""
    kinds = [kind for kind in get_args(annotation) if kind is not NoneType]
    if get_origin(annotation) is Literal:
        return None
    if kinds:
        return _metavar(kinds[0])
    return {str: "TEXT", int: "N", float: "X", Path: "PATH"}.get(annotation)


def _fits(annotation: Any) -> bool:
    """Whether a value of this type can be typed. None beside it is fine; a list is of single values."""
    origin, kinds = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _fits(kinds[0])
    if origin in (Union, UnionType):
        rest = [kind for kind in kinds if kind is not NoneType]
        return len(rest) == 1 and _fits(rest[0])
    if origin is list:
        return get_origin(kinds[0]) is not list and _fits(kinds[0])
    if origin is Literal:
        return True
    return isinstance(annotation, type) and issubclass(annotation, (str, int, float, Path, Enum))
