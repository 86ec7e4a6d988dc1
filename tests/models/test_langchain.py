"""Any chat model of LangChain."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from langchain_core.exceptions import ContextOverflowError, ModelRateLimitError
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_openai.chat_models import _client_utils
from pydantic import Field

from swarm.errors import ModelError, PromptTooLong, RateLimited, Refused, Rejected, Unavailable
from swarm.models.langchain import LangChain
from swarm.models.quota import Level
from swarm.models.registry import connect
from swarm.prompts.replies import ReadReply
from swarm.testing.provider import Fault

TEXT = "Ida Lewis kept the lighthouse for 54 years."
REPLY = '{"findings": [], "summary": "s", "open_questions": []}'
USAGE = {
    "input_tokens": 900, "output_tokens": 20, "total_tokens": 920, "input_token_details": {"cache_read": 300},
}  # fmt: skip


class Words(BaseChatModel):
    """A chat model that has no way to be held to a schema."""

    says: Any = REPLY
    asked: list[list[BaseMessage]] = Field(default_factory=list)

    @property
    def _llm_type(self) -> str:
        return "words"

    def _generate(self, messages, stop=None, run_manager=None, **kwargs):
        self.asked.append(messages)
        if isinstance(self.says, Exception):
            raise self.says
        message = AIMessage(self.says, usage_metadata=USAGE)
        return ChatResult(generations=[ChatGeneration(message=message)])


class Tools(Words):
    """One that can be made to call a tool."""

    def bind_tools(self, tools, **kwargs):
        return self.bind(tools=tools)

    def _generate(self, messages, stop=None, run_manager=None, **kwargs):
        result = super()._generate(messages)
        call = {"name": kwargs["tools"][0]["title"], "args": json.loads(self.says), "id": "1", "type": "tool_call"}
        result.generations[0].message = AIMessage("", tool_calls=[call], usage_metadata=USAGE)
        return result


async def test_a_chat_model_without_schemas_is_told_in_words(read):
    chat_model = Words()
    completion = await LangChain(chat_model).call(read(TEXT), max_output=100)
    assert completion.text == REPLY
    assert "It fits this JSON schema" in str(chat_model.asked[0][0].content)


async def test_a_chat_model_with_tools_is_held_to_the_schema(read):
    completion = await LangChain(Tools()).call(read(TEXT), max_output=100)
    assert ReadReply.model_validate_json(completion.text).summary == "s"


async def test_usage_comes_from_the_message(read):
    usage = (await LangChain(Words()).call(read(TEXT), max_output=100)).usage
    assert (usage.input_tokens, usage.output_tokens, usage.cached_tokens) == (900, 20, 300)


async def test_window_and_longest_reply_come_from_the_profile_unless_given():
    chat_model = Words(profile={"max_input_tokens": 64_000, "max_output_tokens": 4_000})
    assert LangChain(chat_model).window == 64_000
    assert LangChain(chat_model).max_output == 4_000
    assert LangChain(chat_model, window=10_000).window == 10_000


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (ContextOverflowError("too many tokens"), PromptTooLong),
        (ModelRateLimitError("slow"), RateLimited),
        (TimeoutError(), Unavailable),
        (ConnectionResetError(), Unavailable),
        (ValueError("prompt is too long: 9000 tokens > 8000 maximum"), PromptTooLong),
        (ValueError("unknown parameter"), Rejected),
    ],
)
async def test_the_errors_of_any_package_become_ours(error, expected, read):
    with pytest.raises(expected) as caught:
        await LangChain(Words(says=error)).call(read(TEXT), max_output=100)
    assert type(caught.value) is expected


@pytest.fixture
async def named(provider, monkeypatch) -> AsyncIterator[LangChain]:
    """A model made by name. The package keeps its connections for the process; a test must not leave them."""
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    monkeypatch.setenv("OPENAI_BASE_URL", provider.openai_url)
    model = connect("langchain:openai/gpt-5-mini")
    yield model
    await model._chat_model.root_async_client.close()
    _client_utils._cached_async_httpx_client.cache_clear()


async def test_a_model_by_name_is_made_by_langchain_itself(named, read):
    model = named
    completion = await model.call(read(TEXT), max_output=100)
    assert ReadReply.model_validate_json(completion.text).findings[0].quote == TEXT
    assert model.name == "langchain:openai/gpt-5-mini"
    assert model.price.known
    assert completion.usage.input_tokens <= model.count(read(TEXT))


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (Fault(status=429, headers={"retry-after": "3"}), RateLimited),
        (Fault(status=500), Unavailable),
        (Fault(status=401), Rejected),
        (Fault(status=400, code="context_length_exceeded", message="too long"), PromptTooLong),
        (Fault(status=400, code="content_filter", message="flagged"), Refused),
        (Fault(body="<html>"), Unavailable),
    ],
)
async def test_failures_of_a_real_package_are_told_apart(fault, expected, named, provider, read):
    provider.faults.append(fault)
    with pytest.raises(expected) as caught:
        await named.call(read(TEXT), max_output=100)
    assert type(caught.value) is expected
    assert len(provider.requests) == 1, "LangChain's own retries are off"


def test_a_package_that_is_not_installed_is_named():
    with pytest.raises(ModelError, match="langchain-mistralai"):
        connect("langchain:mistralai/mistral-large-latest")


def test_a_missing_key_is_one_line():
    with pytest.raises(ModelError) as caught:
        connect("langchain:openai/gpt-5-mini")
    assert "\n" not in str(caught.value)
    assert "OPENAI_API_KEY" in str(caught.value)


async def test_response_headers_are_read_where_the_chat_model_hands_them_on(read):
    class Told(Words):
        def _generate(self, messages, stop=None, run_manager=None, **kwargs):
            result = super()._generate(messages)
            headers = {"x-ratelimit-limit-requests": "500", "x-ratelimit-remaining-requests": "499"}
            result.generations[0].message.response_metadata = {"headers": headers}
            return result

    quota = (await LangChain(Told(), window=9_000).call(read(TEXT), max_output=100)).quota
    assert quota is not None
    assert quota.requests == Level(limit=500, remaining=499)


def test_retries_that_nobody_sees_are_noted(caplog):
    class Retrying(Words):
        max_retries: int | None = 2

    with caplog.at_level("WARNING", logger="swarm"):
        LangChain(Retrying(max_retries=0), window=9_000)
        LangChain(Words(), window=9_000)
        assert caplog.records == []
        LangChain(Retrying(), window=9_000)
        LangChain(Retrying(max_retries=None), window=9_000)
    assert ["retry by itself" in record.getMessage() for record in caplog.records] == [True, True]


async def test_a_connection_that_failed_was_never_billed_and_one_that_broke_may_have_been(read):
    import httpx2

    for error, in_doubt in (
        (httpx2.ConnectError("no"), False),
        (httpx2.ReadTimeout("slow"), True),
        (httpx2.ReadError("cut"), True),
    ):
        with pytest.raises(Unavailable) as caught:
            await LangChain(Words(says=error), window=9_000).call(read(TEXT), max_output=100)
        assert caught.value.in_doubt is in_doubt
