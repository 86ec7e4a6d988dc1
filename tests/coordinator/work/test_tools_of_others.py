"""Sub-agents that use tools which others made: an MCP server's and LangChain's, through a whole run."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from langchain_core.tools import tool as of_langchain

from swarm import Order, Program, Role, Swarm, Task, replay
from swarm.models.scripted import Scripted
from swarm.prompts.acting import REPORT, ActPrompt
from swarm.tools.langchain import from_langchain
from swarm.tools.mcp import Stdio, mcp_tools

PROGRAM = str(Path(sys.executable).parent / "mcp-server-git")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A repository with one commit."""
    folder = tmp_path / "songs"
    who = ("-c", "user.name=Ida", "-c", "user.email=ida@example.org")
    subprocess.run(["git", "init", "-q", folder], check=True)
    subprocess.run(["git", "-C", folder, *who, "commit", "-q", "--allow-empty", "-m", "Sung in A"], check=True)
    return folder


async def test_a_sub_agent_uses_an_mcp_tool_and_a_langchain_tool_and_goes_another_way_when_one_fails(
    tmp_path: Path, folder: Path
) -> None:
    @of_langchain
    def shout(text: str) -> str:
        """Shout."""
        return text.upper()

    def act(prompt: ActPrompt) -> dict[str, Any]:
        def call(name: str, **arguments: Any) -> dict[str, Any]:
            return {"calls": [{"id": "c", "name": name, "arguments": json.dumps(arguments)}]}

        results = [one for turn in prompt.turns for one in turn.results]
        match len(results):
            case 0:
                return call("git_log", repo_path=str(tmp_path / "elsewhere"))
            case 1:
                assert results[0].failed
                return call("git_log", repo_path=str(folder))
            case 2:
                (line,) = [line for line in results[1].text.splitlines() if "Sung" in line]
                return call("shout", text=line)
            case 3:
                return call("shout", words="again")
        assert results[3].failed
        assert "text: is missing" in results[3].text
        found = {"claim": "It was sung in A.", "quote": "SUNG IN A", "relevance": 1}
        return call(REPORT, status="done", result=results[2].text.strip(), summary="", findings=[found])

    model = Scripted({"act": act})
    store = tmp_path / "swarm.db"
    async with mcp_tools(Stdio(command=PROGRAM), only=("git_log",), seconds=120) as tools:
        plan = Program(
            orders=lambda: [Order(name="song", objective="Which key was it sung in?")],
            roles=(Role(tools=(*tools, from_langchain(shout, changes=False))),),
            answer=lambda results: results["song"],
        )
        task = Task(questions=("Which key?",), paths=(), mode="work")
        answer = await Swarm(model, store=store).run(task, run_id="run", plan=plan)
    assert "SUNG IN A" in answer.text
    assert (answer.findings, answer.rejected_quotes) == (1, 0)
    (seen,) = {prompt.toolset for prompt in model.calls}
    assert seen
    assert {spec.name for spec in model.calls[0].tools} >= {"git_log", "shout", "read_result"}
    again = await replay("run", store)
    assert (again.text, again.graph) == (answer.text, answer.graph), "without the server"
