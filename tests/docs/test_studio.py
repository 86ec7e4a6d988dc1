"""What `examples/studio/langgraph.json` names is there, loads as a server loads it, and asks and answers."""

import importlib.util
import json
import re
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.pregel import Pregel
from langgraph.types import Command

ROOT = Path(__file__).parents[2]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy: a graph that is run writes beside itself."""
    ignore = shutil.ignore_patterns("__pycache__", ".*")
    for name in ("docs", "examples"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=ignore)
    return tmp_path / "examples" / "studio"


def load(folder: Path, spec: str) -> Pregel[Any, Any, Any, Any]:
    """As the format has it: a file beside the configuration, a colon, and the name of a graph in it."""
    path, _, name = spec.rpartition(":")
    assert re.fullmatch(r"\./[\w/]+\.py", path)
    found = importlib.util.spec_from_file_location(f"studio_{name}", folder / path)
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    sys.modules[found.name] = module
    found.loader.exec_module(module)
    graph = getattr(module, name)
    assert isinstance(graph, Pregel)
    return graph


async def test_each_graph_that_is_named_asks_and_answers(folder: Path) -> None:
    config = json.loads((folder / "langgraph.json").read_text())
    assert config.keys() <= {"dependencies", "graphs", "python_version", "env"}
    assert re.fullmatch(r"3\.\d+", config["python_version"])
    for dependency in config["dependencies"]:
        assert (ROOT / "examples" / "studio" / dependency).is_dir()
    for name, spec in config["graphs"].items():
        graph = load(folder, spec)
        assert graph.checkpointer is None  # the server brings its own
        for schema in (graph.get_input_jsonschema(), graph.get_output_jsonschema()):
            assert schema["type"] == "object"
        assert graph.get_context_jsonschema() is None
        assert len(graph.get_graph().nodes) == 9
        served = graph.copy(update={"checkpointer": InMemorySaver(), "name": name})
        thread: Any = {"configurable": {"thread_id": name}}
        out = await served.ainvoke({}, thread)
        if name == "swarm":
            assert [one.value["asks"] for one in out["__interrupt__"]] == ["budget"]
            out = await served.ainvoke(Command(resume={"approved": True}), thread)
        assert (out["status"], out["complete"]) == ("answered", True)
