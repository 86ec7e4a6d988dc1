"""The shape of the package: imports point one way, `import swarm` is light, the public list is short and sorted.

The floors are the reading order that `swarm/__init__.py` tells. A module may import from its own floor and from
those below. That is what lets a reader begin at the bottom and never meet an unknown word, and lets a part be
tested, replaced or taken out without touching what stands under it.
"""

from __future__ import annotations

import ast
import graphlib
import subprocess
import sys
from pathlib import Path

import pytest

import swarm

PACKAGE = Path(swarm.__file__).parent

FLOORS = (
    {
        "errors",
        "display",
        "cards",
        "source",
        "orders",
        "task",
        "program",
        "equipment",
        "events",
        "issues",
        "reviewing",
        "tokens",
        "terms",
        "names",
        "claims",
    },
    {"prompts"},
    {"models", "store", "index", "sources", "observe", "checks", "workspace"},
    {"graph", "agenda", "tools", "experiments", "features", "reports"},
    {"limits", "views", "engine"},
    {"worker"},
    {"coordinator"},
    {
        "mounted",
        "run",
        "sync",
        "knowledge",
        "playback",
        "history",
        "steer",
        "recipe",
        "invocation",
        "memory",
        "embed",
        "remote",
    },
    {"inspect"},
    {"testing"},
    {"serve"},
    {"cli", "__main__"},
)
FLOOR_OF = {part: number for number, floor in enumerate(FLOORS) for part in floor}


def modules() -> dict[str, Path]:
    """Every module of the package by its dotted name, without the recipes that a wheel carries along."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        if parts[1] != "recipes" and parts != ("swarm", "__init__"):
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


MODULES = modules()


def imports(name: str, path: Path) -> list[tuple[int, str]]:
    """The modules of this package that `path` imports anywhere in it, with the line: late ones and those for
    type checking count too, since they are needed to understand it."""
    found = []
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            targets = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: write the whole name of the module, from `swarm` on"
            base = node.module or ""
            members = [f"{base}.{alias.name}" for alias in node.names]
            targets = [member if member in MODULES else base for member in members]
        else:
            continue
        found += [(node.lineno, target) for target in dict.fromkeys(targets) if target.split(".")[0] == "swarm"]
    return [(line, target) for line, target in found if target != name]


def part(module: str) -> str:
    return module.split(".")[1]


@pytest.mark.parametrize("name", MODULES)
def test_imports_point_down(name: str) -> None:
    own = FLOOR_OF.get(part(name))
    assert own is not None, (
        f"{name} stands on no floor: add {part(name)!r} to FLOORS in tests/test_layout.py and to the list at the "
        "top of swarm/__init__.py, as low as what it imports allows"
    )
    for line, target in imports(name, MODULES[name]):
        at = f"{MODULES[name]}:{line}"
        assert target != "swarm", f"{at}: import from the module that defines it; `swarm` itself is for users"
        floor = FLOOR_OF.get(part(target), -1)
        assert floor <= own, (
            f"{at}: {name} (floor {own}) imports {target} (floor {floor}). Imports point down only: move the "
            "thing that both need to the lower floor, or hand it in from above as an argument"
        )


def test_there_are_no_cycles() -> None:
    graph = {
        name: {target for _, target in imports(name, path) if target in MODULES} for name, path in MODULES.items()
    }
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        pytest.fail(f"modules import each other in a circle: {' <- '.join(error.args[1])}")


def test_no_folder_imports_a_folder_that_imports_it() -> None:
    graph: dict[str, set[str]] = {}
    for name, path in MODULES.items():
        targets = {part(target) for _, target in imports(name, path) if target in MODULES}
        graph.setdefault(part(name), set()).update(targets - {part(name)})
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        pytest.fail(f"folders import each other in a circle: {' <- '.join(error.args[1])}")


def test_langgraph_is_known_to_one_file_of_the_coordinator() -> None:
    knowing = [
        name
        for name, path in MODULES.items()
        for node in ast.walk(ast.parse(path.read_bytes()))
        if (isinstance(node, ast.ImportFrom) and (node.module or "").startswith("langgraph"))
        or (isinstance(node, ast.Import) and any(alias.name.startswith("langgraph") for alias in node.names))
    ]
    assert set(knowing) <= {"swarm.coordinator.machine"}


def test_structlog_is_known_to_the_log_alone() -> None:
    knowing = [name for name, path in MODULES.items() if b"import structlog" in path.read_bytes()]
    assert knowing == ["swarm.observe.log"], (
        "take get_logger from swarm.observe.log: structlog as it comes prints to stdout, and is slow to import"
    )


def test_every_module_says_what_it_is() -> None:
    silent = [
        name
        for name, path in MODULES.items()
        if path.read_bytes().strip() and not ast.get_docstring(ast.parse(path.read_bytes()))
    ]
    assert not silent, f"open each with what it is and what it does not know: {silent}"


def test_no_file_grows_past_four_hundred_lines() -> None:
    long = {name: lines for name, path in MODULES.items() if (lines := len(path.read_bytes().splitlines())) > 400}
    assert not long, f"look for the second noun that moved in: {long}"


LIGHT = """
import os, sys

class NoEnvironment(dict):
    def _refuse(self, *args, **kwargs):
        raise AssertionError("the environment was read at import")
    __getitem__ = get = __contains__ = __iter__ = items = keys = _refuse

os.environ = NoEnvironment()
os.getenv = NoEnvironment()._refuse
import swarm
heavy = ["langgraph", "langchain_core", "openai", "anthropic", "rich", "structlog", "pydantic", "apsw", "networkx"]
print([name for name in heavy if name in sys.modules])
"""


def test_importing_swarm_is_light_and_reads_no_environment(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", LIGHT], capture_output=True, text=True, cwd=tmp_path)
    assert (done.stdout, done.stderr) == ("[]\n", "")
    assert not list(tmp_path.iterdir())


def test_the_public_list_is_sorted_and_every_name_is_there() -> None:
    assert swarm.__all__ == sorted(swarm.__all__)
    for name in swarm.__all__:
        assert getattr(swarm, name) is not None


def test_the_decorator_keeps_its_name_whatever_is_imported_first() -> None:
    script = "import swarm.cli.main\nfrom swarm import recipe\nprint(callable(recipe))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout == "True\n", done.stderr
