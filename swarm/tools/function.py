"""A plain typed function as a tool: what it takes, and what it says of itself, is in its signature and docstring.

This module knows Python's functions; it does not know who calls them.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, cast

from swarm.equipment import Tool, ToolFailed
from swarm.errors import UsageError
from swarm.tools.told import Unfit, bounded, is_name, plain

if TYPE_CHECKING:
    from pydantic import BaseModel, ValidationError

_MOST_MISTAKES = 10  # that are told at once: whoever made more sees the next ones then


def tool(function: Callable[..., Any], *, name: str | None = None, changes: bool = True) -> Tool:
    """A tool from a function with types: `Annotated`, `Literal`, lists, dataclasses and pydantic models, defaults.

    Its docstring is the description, with the help of each parameter. A function that is no coroutine runs in a
    thread, which goes on when the call is cancelled. What it returns is told as it is where it is a text, else as
    JSON; `None` is told as "done". One that `changes` nothing may run beside others.

        >>> def weight(of: str, exactly: bool = False) -> float:
        ...     "What a thing weighs."
        ...     return 12.5
        >>> tool(weight, changes=False).parameters["required"]
        ['of']

    Raises:
        UsageError: the function cannot be one.
    """
    called = name or _name(function)
    if not is_name(called):
        raise UsageError(
            f"{called!r:.100} cannot be the name of a tool: give one of letters, digits, _ and -, 64 at the most, "
            'that is not "report": tool(function, name="…")'
        )
    shape = shape_of(function)
    waits = _waits(function)

    async def call(arguments: Mapping[str, Any]) -> str:
        taken = shape.taken(arguments)
        found = await function(**taken) if waits else await asyncio.to_thread(_run, function, taken)
        if inspect.isawaitable(found):
            found = await found
        return as_text(found)

    return Tool(
        name=called, description=shape.description, parameters=shape.parameters, call=call, changes=changes
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class Shape:
    """What a function takes. `fields` are the model's names of the parameters."""

    description: str
    parameters: dict[str, Any]
    model: type[BaseModel]
    fields: Mapping[str, str]

    def taken(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """The arguments as the function takes them.

        Raises:
            ToolFailed: they do not fit, with a line for each mistake.
        """
        from pydantic import ValidationError

        try:
            found = self.model.model_validate(dict(arguments))
        except ValidationError as error:
            raise ToolFailed(mistakes(error, self.fields)) from None
        return {name: getattr(found, field) for name, field in self.fields.items()}


def shape_of(function: Callable[..., Any], *, without: int = 0) -> Shape:
    """What a function takes, but for its first so many parameters, as a schema and a check.

    Raises:
        UsageError: it takes what no model can give.
    """
    from docstring_parser import parse
    from pydantic import ConfigDict, Field, create_model
    from pydantic.errors import PydanticUserError

    where = f"{_name(function)} cannot be a tool"
    said = parse(inspect.getdoc(_own(function)) or "")
    helps = {one.arg_name: " ".join((one.description or "").split()) for one in said.params}
    fields: dict[str, str] = {}
    definitions: dict[str, Any] = {}
    for number, parameter in enumerate(_parameters(function, where)[without:]):
        more: dict[str, Any] = {"alias": parameter.name}
        if parameter.default is not parameter.empty:
            more["default"] = parameter.default
        kind = parameter.annotation
        if text := helps.get(parameter.name):
            kind = Annotated[kind, Field(description=text)]
        # not by its own name: pydantic gives meaning to some, and takes none that begins with _
        fields[parameter.name] = f"a{number}"
        definitions[f"a{number}"] = (kind, Field(**more))
    try:
        model: type[BaseModel] = create_model(
            "Arguments", __config__=ConfigDict(extra="forbid", arbitrary_types_allowed=False), **definitions
        )
        parameters = plain(model.model_json_schema(by_alias=True, schema_generator=_schemas()))
    except (PydanticUserError, Unfit, TypeError) as error:
        reason = str(error).splitlines()[0]
        raise UsageError(f"{where}: {reason} (take types that JSON can carry)") from None
    text = "\n\n".join(part for part in (said.short_description, said.long_description) if part)
    return Shape(description=text, parameters=parameters, model=model, fields=fields)


def mistakes(error: ValidationError, known: Collection[str]) -> str:
    """What is wrong with arguments, a line for each; `known` are the names that there are."""
    lines = []
    for one in error.errors(include_url=False, include_context=False):
        where = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in one["loc"])
        match one["type"]:
            case "missing":
                said = "is missing"
            case "extra_forbidden" if len(one["loc"]) == 1:
                said = f"is no argument: there {'are' if known else 'is'} {', '.join(known) or 'none'}"
            case "extra_forbidden":
                said = "is not known here"
            case _:
                said = f"{one['msg'][:1].lower()}{one['msg'][1:]}, and {one['input']!r:.80} was given"
        lines.append(" ".join(f"{where.removeprefix('.') or 'arguments'}: {said}".split()))
    left = len(lines) - _MOST_MISTAKES
    return "\n".join([*lines[:_MOST_MISTAKES], *([f"and {left} mistakes more"] if left > 0 else [])])


def as_text(value: object) -> str:
    """What a function returned, as it is told.

    Raises:
        ToolFailed: it cannot be written as JSON.
    """
    from pydantic_core import PydanticSerializationError, to_json

    if value is None:
        return "done"
    if isinstance(value, str):
        return bounded(value)
    try:
        return bounded(to_json(value, fallback=str, inf_nan_mode="constants").decode())
    except (PydanticSerializationError, ValueError, TypeError, RecursionError) as error:
        raise ToolFailed(f"what came of it cannot be written as JSON: {str(error).splitlines()[0]:.200}") from None


def _parameters(function: Callable[..., Any], where: str) -> list[inspect.Parameter]:
    try:
        found = list(inspect.signature(function, eval_str=True).parameters.values())
    except Exception as error:  # whatever a type in quotes evaluates to
        raise UsageError(f"{where}: its signature cannot be read: {error}") from None
    # what a partial one was given by name is not for whoever calls it to change
    given = function.keywords if isinstance(function, functools.partial) else {}
    for one in found:
        if one.kind in (one.VAR_POSITIONAL, one.VAR_KEYWORD):
            raise UsageError(f"{where}: it takes any number of arguments (*{one.name}): name each of them")
        if one.kind is one.POSITIONAL_ONLY:
            raise UsageError(f"{where}: {one.name} has no name for callers: take out the / behind it")
        if one.annotation is one.empty and one.name not in given:
            raise UsageError(f"{where}: {one.name} has no type: annotate it")
    return [one for one in found if one.name not in given]


@functools.cache
def _schemas() -> Any:
    from pydantic.json_schema import GenerateJsonSchema

    class Schemas(GenerateJsonSchema):
        """Without titles, which only repeat the names, and silent on a default that JSON cannot carry."""

        ignored_warning_kinds = {"skipped-choice", "non-serializable-default"}  # noqa: RUF012 - the base names it

        def field_title_should_be_set(self, _schema: Any) -> bool:
            return False

    return Schemas


def _run(function: Callable[..., Any], taken: Mapping[str, Any]) -> Any:
    """In a thread, out of which this one exception does not come: whoever waits would wait for ever."""
    try:
        return function(**taken)
    except StopIteration:
        raise RuntimeError("it took the next of what had come to its end (StopIteration)") from None


def _own(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function itself, where it is a partial one."""
    while isinstance(function, functools.partial):
        function = function.func
    return function


def _name(function: Callable[..., Any]) -> str:
    function = _own(function)
    return str(getattr(function, "__name__", type(function).__name__))


def _waits(function: Callable[..., Any]) -> bool:
    """Whether calling it gives something to wait for, as far as one can see."""
    function = _own(function)
    if inspect.isasyncgenfunction(function) or inspect.isgeneratorfunction(function):
        raise UsageError(f"{_name(function)} cannot be a tool: it yields: return a list")
    called = cast("Any", type(function)).__call__
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(called)
