"""Agents as their SDKs run them, at a SIMULATED provider: who they are is scripted, all else is real."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from swarm.embed.agents import agents_tools
from swarm.embed.anthropic import anthropic_tools
from swarm.embed.langchain import langchain_tools
from swarm.embed.openai import OpenAITools
from swarm.equipment import Tool
from swarm.testing.provider import Provider

Drive = Callable[[Provider, Iterable[Tool], str], Awaitable[str]]
"""Has an agent with these tools answer; what it says at last."""


async def anthropic_runner(provider: Provider, tools: Iterable[Tool], question: str) -> str:
    from anthropic import AsyncAnthropic

    async with AsyncAnthropic(base_url=provider.url, api_key="none", max_retries=0) as client:
        runner = client.beta.messages.tool_runner(
            model="claude-any",
            max_tokens=2_000,
            messages=[{"role": "user", "content": question}],
            tools=anthropic_tools(tools),
        )
        message = await runner.until_done()
    return "".join(block.text for block in message.content if block.type == "text")


async def openai_chat(provider: Provider, tools: Iterable[Tool], question: str) -> str:
    from openai import AsyncOpenAI

    given, messages = OpenAITools(tools), list[Any]([{"role": "user", "content": question}])
    async with AsyncOpenAI(base_url=provider.openai_url, api_key="none", max_retries=0) as client:
        while True:
            said = await client.chat.completions.create(
                model="any", messages=messages, tools=given.chat, max_completion_tokens=2_000
            )
            reply = said.choices[0].message
            messages.append(reply.model_dump(exclude_none=True))
            if not reply.tool_calls:
                return reply.content or ""
            messages += [await given.handle(call) for call in reply.tool_calls]


async def openai_responses(provider: Provider, tools: Iterable[Tool], question: str) -> str:
    from openai import AsyncOpenAI

    given, items = OpenAITools(tools), list[Any]([{"role": "user", "content": question}])
    async with AsyncOpenAI(base_url=provider.openai_url, api_key="none", max_retries=0) as client:
        while True:
            said = await client.responses.create(
                model="any", input=items, tools=given.responses, max_output_tokens=2_000
            )
            items += said.output
            calls = [item for item in said.output if item.type == "function_call"]
            if not calls:
                return said.output_text
            items += [await given.handle(call) for call in calls]


async def agents_sdk(provider: Provider, tools: Iterable[Tool], question: str, *, chat: bool = True) -> str:
    from agents import Agent, ModelSettings, OpenAIChatCompletionsModel, OpenAIResponsesModel, RunConfig, Runner
    from openai import AsyncOpenAI

    async with AsyncOpenAI(base_url=provider.openai_url, api_key="none", max_retries=0) as client:
        kind = OpenAIChatCompletionsModel if chat else OpenAIResponsesModel
        agent = Agent(
            name="analyst",
            model=kind("any", client),
            model_settings=ModelSettings(max_tokens=2_000),
            tools=list(agents_tools(tools)),
        )
        result = await Runner.run(agent, question, max_turns=30, run_config=RunConfig(tracing_disabled=True))
    return str(result.final_output)


async def agents_sdk_responses(provider: Provider, tools: Iterable[Tool], question: str) -> str:
    return await agents_sdk(provider, tools, question, chat=False)


async def langchain_agent(provider: Provider, tools: Iterable[Tool], question: str) -> str:
    from langchain.agents import create_agent
    from langchain_openai import ChatOpenAI
    from openai import DefaultAsyncHttpxClient

    settings: Any = {"base_url": provider.openai_url, "api_key": "none", "max_retries": 0, "max_tokens": 2_000}
    async with DefaultAsyncHttpxClient() as client:
        model = ChatOpenAI(model="any", http_async_client=client, **settings)
        agent: Any = create_agent(model, langchain_tools(tools))
        out = await agent.ainvoke({"messages": [{"role": "user", "content": question}]})
    return str(out["messages"][-1].content)


DRIVES: dict[str, Drive] = {
    "anthropic": anthropic_runner,
    "chat": openai_chat,
    "responses": openai_responses,
    "agents, chat": agents_sdk,
    "agents, responses": agents_sdk_responses,
    "langchain": langchain_agent,
}
