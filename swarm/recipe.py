"""Recipes: short Python files that say how a kind of task is sliced, worked and merged.

A recipe is an async function under `@recipe`. It is handed a `Swarm` and the paths; its other parameters become
options of `swarm run`, with their types, defaults and the help of the docstring. This module finds and loads
recipes and says what they take; it does not parse command lines, and knows of `Swarm` only by name.
"""

from __future__ import annotations

import ast
import inspect
import sys
import traceback
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, TypeVar

from swarm.errors import RecipeError, SwarmError
from swarm.task import Answer

if TYPE_CHECKING:
    from swarm.run import Swarm

Function = Callable[..., Awaitable[Answer | None]]
F = TypeVar("F", bound=Callable[..., Any])

_MARK = "__swarm_recipe__"
_SHAPE = "async def name(swarm: Swarm, paths: list[str], ...) -> Answer | None"


@dataclass(frozen=True, kw_only=True, slots=True)
class Option:
    """One parameter of a recipe. `default` is `inspect.Parameter.empty` where the user must give a value."""

    name: str
    annotation: Any
    default: Any
    help: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Recipe:
    """A loaded recipe. `where` is `path:line` of its function, for messages; `help` is its docstring."""

    name: str
    where: str
    summary: str
    help: str
    options: tuple[Option, ...]
    function: Function
    needs_paths: bool = True
    """False where the recipe's `paths` have a default."""

    async def run(self, swarm: Swarm, paths: list[str], **options: Any) -> Answer | None:
        """Call the recipe; what it raises by mistake comes as a RecipeError that names the line."""
        mistake: RecipeError | None = None
        answer: Any = None
        try:
            answer = await self.function(swarm, paths=paths, **options)
        except SwarmError:
            raise
        except Exception as error:
            path = Path(self.where.rpartition(":")[0])
            if _ours(error, path):
                raise
            mistake = _mistake(error, path, self.where)
        if mistake is not None:
            raise mistake  # here, where no other exception hangs on to it than the one it names as its cause
        if answer is not None and not isinstance(answer, Answer):
            raise RecipeError(
                f"{self.where}: the recipe returned {type(answer).__name__}: return an Answer, or None"
            )
        return answer


def recipe(function: F) -> F:
    """Mark an async function as the recipe of its file. The function itself stays as it is.

    Raises:
        RecipeError: not async, or without `swarm` and `paths`.
    """
    where = _where(function)
    if not inspect.iscoroutinefunction(function):
        raise RecipeError(f"{where}: {function.__name__} is not async: write `{_SHAPE}`")
    parameters = inspect.signature(function).parameters
    if next(iter(parameters), None) != "swarm" or "paths" not in parameters:
        raise RecipeError(f"{where}: {function.__name__} takes no `swarm` and `paths`: write `{_SHAPE}`")
    for name, parameter in parameters.items():
        if parameter.kind not in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
            raise RecipeError(f"{where}: the parameter {name} has no name to make an option of: name each one")
    function.__dict__[_MARK] = True
    return function


def shipped() -> dict[str, Path]:
    """The recipes that come with Swarm, by name."""
    here = Path(__file__).parent
    installed, beside = here / "recipes", here.parent / "recipes"
    folder = installed if installed.is_dir() else beside
    return {path.stem: path for path in sorted(folder.glob("*.py"))}


def find(name: str) -> Path:
    """The file of a recipe: `name` is a path that ends in `.py`, or the bare name of one that is shipped.

    Raises:
        RecipeError: there is no such file, or none of that name.
    """
    ours = shipped()
    if name in ours:
        return ours[name]
    if not name.endswith(".py"):
        near = get_close_matches(name, ours, 1)
        hint = f"did you mean {near[0]}?" if near else "give the path of a .py file"
        raise RecipeError(f"no recipe {name!r} among those that come with Swarm ({', '.join(ours)}): {hint}")
    path = Path(name)
    if not path.is_file():
        raise RecipeError(f"no recipe at {name}: check the path")
    return path


def summary(path: Path) -> str:
    """The first paragraph of a recipe file's docstring as one line, without running the file."""
    try:
        text = ast.get_docstring(ast.parse(path.read_bytes())) or ""
    except (OSError, SyntaxError, ValueError):
        return ""
    return " ".join(text.partition("\n\n")[0].split())


def load(path: Path) -> Recipe:
    """Run a recipe file and take the one recipe that it defines.

    Raises:
        RecipeError: the file cannot be read, does not run, or does not define exactly one recipe.
    """
    module = _module(path)
    marked = [value for value in vars(module).values() if getattr(value, _MARK, False)]
    own = [function for function in marked if function.__module__ == module.__name__]
    if len(own) != 1:
        found = ", ".join(function.__name__ for function in own) or "none"
        raise RecipeError(f"{path}: a recipe file has one function under @recipe, this one has: {found}")
    return _recipe(own[0], path.stem)


def _module(path: Path) -> ModuleType:
    """The file, run as a module, leaving no byte code beside it."""
    module = ModuleType(f"swarm_recipe_{path.stem}")
    module.__file__ = str(path)
    try:
        code = compile(path.read_bytes(), str(path), "exec", dont_inherit=True)
    except OSError as error:
        raise RecipeError(f"{path} cannot be read: {error.strerror}") from None
    except SyntaxError as error:
        raise RecipeError(f"{path}:{error.lineno or 1}: {error.msg}") from None
    except ValueError as error:  # a null byte
        raise RecipeError(f"{path} is not Python: {error}") from None
    sys.modules[module.__name__] = module  # dataclasses and pydantic look their own module up there
    mistake: RecipeError | None = None
    try:
        exec(code, module.__dict__)  # noqa: S102 - a recipe is a program that its user chose to run
    except SwarmError:
        raise
    except Exception as error:
        mistake = _mistake(error, path, str(path))
    if mistake is not None:
        raise mistake
    return module


def _recipe(function: Function, name: str) -> Recipe:
    """What the function says of itself."""
    from docstring_parser import parse

    where = _where(function)
    try:
        signature = inspect.signature(function, eval_str=True)
    except Exception as error:
        raise RecipeError(f"{where}: a type in the signature cannot be resolved: {error}") from None
    said = parse(inspect.getdoc(function) or "")
    helps = {parameter.arg_name: " ".join((parameter.description or "").split()) for parameter in said.params}
    options = tuple(
        Option(
            name=parameter.name,
            annotation=str if parameter.annotation is parameter.empty else parameter.annotation,
            default=parameter.default,
            help=helps.get(parameter.name, ""),
        )
        for parameter in signature.parameters.values()
        if parameter.name not in ("swarm", "paths")
    )
    text = "\n\n".join(part for part in (said.short_description, said.long_description) if part)
    return Recipe(
        name=name,
        where=where,
        summary=said.short_description or "",
        help=text,
        options=options,
        function=function,
        needs_paths=signature.parameters["paths"].default is inspect.Parameter.empty,
    )


def _where(function: Callable[..., Any]) -> str:
    code = inspect.unwrap(function).__code__
    return f"{code.co_filename}:{code.co_firstlineno}"


def _ours(error: Exception, recipe: Path) -> bool:
    """Whether it broke inside Swarm, below the recipe: then the traceback is worth more than a line."""
    files = [frame.filename for frame in traceback.extract_tb(error.__traceback__)]
    below = files[max((n for n, file in enumerate(files) if file == str(recipe)), default=0) + 1 :]
    return any(Path(file).is_relative_to(Path(__file__).parent) for file in below)


def _mistake(error: Exception, path: Path, otherwise: str) -> RecipeError:
    """An exception of the recipe's own code as one line: the last line of `path` that was running.

    It is the cause of ours, unless it or what led to it tells a secret.
    """
    from swarm.observe.log import redact_text

    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
    where = f"{path}:{lines[-1]}" if lines else otherwise
    text = redact_text(" ".join(str(error).split()))
    mistake = RecipeError(f"{where}: {type(error).__name__}{': ' if text else ''}{text}")
    told = [said for one in _chain(error) for said in (str(one), repr(one))]
    if all(redact_text(said) == said for said in told):
        mistake.__cause__ = error
    return mistake


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """An exception and all that it came from."""
    seen: set[int] = set()
    todo = [error]
    while todo:
        one = todo.pop()
        if one is not None and id(one) not in seen:
            seen.add(id(one))
            yield one
            todo += (one.__cause__, one.__context__)
