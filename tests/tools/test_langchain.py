"""LangChain's tools as Swarm's: whatever they are made of, and however they fail."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any, Literal

import pytest
from langchain_core.tools import BaseTool, InjectedToolArg, StructuredTool, ToolException, tool
from pydantic import BaseModel, Field

from swarm.equipment import ToolFailed
from swarm.errors import UsageError
from swarm.tools.langchain import from_langchain


class Where(BaseModel):
    city: str = Field(description="its name")
    country: str | None = None


class Trip(BaseModel):
    stops: list[Where]


async def mistake(made: Any, **arguments: Any) -> str:
    with pytest.raises(ToolFailed) as caught:
        await made.call(arguments)
    return str(caught.value)


async def test_a_function_with_langchains_decorator_is_a_tool() -> None:
    @tool
    def multiply(a: int, b: int = 2) -> int:
        """Multiply two numbers."""
        return a * b

    made = from_langchain(multiply)
    assert (made.name, made.description, made.changes) == ("multiply", "Multiply two numbers.", True)
    assert made.parameters["required"] == ["a"]
    assert made.parameters["properties"]["a"] == {"type": "integer"}
    assert await made.call({"a": 4}) == "8"
    assert from_langchain(multiply, changes=False).changes is False


async def test_one_that_is_asynchronous_runs_in_the_loop() -> None:
    loops: list[Any] = []

    @tool
    async def wait(seconds: float) -> str:
        """Wait."""
        loops.append(asyncio.get_running_loop())
        return f"waited {seconds}"

    assert await from_langchain(wait).call({"seconds": 0}) == "waited 0.0"
    assert loops == [asyncio.get_running_loop()]


async def test_nested_arguments_are_told_without_references() -> None:
    def plan(stops: list[Where]) -> str:
        return " - ".join(one.city for one in stops)

    made = from_langchain(StructuredTool.from_function(plan, description="Plans a trip.", args_schema=Trip))
    assert "$" not in str(made.parameters)
    assert made.parameters["properties"]["stops"]["items"]["properties"]["city"]["description"] == "its name"
    assert await made.call({"stops": [{"city": "Oslo"}, {"city": "Bergen"}]}) == "Oslo - Bergen"
    said = await mistake(made, stops=[{"country": "Norway"}])
    assert said == "stops[0].city: is missing"


async def test_a_schema_that_is_a_dictionary_is_taken() -> None:
    schema = {"title": "Ask", "type": "object", "properties": {"q": {"type": "string"}}, "required": ["q"]}

    def ask(q: str) -> str:
        return q.upper()

    made = from_langchain(StructuredTool.from_function(ask, description="Asks.", args_schema=schema))
    assert made.parameters == {"type": "object", "properties": {"q": {"type": "string"}}, "required": ["q"]}
    assert await made.call({"q": "why"}) == "WHY"


def test_what_a_program_injects_is_not_told_to_a_model() -> None:
    @tool
    def spend(amount: int, user: Annotated[str, InjectedToolArg] = "nobody") -> str:
        """Spend."""
        return f"{user} spends {amount}"

    assert list(from_langchain(spend).parameters["properties"]) == ["amount"]


async def test_a_class_of_its_own_is_a_tool_and_its_artifact_is_left_out() -> None:
    class Chart(BaseTool):
        name: str = "draw a chart"
        description: str = "Draws."
        response_format: Literal["content", "content_and_artifact"] = "content_and_artifact"

        def _run(self, of: str) -> tuple[str, bytes]:
            return f"a chart of {of}", b"\x89PNG"

    made = from_langchain(Chart())
    assert made.name == "draw_a_chart"
    assert await made.call({"of": "sales"}) == "a chart of sales"


async def test_of_blocks_the_text_is_told_and_of_the_rest_that_it_was_there() -> None:
    @tool
    def look() -> list[Any]:
        """Look."""
        return [{"type": "text", "text": "a cat"}, {"type": "image", "base64": "AAAA", "mime_type": "image/png"}]

    assert await from_langchain(look).call({}) == "a cat\n(a block of type image, which is not shown)"


@pytest.mark.parametrize(
    ("handled", "says"), [(False, "the shop is closed"), (True, "the shop is closed"), ("Later.", "Later.")]
)
async def test_a_failure_is_told_as_one_however_langchain_handles_it(handled: bool | str, says: str) -> None:
    def buy(what: str) -> str:
        raise ToolException("the shop is closed")

    made = from_langchain(StructuredTool.from_function(buy, description="Buys.", handle_tool_error=handled))
    assert await mistake(made, what="tea") == says


async def test_what_a_tool_trips_over_comes_out_as_it_is() -> None:
    @tool
    def trip() -> str:
        """Trip."""
        return str(next(iter(())))

    with pytest.raises(RuntimeError):
        async with asyncio.timeout(30):
            await from_langchain(trip).call({})


async def test_arguments_that_do_not_fit_are_told_by_name() -> None:
    @tool
    def multiply(a: int, b: int) -> int:
        """Multiply."""
        return a * b

    said = await mistake(from_langchain(multiply), a="many")
    assert "a: input should be a valid integer" in said
    assert "b: is missing" in said


@pytest.mark.parametrize("wrong", [len, "multiply", None, BaseTool])
def test_what_is_no_tool_of_langchain_is_refused_in_one_line(wrong: Any) -> None:
    with pytest.raises(UsageError, match="is no tool of LangChain: make one"):
        from_langchain(wrong)


def test_arguments_that_no_provider_would_take_are_refused_in_one_line() -> None:
    schema = {"type": "object", "properties": {"über": {"type": "string"}}}
    odd = StructuredTool.from_function(lambda **_: "", name="odd", description="Odd.", args_schema=schema)
    with pytest.raises(UsageError, match="the tool odd of LangChain cannot be used: 'über' cannot be the name"):
        from_langchain(odd)
