"""Swarm as a tool of a LangChain agent, which waits for the answer and streams what happens meanwhile. The agent's
model is scripted. It needs `pip install -e '.[langchain]'`."""

import asyncio
from typing import Any

from langchain.agents import create_agent
from langchain_core.language_models import BaseChatModel, GenericFakeChatModel
from langchain_core.messages import AIMessage

from swarm import Swarm
from swarm.embed.langchain import ask_tool


async def main(model: BaseChatModel) -> None:
    agent: Any = create_agent(model, [ask_tool(Swarm(), paths=["docs/"])])
    given = {"messages": [("user", "What is a passage?")]}
    async for kind, part in agent.astream(given, stream_mode=["custom", "values"]):
        if kind == "custom" and part["type"] == "PhaseChanged":
            print(part["phase"])
    for message in part["messages"][1:]:
        print(f"{message.type}: {message.text[:300]}")


class ScriptedModel(GenericFakeChatModel):
    """Says what it was given to say, whatever tools it has."""

    def bind_tools(self, *_: Any, **__: Any) -> Any:
        return self


CALL = {"name": "ask", "args": {"question": "What is a passage?"}, "id": "1"}

if __name__ == "__main__":
    said = [AIMessage("", tool_calls=[CALL]), AIMessage("It is a stretch of a source: see [1].")]
    asyncio.run(main(ScriptedModel(messages=iter(said))))
