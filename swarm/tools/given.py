"""Tools that a user names in files: a Python file of functions, and a file of MCP servers.

A Python file is a program that its user chose to run. Its functions are tools, but for those whose name begins
with `_` and those that it imports; a `Tool` that it makes is one as it is. A plain function is taken to change
nothing: whoever has one that does makes a tool of it with `swarm.tool`. This module starts no server: `mcp_tools`
does.
"""

from __future__ import annotations

import inspect
import sys
import traceback
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from swarm.equipment import Tool
from swarm.errors import UsageError
from swarm.tools.function import tool


@dataclass(frozen=True, kw_only=True, slots=True)
class Given:
    """`tools` are those to use, `left_out` the names of those that may change something and are not wanted."""

    tools: tuple[Tool, ...]
    left_out: tuple[str, ...] = ()


@asynccontextmanager
async def given_tools(
    functions: Path | None = None, servers: Path | None = None, *, changing: bool = False
) -> AsyncIterator[Given]:
    """The tools of both files, as long as the context lasts; a server's begin with its name and `_`. Without
    `changing` only those that change nothing, as far as their makers say.

    Raises:
        UsageError: a file that cannot be used, a server that does not answer, or two tools of one name.
    """
    found = list(functions_in(functions)) if functions is not None else []
    async with AsyncExitStack() as stack:
        if servers is not None:
            from swarm.tools.mcp import mcp_tools, servers_in

            for name, server in servers_in(servers).items():
                found += await stack.enter_async_context(mcp_tools(server, prefix=f"{name}_"))
        names = [one.name for one in found]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise UsageError(f"two tools are called {twice[0]!r}: give one of them another name")
        left_out = () if changing else tuple(one.name for one in found if one.changes)
        yield Given(tools=tuple(one for one in found if one.name not in left_out), left_out=left_out)


def functions_in(path: Path) -> Iterable[Tool]:
    """The tools of a Python file, in the order in which they stand there.

    Raises:
        UsageError: it cannot be read, does not run, or holds none.
    """
    module = ModuleType(f"swarm_tools_{path.stem}")
    module.__file__ = str(path)
    try:
        code = compile(path.read_bytes(), str(path), "exec", dont_inherit=True)
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {(error.strerror or 'unknown').lower()}") from None
    except (SyntaxError, ValueError) as error:
        raise UsageError(f"{path}:{getattr(error, 'lineno', None) or 1} is not Python: {error}") from None
    sys.modules[module.__name__] = module  # dataclasses and pydantic look their own module up there
    try:
        exec(code, module.__dict__)  # noqa: S102 - a program that its user chose to run
    except Exception as error:  # whatever a user's code trips over
        lines = [one.lineno for one in traceback.extract_tb(error.__traceback__) if one.filename == str(path)]
        raise UsageError(f"{path}:{lines[-1] if lines else 1}: {type(error).__name__}: {error}") from error
    found = [one for name, value in vars(module).items() if (one := _tool(module, name, value)) is not None]
    if not found:
        raise UsageError(f"{path} has no tool: write a function with types and a docstring in it")
    return found


def _tool(module: ModuleType, name: str, value: object) -> Tool | None:
    if name.startswith("_"):
        return None
    if isinstance(value, Tool):
        return value
    if inspect.isfunction(value) and value.__module__ == module.__name__:
        return tool(value, changes=False)
    return None
