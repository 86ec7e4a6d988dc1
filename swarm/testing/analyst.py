"""A mind for agents that have Swarm's tools for long tasks: it starts one, follows it, asks its graph, and opens
a citation.

    with Provider(hands=analyst) as provider:
        client = AsyncOpenAI(base_url=provider.openai_url, api_key="none")

What it is to ask stands in the prompt, in a line that begins with `Question: `. This module knows the names of the
tools and what they give; it knows no SDK.
"""

from __future__ import annotations

import json
from typing import Any

from swarm.testing.seen import Seen

_QUESTION = "Question: "
_TOKENS = 600  # of what it has the graph tell
_SECONDS = 30


def analyst(seen: Seen) -> dict[str, Any]:
    """What it does next. At last it says which task it was, where its first citation stands, and what stands
    there; or what a tool said that failed."""
    done = [(call, result) for calls, results in seen.turns for call, result in zip(calls, results, strict=True)]
    if not done:
        question = seen.text.rpartition(_QUESTION)[2].splitlines()[0]
        return calling("start_task", question=question, paths=["."])
    call, result = done[-1]
    try:
        said = json.loads(result)
    except ValueError:
        return {"says": result}
    return _next(call["name"], said)


def _next(after: str, said: dict[str, Any]) -> dict[str, Any]:
    run = said["run"]
    match after:
        case "start_task":
            return calling("task_status", run=run)
        case "task_status" | "wait_task" if said["status"] in ("waiting", "running"):
            return calling("wait_task", run=run, seconds=_SECONDS)
        case "task_status" | "wait_task":
            return calling("ask_graph", run=run, question=said["asked"], tokens=_TOKENS)
        case "ask_graph":
            return calling("open_citation", run=run, id="1")
    evidence = said["material"]["evidence"][0]
    return {"says": f"{run}: {evidence['place']}: {' '.join(evidence['quote'].split())}"}


def calling(name: str, **arguments: Any) -> dict[str, Any]:
    """One call, as a mind makes it."""
    return {"calls": [{"name": name, "arguments": arguments}]}
