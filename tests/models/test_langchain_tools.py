"""Tools on any chat model of LangChain."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, ToolMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_openai.chat_models import _client_utils
from pydantic import Field

from swarm.models.langchain import LangChain
from swarm.models.registry import connect
from swarm.prompts.acting import CallResult
from swarm.prompts.replies import WorkReply
from swarm.testing.provider import Fault
from swarm.testing.seen import seen_in

USAGE = {"input_tokens": 900, "output_tokens": 20, "total_tokens": 920}
CALL = {"name": "list_files", "args": {}, "id": "a", "type": "tool_call"}
IN_WORDS = '{"says": "", "calls": [{"id": "1", "name": "list_files", "arguments": "{}"}], "kept": ""}'


class Acting(BaseChatModel):
    """A chat model that can be given tools. What it was given, and how, is kept."""

    says: Any = AIMessage("Hm.", tool_calls=[CALL])
    asked: list[list[BaseMessage]] = Field(default_factory=list)
    bound: list[dict[str, Any]] = Field(default_factory=list)

    @property
    def _llm_type(self) -> str:
        return "acting"

    def bind_tools(self, tools, **kwargs):
        return self.bind(tools=tools, **kwargs)

    def _generate(self, messages, stop=None, run_manager=None, **kwargs):
        self.asked.append(messages)
        self.bound.append(kwargs)
        message = self.says.model_copy(update={"usage_metadata": USAGE})
        return ChatResult(generations=[ChatGeneration(message=message)])


class Unforced(Acting):
    def bind_tools(self, tools):
        return self.bind(tools=tools)


class Words(Acting):
    """One that has no way to be given tools, nor to be held to a schema."""

    says: Any = AIMessage(IN_WORDS)

    def bind_tools(self, tools, **kwargs):
        raise NotImplementedError


class Picky(Words):
    """One whose server objects."""

    def bind_tools(self, tools, **kwargs):
        return self.bind(tools=tools, **kwargs)

    def _generate(self, messages, stop=None, run_manager=None, **kwargs):
        if "tools" in kwargs:
            raise ValueError("gemma:2b does not support tools")
        return super()._generate(messages)


@pytest.fixture
async def named(provider, monkeypatch) -> AsyncIterator[LangChain]:
    """A model by name, against the provider. The package keeps its connections for the process."""
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    monkeypatch.setenv("OPENAI_BASE_URL", provider.openai_url)
    model = connect("langchain:openai/gpt-5-mini")
    yield model
    await model._chat_model.root_async_client.close()
    _client_utils._cached_async_httpx_client.cache_clear()


def does(*turns):
    return lambda seen: turns[min(len(seen.turns), len(turns) - 1)]


async def test_a_conversation_with_a_real_package_is_seen_as_it_was_held(named, provider, steps):
    look = {
        "says": "I look.",
        "calls": [{"name": "read_file", "arguments": {"path": "ä 灯塔"}}, {"name": "list_files", "arguments": {}}],
    }
    heard = []
    act = does(look, {"says": "Hm."}, {"calls": [{"name": "report", "arguments": {"status": "done"}}]})
    provider.hands = lambda seen: heard.append(seen) or act(seen)
    prompt = steps.step()
    reply = await steps.ask(named, prompt)
    assert reply.says == "I look."
    assert [json.loads(one.arguments) for one in reply.calls] == [{"path": "ä 灯塔"}, {}]
    prompt = steps.after(prompt, reply, "text", CallResult(text="no", failed=True))
    prompt = steps.after(prompt, await steps.ask(named, prompt), "Go on.")
    counted = named.count(prompt)
    completion = await named.call(prompt, max_output=100)
    assert completion.usage.input_tokens <= counted
    assert "report" in completion.text
    assert heard[-1] == seen_in(prompt)


async def test_a_report_is_forced_with_a_real_package(named, provider, steps):
    reply = await steps.ask(named, steps.step(force=True))
    assert WorkReply.model_validate_json(reply.calls[0].arguments)
    assert provider.requests[0]["tool_choice"]["function"]["name"] == "report"


async def test_a_server_that_cannot_be_forced_is_not(named, provider, steps):
    provider.forced_tools = False
    for _ in range(2):
        assert (await steps.ask(named, steps.step(force=True))).calls[0].name == "report"
    assert ["tool_choice" in body for body in provider.requests] == [True, False, False]


async def test_a_server_without_tools_is_told_in_words(named, provider, steps):
    provider.tools = False
    for _ in range(2):
        assert (await steps.ask(named, steps.step())).calls[0].name == "report"
    assert ["tools" in body for body in provider.requests] == [True, False, False]


async def test_arguments_that_broke_off_are_told_as_they_came(named, provider, steps):
    provider.hands = does({"calls": [{"name": "list_files", "arguments": {}}]})
    provider.faults.append(Fault(text='{"path": "a.p', stop="length"))
    reply = await steps.ask(named, steps.step())
    assert reply.calls[0].arguments == '{"path": "a.p'


async def test_a_refusal_is_told(named, provider, steps):
    provider.faults.append(Fault(text="I cannot.", stop="refusal"))
    assert (await named.call(steps.step(), max_output=100)).refusal


async def test_tools_turns_and_what_is_said_last_become_messages(steps):
    chat_model = Acting()
    failed = CallResult(text="b", failed=True)
    done = (
        steps.turn(("list_files", "{}"), ("read_file", "no json"), results=("a", failed)),
        steps.turn(results=("Go on.",), says="Hm."),
    )
    reply = await steps.ask(LangChain(chat_model, window=90_000), steps.step(*done, force=True))
    assert (reply.says, reply.calls[0].id, reply.kept) == ("Hm.", "a", "")
    [messages] = chat_model.asked
    kinds = [type(message).__name__ for message in messages]
    assert kinds == [
        "SystemMessage", "HumanMessage", "AIMessage", "ToolMessage", "ToolMessage", "AIMessage", "HumanMessage",
        "HumanMessage",
    ]  # fmt: skip
    assert [one["args"] for one in messages[2].tool_calls] == [{}, {"INVALID_JSON": "no json"}]
    assert [(one.content, one.status) for one in messages[3:5]] == [("a", "success"), ("Error: b", "error")]
    assert isinstance(messages[3], ToolMessage)
    assert isinstance(messages[-1], HumanMessage)
    assert "Hand in now" in messages[-1].content
    assert chat_model.bound[0]["tool_choice"] == "report"
    names = [one["function"]["name"] for one in chat_model.bound[0]["tools"]]
    assert names == ["read_file", "list_files", "report"]


async def test_what_a_package_puts_beside_the_text_goes_back_with_the_turn(steps):
    thinking = [{"type": "thinking", "thinking": "hm", "signature": "s"}, {"type": "text", "text": "I look."}]
    said = AIMessage(thinking, tool_calls=[CALL], additional_kwargs={"reasoning_content": "deep", "refusal": None})
    chat_model = Acting(says=said)
    model, prompt = LangChain(chat_model, window=90_000), steps.step()
    reply = await steps.ask(model, prompt)
    assert reply.says == "I look."
    await steps.ask(model, steps.after(prompt, reply, "a"))
    back = chat_model.asked[1][2]
    assert back.content == thinking
    assert back.additional_kwargs == {"reasoning_content": "deep"}
    assert back.tool_calls == [CALL]


@pytest.mark.parametrize("kind", [Words, Picky])
async def test_a_chat_model_without_tools_is_told_in_words(kind, steps):
    chat_model = kind()
    model = LangChain(chat_model, window=90_000)
    for _ in range(2):
        reply = await steps.ask(model, steps.step(steps.turn(("list_files", "{}"), results=("lamp.py",))))
        assert reply.calls[0].name == "list_files"
    assert '<tool name="read_file">' in chat_model.asked[0][0].content
    assert "lamp.py" in chat_model.asked[0][1].content
    assert len(chat_model.asked) == 2


async def test_a_chat_model_that_cannot_be_forced_is_only_asked(steps):
    chat_model = Unforced()
    await steps.ask(LangChain(chat_model, window=90_000), steps.step(force=True))
    assert "tool_choice" not in chat_model.bound[0]
