"""Long tasks as tools of an agent of OpenAI's Agents SDK. What stands for OpenAI here is a SIMULATED provider on
this machine, whose model is scripted. It needs `pip install -e '.[agents]'`."""

import asyncio

from agents import Agent, ModelSettings, OpenAIResponsesModel, Runner, set_tracing_disabled
from openai import AsyncOpenAI

from swarm.embed.agents import agents_tools
from swarm.embed.jobs import Jobs
from swarm.embed.tools import job_tools
from swarm.testing.analyst import analyst
from swarm.testing.provider import Provider


async def main(client: AsyncOpenAI) -> None:
    async with Jobs(roots=["docs/"]) as jobs:
        agent = Agent(
            name="analyst",
            model=OpenAIResponsesModel("gpt-5-mini", client),
            model_settings=ModelSettings(max_tokens=4_000),
            tools=[*agents_tools(job_tools(jobs))],
        )
        result = await Runner.run(agent, "Question: What is a passage?")
        print(result.final_output)


async def simulated() -> None:
    set_tracing_disabled(True)  # else the SDK tells OpenAI of each run
    with Provider(hands=analyst) as provider:
        async with AsyncOpenAI(base_url=provider.openai_url, api_key="none") as client:
            await main(client)


if __name__ == "__main__":
    asyncio.run(simulated())
