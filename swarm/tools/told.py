"""What tools are called and what they tell: names and schemas as every provider takes them, bounded texts.

Providers differ in what they accept. What is here is what all of them do: no reference, an object at the top
without alternatives, items for every list. This module knows no tool.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from hashlib import blake2b
from typing import Any

from swarm.prompts.acting import REPORT

LONGEST = 1_000_000
"""Characters of a result; what is shown of it is far less."""
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_FIELD = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_MOST_NODES = 5_000  # of a schema without references: a few nested ones can stand for millions
_DEFINITIONS = ("$defs", "definitions")
_NAMES = ("properties", "patternProperties", "dependentSchemas")  # whose keys are no words of a schema
_VALUES = ("default", "const", "enum", "examples", "required")  # whose values are no schemas
_ALTERNATIVES = ("anyOf", "oneOf", "allOf", "not", "enum", "if", "then", "else")


def is_name(name: str) -> bool:
    """Whether a tool can be called this: `report` is how a sub-agent hands in."""
    return _NAME.fullmatch(name) is not None and name != REPORT


def named(wanted: str, taken: Collection[str] = ()) -> str:
    """The nearest name to `wanted` that is one, and none of those that are taken."""
    name = re.sub(r"[^A-Za-z0-9_-]", "_", wanted)
    if len(name) <= 64 and is_name(name) and name not in taken:
        return name
    for number in range(len(taken) + 1):
        mark = blake2b(f"{wanted}\0{number}".encode("utf-8", "replace"), digest_size=4).hexdigest()
        if (tried := f"{name[:55]}_{mark}") not in taken:
            return tried
    raise AssertionError("one more name than are taken was tried")


def bounded(text: str, most: int = LONGEST) -> str:
    """The beginning of a text that is too long, and how much of it is missing."""
    if len(text) <= most:
        return text
    return f"{text[:most]}\n… ({len(text) - most:,} characters more)"


class Unfit(ValueError):
    """A schema that no provider would take: the message says why."""


def plain(schema: Mapping[str, Any]) -> dict[str, Any]:
    """A JSON schema of arguments as every provider takes it.

    What refers to itself stays a reference. Alternatives at the top are left out: whoever takes the arguments
    checks them all the same.

    Raises:
        Unfit: it is of no object, or names a field as no provider takes it.
    """
    kept = {key: value for key, value in schema.items() if key not in ("$schema", "$id", "title", *_ALTERNATIVES)}
    if kept.get("type", "object") != "object":
        raise Unfit(f"its arguments are of type {kept['type']!r:.40}, not an object")
    properties = {} if kept.get("properties") is None else kept["properties"]
    if not isinstance(properties, dict):
        raise Unfit("its properties are no object")
    if odd := [name for name in properties if not _FIELD.fullmatch(name)]:
        raise Unfit(f"{odd[0]!r:.80} cannot be the name of an argument: letters, digits, _ . - are taken")
    kept |= {"type": "object", "properties": properties}
    return _Inlining(kept).done()


class _Inlining:
    """One schema on its way to one without references."""

    def __init__(self, schema: dict[str, Any]) -> None:
        self._schema = schema
        self._nodes = 0
        self._left = False

    def done(self) -> dict[str, Any]:
        definitions = {key: value for key, value in self._schema.items() if key in _DEFINITIONS}
        body = {key: value for key, value in self._schema.items() if key not in definitions}
        try:
            found: dict[str, Any] = self._inlined(body, ())
        except OverflowError:
            return self._schema
        return {**found, **definitions} if self._left else found

    def _inlined(self, node: Any, within: tuple[str, ...], names: bool = False) -> Any:
        """`names`: the keys of this one are names of schemas, and none of its own."""
        self._nodes += 1
        if self._nodes > _MOST_NODES:
            raise OverflowError
        if isinstance(node, list):
            return [self._inlined(item, within) for item in node]
        if not isinstance(node, dict):
            return node
        if names:
            return {key: self._inlined(value, within) for key, value in node.items()}
        target = node.get("$ref")
        if isinstance(target, str):
            found = self._found(target)
            if found is None or target in within:
                self._left = True
                return node
            beside = {key: value for key, value in node.items() if key != "$ref"}
            return self._inlined({**found, **beside}, (*within, target))
        new = {
            key: value if key in _VALUES else self._inlined(value, within, key in _NAMES)
            for key, value in node.items()
            if key != "title"  # it repeats the name
        }
        if new.get("type") == "array":
            new.setdefault("items", {})
        return new

    def _found(self, target: str) -> dict[str, Any] | None:
        node: Any = self._schema
        if not target.startswith("#/"):
            return None
        for step in target[2:].split("/"):
            node = node.get(step.replace("~1", "/").replace("~0", "~")) if isinstance(node, dict) else None
        return node if isinstance(node, dict) else None


def as_json(value: Any) -> str:
    """A JSON value as it is told."""
    return json.dumps(value, ensure_ascii=False, indent=None, default=str)
