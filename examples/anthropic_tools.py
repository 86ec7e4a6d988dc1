"""Long tasks as tools of Anthropic's tool runner. What stands for Anthropic here is a SIMULATED provider on this
machine, whose model is scripted."""

import asyncio

from anthropic import AsyncAnthropic

from swarm.embed.anthropic import anthropic_tools
from swarm.embed.jobs import Jobs
from swarm.embed.tools import job_tools
from swarm.testing.analyst import analyst
from swarm.testing.provider import Provider


async def main(client: AsyncAnthropic) -> None:
    async with Jobs(roots=["docs/"]) as jobs:
        runner = client.beta.messages.tool_runner(
            model="claude-opus-5-5",
            max_tokens=4_000,
            messages=[{"role": "user", "content": "Question: What is a passage?"}],
            tools=anthropic_tools(job_tools(jobs)),
        )
        async for message in runner:
            for block in message.content:
                print(block.name if block.type == "tool_use" else block.text if block.type == "text" else "")


async def simulated() -> None:
    with Provider(hands=analyst) as provider:
        async with AsyncAnthropic(base_url=provider.url, api_key="none") as client:
            await main(client)


if __name__ == "__main__":
    asyncio.run(simulated())
