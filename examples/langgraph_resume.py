"""A parent graph is killed while its swarm reads. The thread leads another process to the same run, and nothing
that was read is read again. It needs `pip install langgraph-checkpoint-sqlite`."""

import asyncio
import os
import signal
import subprocess
import sys
from typing import Any, TypedDict
from uuid import uuid4

from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from langgraph.graph import END, START, StateGraph

from swarm import Swarm, Task


class State(TypedDict, total=False):
    question: str
    answer: str
    coverage: dict[str, int]


async def main(thread_id: str, *, dies: bool) -> None:
    swarm = Swarm(window=4_000, concurrency=1).compiled(Task(questions=(), paths=("docs/",)))
    graph = StateGraph(State)
    graph.add_node("swarm", swarm)
    graph.add_edge(START, "swarm")
    graph.add_edge("swarm", END)
    async with AsyncSqliteSaver.from_conn_string("checkpoints.db") as saver:
        app = graph.compile(checkpointer=saver)
        config: Any = {"configurable": {"thread_id": thread_id}}
        given: Any = {"question": "What is a passage?"} if dies else None
        async for event in app.astream(given, config, stream_mode="custom", durability="sync"):
            match event:
                case {"type": "SliceFinished"} if dies:
                    print("killed while it reads", flush=True)
                    os.kill(os.getpid(), signal.SIGKILL)
                case {"type": "Resumed"}:
                    print(f"{event['done']} slices are done already")
                case {"type": "Finished"}:
                    print(f"{event['run_id']}: {event['status']}")
        print((await app.aget_state(config)).values["answer"][:100])


if __name__ == "__main__":
    if len(sys.argv) > 1:
        asyncio.run(main(sys.argv[1], dies=True))
    else:
        thread = str(uuid4())
        subprocess.run([sys.executable, __file__, thread])  # noqa: S603  # this very program
        asyncio.run(main(thread, dies=False))
