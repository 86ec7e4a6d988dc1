"""Typed functions as tools: what a model is told they take, what reaches them, and what is said of mistakes."""

from __future__ import annotations

import asyncio
import enum
import functools
import json
import math
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal, Optional

import pytest
from pydantic import BaseModel, Field

from swarm import tool
from swarm.equipment import ToolFailed
from swarm.errors import UsageError
from swarm.tools.told import LONGEST


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


@dataclass
class Point:
    x: int
    y: int = 0


class Box(BaseModel):
    corner: Point
    names: list[str] = []


class Tree(BaseModel):
    value: int
    children: list[Tree] = []


async def outcome(function: Callable[..., Any], **arguments: Any) -> str:
    return await tool(function).call(arguments)


async def mistake(function: Callable[..., Any], **arguments: Any) -> str:
    with pytest.raises(ToolFailed) as caught:
        await tool(function).call(arguments)
    return str(caught.value)


def walk(node: Any) -> list[dict[str, Any]]:
    """Every schema in a schema."""
    if isinstance(node, list):
        return [found for one in node for found in walk(one)]
    if not isinstance(node, dict):
        return []
    return [node, *(found for one in node.values() for found in walk(one))]


def test_the_signature_and_the_docstring_are_what_a_model_is_told() -> None:
    def order(dish: str, many: int = 1, kind: Literal["hot", "cold"] = "hot") -> str:
        """Order a dish.

        It is made at once.

        Args:
            dish: what stands on the
                menu
            many: how many of it
        """
        return f"{many} {kind} {dish}"

    made = tool(order)
    assert made.name == "order"
    assert made.changes
    assert made.description == "Order a dish.\n\nIt is made at once."
    assert made.parameters == {
        "type": "object",
        "additionalProperties": False,
        "required": ["dish"],
        "properties": {
            "dish": {"type": "string", "description": "what stands on the menu"},
            "many": {"type": "integer", "default": 1, "description": "how many of it"},
            "kind": {"type": "string", "enum": ["hot", "cold"], "default": "hot"},
        },
    }


@pytest.mark.parametrize(
    "docstring",
    [
        "Add.\n\nArgs:\n    a: the first",
        "Add.\n\nParameters\n----------\na : int\n    the first\n",
        "Add.\n\n:param a: the first",
        "Add.\n\n@param a: the first",
    ],
    ids=["google", "numpy", "rest", "epydoc"],
)
def test_the_help_of_parameters_is_found_in_every_style_of_docstring(docstring: str) -> None:
    def add(a: int) -> int:
        return a

    add.__doc__ = docstring
    made = tool(add)
    assert made.description == "Add."
    assert made.parameters["properties"]["a"]["description"] == "the first"


@pytest.mark.parametrize(
    "docstring", [None, "", "Args:", "Args:\n  x", ":param", "Returns\n---\n---", "\x00", "a" * 9_000]
)
def test_no_docstring_however_odd_keeps_a_function_from_being_a_tool(docstring: str | None) -> None:
    def odd(a: int) -> int:
        return a

    odd.__doc__ = docstring
    assert tool(odd).parameters["required"] == ["a"]


async def test_arguments_come_as_the_types_that_the_function_takes() -> None:
    taken: list[Any] = []

    def take(
        point: Point,
        box: Box,
        colour: Colour,
        day: date,
        pairs: dict[str, tuple[int, int]],
        path: Path = Path(),
        some: Optional[int] = None,  # noqa: UP045 - written so by many
        either: int | str = 0,
    ) -> None:
        taken.extend([point, box, colour, day, pairs, path, some, either])

    said = await outcome(
        take,
        point={"x": 1},
        box={"corner": {"x": 2, "y": 3}},
        colour="blue",
        day="2026-02-28",
        pairs={"a": [1, 2]},
        path="a/b",
        either="x",
    )
    assert said == "done"
    assert taken == [
        Point(1),
        Box(corner=Point(2, 3)),
        Colour.BLUE,
        date(2026, 2, 28),
        {"a": (1, 2)},
        Path("a/b"),
        None,
        "x",
    ]


def test_a_schema_has_no_reference_and_no_title_unless_it_holds_itself() -> None:
    def take(box: Box, more: list[Box], colour: Colour) -> None: ...

    text = json.dumps(tool(take).parameters)
    assert "$ref" not in text
    assert "$defs" not in text
    assert "title" not in text

    def climb(tree: Tree) -> int:
        return tree.value

    schema = tool(climb).parameters
    assert schema["$defs"]["Tree"]["properties"]["children"]["items"] == {"$ref": "#/$defs/Tree"}


def test_every_list_of_a_schema_says_what_is_in_it() -> None:
    def take(a: list, b: list[Any], c: tuple[int, ...], d: set[str], e: list[list]) -> None: ...  # type: ignore[type-arg]

    lists = [one for one in walk(tool(take).parameters) if one.get("type") == "array"]
    assert len(lists) == 6
    assert all("items" in one for one in lists)


@pytest.mark.parametrize(
    "name", ["self", "model_config", "schema", "json", "copy", "_private", "cls", "from_", "class_"]
)
async def test_a_parameter_may_have_any_name(name: str) -> None:
    space: dict[str, Any] = {}
    exec(f"def take({name}: int) -> int:\n    return {name} + 1", space)
    assert list(tool(space["take"]).parameters["properties"]) == [name]
    assert await outcome(space["take"], **{name: 1}) == "2"


async def test_a_bound_that_an_annotation_sets_is_told_and_held() -> None:
    def take(n: Annotated[int, Field(ge=1, le=9, description="one digit")]) -> int:
        return n

    assert tool(take).parameters["properties"]["n"] == {
        "type": "integer",
        "minimum": 1,
        "maximum": 9,
        "description": "one digit",
    }
    assert await mistake(take, n=10) == "n: input should be less than or equal to 9, and 10 was given"


async def test_every_mistake_has_a_line_that_says_where_and_what() -> None:
    def take(point: Point, names: list[str], kind: Literal["a", "b"]) -> None: ...

    said = (await mistake(take, point={"x": "one"}, names=["a", 2], colour="red")).splitlines()
    assert said[0].startswith("point.x: input should be a valid integer")
    assert said[0].endswith("and 'one' was given")
    assert said[1] == "names[1]: input should be a valid string, and 2 was given"
    assert said[2] == "kind: is missing"
    assert said[3] == "colour: is no argument: there are point, names, kind"


async def test_a_hundred_mistakes_are_told_in_a_few_short_lines() -> None:
    def take(numbers: list[int]) -> None: ...

    said = await mistake(take, numbers=["x" * 1_000] * 100)
    assert said.endswith("and 90 mistakes more")
    assert len(said) < 3_000


async def test_a_function_without_parameters_takes_none() -> None:
    def now() -> str:
        return "noon"

    assert tool(now).parameters["properties"] == {}
    assert await outcome(now) == "noon"
    assert await mistake(now, when="then") == "when: is no argument: there is none"


async def test_coroutines_run_in_the_loop_and_functions_beside_it() -> None:
    async def here() -> bool:
        return threading.current_thread() is threading.main_thread()

    def beside() -> bool:
        return threading.current_thread() is threading.main_thread()

    class Called:
        async def __call__(self) -> bool:
            return await here()

    assert await outcome(here) == "true"
    assert await outcome(beside) == "false"
    assert await tool(Called()).call({}) == "true"
    assert await tool(lambda: here(), name="later").call({}) == "true"


async def test_methods_keyword_only_parameters_and_wrapped_functions_can_be_tools() -> None:
    class Shop:
        def price(self, *, of: str) -> str:
            """What it costs."""
            return f"{of}: 3"

    assert await outcome(Shop().price, of="tea") == "tea: 3"

    @functools.wraps(Shop.price)
    def logged(*args: Any, **kwargs: Any) -> str:
        return Shop.price(*args, **kwargs)

    made = tool(functools.partial(logged, Shop()), name="price")
    assert list(made.parameters["properties"]) == ["of"]
    assert await made.call({"of": "tea"}) == "tea: 3"


async def test_what_a_partial_function_was_given_is_not_for_a_model_to_change() -> None:
    def read(path: str, root: str, most: int = 3) -> str:
        """Read a file."""
        return f"{root}/{path} {most}"

    made = tool(functools.partial(read, root="/safe"))
    assert (made.name, made.description) == ("read", "Read a file.")
    assert list(made.parameters["properties"]) == ["path", "most"]
    assert await made.call({"path": "a", "most": 4}) == "/safe/a 4"
    with pytest.raises(ToolFailed, match="root: is no argument"):
        await made.call({"path": "a", "root": "/etc"})


async def test_a_partial_function_may_hold_what_no_model_could_give() -> None:
    lock = threading.Lock()

    def use(held, word: str) -> str:  # type: ignore[no-untyped-def]
        return f"{held is lock} {word}"

    assert await outcome(functools.partial(use, held=lock), word="a") == "True a"


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (None, "done"),
        ("text\n", "text\n"),
        ("", ""),
        (3, "3"),
        (True, "true"),
        ({"a": [1, None]}, '{"a":[1,null]}'),
        (Point(1, 2), '{"x":1,"y":2}'),
        (Box(corner=Point(1)), '{"corner":{"x":1,"y":0},"names":[]}'),
        (Colour.RED, '"red"'),
        (date(2026, 1, 2), '"2026-01-02"'),
        (math.nan, "NaN"),
        ("ü", "ü"),
        (["ü"], '["ü"]'),
    ],
)
async def test_what_a_function_returns_is_told_as_text_or_json(value: Any, told: str) -> None:
    def give() -> Any:
        return value

    assert await outcome(give) == told


async def test_what_cannot_be_written_as_json_is_a_failure_that_says_so() -> None:
    ring: list[Any] = []
    ring.append(ring)

    def give() -> Any:
        return ring

    assert "cannot be written as JSON" in await mistake(give)


async def test_a_huge_result_is_cut_and_says_how_much_is_missing() -> None:
    def give() -> str:
        return "a" * (LONGEST + 5)

    said = await outcome(give)
    assert said.endswith("a\n… (5 characters more)")
    assert len(said) < LONGEST + 40


async def test_what_a_function_raises_comes_out_as_it_is() -> None:
    def fail() -> None:
        raise KeyError("x")

    def refuse() -> None:
        raise ToolFailed("not today: try tomorrow")

    with pytest.raises(KeyError):
        await tool(fail).call({})
    with pytest.raises(ToolFailed, match="not today"):
        await tool(refuse).call({})


async def test_a_function_that_stops_an_iteration_does_not_stop_the_run() -> None:
    def first() -> int:
        return next(n for n in (1, 2) if n > 5)

    with pytest.raises(RuntimeError, match="StopIteration"):
        async with asyncio.timeout(30):
            await tool(first).call({})


async def test_one_call_does_not_change_the_default_of_the_next() -> None:
    def add(word: str, to: list[str] = []) -> list[str]:  # noqa: B006 - as it is written often
        to.append(word)
        return to

    made = tool(add)
    assert await made.call({"word": "a"}) == '["a"]'
    assert await made.call({"word": "b"}) == '["b"]'


def untyped(a):  # type: ignore[no-untyped-def]
    return a


def many(*numbers: int) -> int:
    return sum(numbers)


def named(**numbers: int) -> int:
    return sum(numbers.values())


def positional(a: int, /) -> int:
    return a


def unknown(a: Nowhere) -> int:  # type: ignore[name-defined]  # noqa: F821
    return 1


def locked(a: threading.Lock) -> int:
    return 1


def calling(a: Callable[[], int]) -> int:
    return a()


def odd_key(a: Annotated[int, Field(alias="ä")]) -> int:
    return a


def yielding(a: int):  # type: ignore[no-untyped-def]
    yield a


async def streaming(a: int):  # type: ignore[no-untyped-def]
    yield a


def ärger(a: int) -> int:
    return a


@pytest.mark.parametrize(
    ("function", "says"),
    [
        (untyped, "untyped cannot be a tool: a has no type: annotate it"),
        (many, "it takes any number of arguments (*numbers): name each of them"),
        (named, "it takes any number of arguments (*numbers): name each of them"),
        (positional, "a has no name for callers: take out the / behind it"),
        (unknown, "its signature cannot be read: name 'Nowhere' is not defined"),
        (locked, "take types that JSON can carry"),
        (calling, "take types that JSON can carry"),
        (yielding, "yielding cannot be a tool: it yields: return a list"),
        (streaming, "streaming cannot be a tool: it yields: return a list"),
        (lambda: 1, "'<lambda>' cannot be the name of a tool"),
        (ärger, "'ärger' cannot be the name of a tool"),
        (3, "its signature cannot be read: 3 is not a callable object"),
        (print, "print cannot be a tool"),
    ],
)
def test_a_function_that_cannot_be_a_tool_is_refused_in_one_line(function: Any, says: str) -> None:
    with pytest.raises(UsageError) as caught:
        tool(function)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["report", "", "two words", "a" * 65, "a.b", "a\n"])
def test_a_name_that_a_provider_would_not_take_is_refused(name: str) -> None:
    def fine() -> None: ...

    if not name:
        assert tool(fine, name=name).name == "fine"
        return
    with pytest.raises(UsageError, match="cannot be the name of a tool"):
        tool(fine, name=name)
