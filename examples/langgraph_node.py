"""Swarm as a node of a LangGraph graph: it shares keys with its parent, and streams and asks through it."""

import asyncio
from typing import Any, TypedDict
from uuid import uuid4

from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, StateGraph
from langgraph.types import Command

from swarm import Swarm, Task


class State(TypedDict, total=False):
    """`topic` and `note` are the parent's own; the other keys are shared with the swarm."""

    topic: str
    question: str
    answer: str
    citations: list[dict[str, Any]]
    note: str


async def ask(state: State) -> State:
    return {"question": f"Which limit holds {state['topic']}?"}


async def write(state: State) -> State:
    cited = state["citations"][0]
    return {"note": f"{cited['place']}: {' '.join(cited['quote'].split())}"}


async def main() -> None:
    graph = StateGraph(State)
    graph.add_node("ask", ask)
    graph.add_node("swarm", Swarm().compiled(Task(questions=(), paths=("docs/limits.md",)), approve="budget"))
    graph.add_node("write", write)
    graph.add_edge(START, "ask")
    graph.add_edge("ask", "swarm")
    graph.add_edge("swarm", "write")
    graph.add_edge("write", END)
    app = graph.compile(checkpointer=InMemorySaver())  # the swarm inherits it

    thread: Any = {"configurable": {"thread_id": str(uuid4())}}  # the swarm's run has its name: THREAD.swarm
    asked = await app.ainvoke({"topic": "for dollars"}, thread)
    (question,) = asked["__interrupt__"]
    print(f"{question.value['slices']} slices, at most ${question.value['most_usd']:.2f}: go on? yes")

    reply: Any = Command(resume={"approved": True})
    async for event in app.astream(reply, thread, stream_mode="custom"):
        if event["type"] == "PhaseChanged":
            print(event["phase"])
    print((await app.aget_state(thread)).values["note"])


if __name__ == "__main__":
    asyncio.run(main())
