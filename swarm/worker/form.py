"""Is a result right in form? A program says so, before anyone looks at what it says.

A result whose role has a JSON schema is JSON of that schema and nothing around it; every result has a length. What
is wrong is told in one line, to whoever tries next. Schemas are the user's: they become Python code
(`fastjsonschema`), and none is ever fetched from anywhere. This module knows texts and schemas, neither models nor
votes.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from typing import Any

import fastjsonschema

from swarm.errors import UsageError
from swarm.program import Role
from swarm.tokens import o200k

_TOLD_CHARS = 200
_NEWER = frozenset(  # than draft 7: the validator would pass over them, and what they forbid would go through
    (
        "prefixItems",
        "unevaluatedProperties",
        "unevaluatedItems",
        "dependentRequired",
        "dependentSchemas",
        "minContains",
        "maxContains",
        "$dynamicRef",
        "$recursiveRef",
    )
)
_BY_NAME = ("properties", "patternProperties", "definitions", "$defs")  # their keys are names, and no keywords
_VALUES = ("enum", "const", "default", "examples", "required")
_PROBES: tuple[object, ...] = (None, {}, [], "", 0, 0.5, True, {"": None}, [None])


def problem_with(
    text: str, schema: Mapping[str, Any] | None = None, max_tokens: int = 1_500, role: str = ""
) -> tuple[Any, str | None]:
    """The result that `text` holds, and what is wrong with its form, or None.

    With a `schema` the result is the parsed JSON, else the text. `max_tokens` are counted in o200k; `role` is
    named if the schema itself is broken.

    Raises:
        UsageError: the schema is broken.
    """
    validate = _validator(schema, role) if schema is not None else None
    # a character has four bytes and as many tokens at the most
    if len(text) * 4 > max_tokens and o200k(text) > max_tokens:
        return None, f"longer than {max_tokens:,} tokens"
    if validate is None:
        return (text, None) if text.strip() else (None, "empty")
    try:
        value = strict_json(text)
    except (ValueError, RecursionError) as error:
        return None, _line(f"not JSON: {error}")
    try:
        validate(value)
    except fastjsonschema.JsonSchemaValueException as error:
        return None, _line(error.message.replace("data", "the result", 1))
    except RecursionError:
        return None, "nested too deeply"
    return value, None


def strict_json(text: str, parse_float: Callable[[str], Any] | None = None) -> Any:
    """The value of a JSON text. No NaN or Infinity, which are no JSON, and no key twice, where one would be lost.

    Raises:
        ValueError: it is not JSON.
        RecursionError: it is nested too deeply.
    """
    return json.loads(text, parse_float=parse_float, parse_constant=_constant, object_pairs_hook=_object)


def _constant(text: str) -> Any:
    raise ValueError(f"{text} is no number of JSON")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"{next(name for name in names if names.count(name) > 1)!r} stands twice in one object")
    return found


def fits(role: Role) -> None:
    """Check a role before anything is asked.

    Raises:
        UsageError: what is wrong with it, on one line.
    """
    for reason in _faults(role):
        raise UsageError(f"role {role.name!r}: {reason}")
    if role.schema is not None:
        _validator(role.schema, role.name)


def _faults(role: Role) -> Iterator[str]:
    if role.legs < 1:
        yield f"legs is {role.legs}: one sub-agent at the least works at a slice"
    if role.tries < 1 or role.steps < 1:
        yield f"tries is {role.tries} and steps is {role.steps}: one of each at the least"
    if role.report_tokens < 1:
        yield f"report_tokens is {role.report_tokens}: a report needs some"
    if role.view_tokens < 0:
        yield f"view_tokens is {role.view_tokens}: 0 shows nothing, and nothing is less"
    if role.vote is not None and role.vote.lead < 1:
        yield f"the vote's lead is {role.vote.lead}: 1 takes the first reply that is right in form"
    if role.vote is not None and (role.tools or role.workspace != "none" or role.code is not None):
        yield "it votes and does: votes are for replies that change nothing, give it no tools, workspace or code"
    if role.code is not None and role.tools:
        yield "it has code and tools: tools are a model's"
    if role.trial is not None and role.workspace != "write":
        yield "it has a trial and nothing to land: give it a workspace to write in"
    if role.vote is not None and role.vote.most < role.vote.lead:
        yield f"a lead of {role.vote.lead} cannot come of at most {role.vote.most} replies: raise most"


def _validator(schema: Mapping[str, Any], role: str) -> Callable[[object], object]:
    try:
        return _compiled(json.dumps(schema))
    except (TypeError, ValueError, RecursionError) as error:
        whose = f"role {role!r}: its schema" if role else "the schema"
        raise UsageError(_line(f"{whose} is broken: {error}")) from None


@lru_cache(maxsize=256)
def _compiled(schema: str) -> Callable[[object], object]:
    """A function that validates by a schema. It is tried, since a broken one often shows no earlier.

    Raises:
        ValueError: the schema is broken.
    """
    definition = json.loads(schema)
    if newer := next(_keywords(definition, _NEWER), None):
        raise ValueError(f"{newer} came after draft 7 of JSON Schema, which is what is understood here")
    try:
        validate: Callable[[object], object] = fastjsonschema.compile(
            definition,
            handlers=dict.fromkeys(("http", "https", "ftp", "file", "data", ""), _fetch),
            use_default=False,  # a result is what was said, and nothing that is filled in
        )
        for probe in _PROBES:
            _tried(validate, probe)
    except Exception as error:  # the library lets out whatever its code trips over
        raise ValueError(f"{error}") from None
    return validate


def _tried(validate: Callable[[object], object], probe: object) -> None:
    try:
        validate(probe)
    except fastjsonschema.JsonSchemaValueException:
        return


def _fetch(uri: str) -> Any:
    raise ValueError(f"it refers to {uri}, and nothing is fetched: put it under definitions")


def _keywords(schema: Any, wanted: frozenset[str]) -> Iterator[str]:
    """The keywords of a schema, and of those within it, that are among `wanted`."""
    left = [schema]
    while left:
        one = left.pop()
        if isinstance(one, list):
            left += one
        elif isinstance(one, dict):
            yield from (key for key in one if key in wanted)
            for key, value in one.items():
                if key in _BY_NAME and isinstance(value, dict):
                    left += value.values()
                elif key not in _VALUES:
                    left.append(value)


def _line(text: str) -> str:
    plain = " ".join(text.split())
    return plain if len(plain) <= _TOLD_CHARS else plain[: _TOLD_CHARS - 1] + "…"
