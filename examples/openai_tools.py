"""Long tasks as tools of a loop over OpenAI's Chat Completions. What stands for OpenAI here is a SIMULATED
provider on this machine, whose model is scripted."""

import asyncio
from typing import Any

from openai import AsyncOpenAI

from swarm.embed.jobs import Jobs
from swarm.embed.openai import OpenAITools
from swarm.embed.tools import job_tools
from swarm.testing.analyst import analyst
from swarm.testing.provider import Provider


async def main(client: AsyncOpenAI) -> None:
    messages: list[Any] = [{"role": "user", "content": "Question: What is a passage?"}]
    async with Jobs(roots=["docs/"]) as jobs:
        tools = OpenAITools(job_tools(jobs))
        while messages[-1]["role"] != "assistant":
            said = await client.chat.completions.create(
                model="gpt-5-mini", messages=messages, tools=tools.chat, max_completion_tokens=4_000
            )
            reply = said.choices[0].message
            messages.append(reply.model_dump(exclude_none=True))
            messages += [await tools.handle(call) for call in reply.tool_calls or ()]
    print(messages[-1]["content"])


async def simulated() -> None:
    with Provider(hands=analyst) as provider:
        async with AsyncOpenAI(base_url=provider.openai_url, api_key="none") as client:
            await main(client)


if __name__ == "__main__":
    asyncio.run(simulated())
