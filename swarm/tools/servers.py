"""Where MCP servers are: a program of this machine or an address, and files that list them.

The files are of the shape that other programs have, too: `{"mcpServers": {NAME: {"command", "args", "env"} or
{"url", "headers"}}}`. `${NAME}` in one of their texts stands for a variable of the environment, and
`${NAME:-otherwise}` for what to take where there is none. This module starts nothing and connects to nothing.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from swarm.errors import UsageError

_VARIABLE = re.compile(r"\$\{([A-Za-z_]\w*)(?::-([^}]*))?\}")
_LARGEST = 1 << 20  # bytes of a file of servers
_HTTP = ("http", "streamable-http", "streamableHttp", "streamable_http")


@dataclass(frozen=True, kw_only=True, slots=True)
class Stdio:
    """A server that is a program: it is started, and ends with what uses it. `env` is added to PATH, HOME and the
    like; of this process's environment it sees nothing else."""

    command: str
    args: tuple[str, ...] = field(default=(), repr=False)
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    cwd: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Http:
    """A server at an address, which speaks streamable HTTP."""

    url: str = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


def servers_in(path: str | Path) -> dict[str, Stdio | Http]:
    """The servers that a file lists, by name, but for those that it calls disabled.

    Raises:
        UsageError: a line for each mistake, with the file and the field.
    """
    found: dict[str, Stdio | Http] = {}
    wrong: list[str] = []
    for name, entry in _listed(path).items():
        one = _Entry(f"{path}: mcpServers.{name}", entry, wrong)
        before = len(wrong)
        server = one.server()
        if server is not None and len(wrong) == before:
            found[name] = server
    if wrong:
        raise UsageError("\n".join(wrong))
    return found


def _listed(path: str | Path) -> dict[str, Any]:
    try:
        with Path(path).open("rb") as file:
            data = json.loads(file.read(_LARGEST))
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {(error.strerror or 'unknown').lower()}") from None
    except UnicodeDecodeError:
        raise UsageError(f"{path} is not UTF-8: save it so") from None
    except (ValueError, RecursionError) as error:
        where = f":{error.lineno}" if isinstance(error, json.JSONDecodeError) else ""
        said = error.msg if isinstance(error, json.JSONDecodeError) else "it is nested too deeply"
        raise UsageError(f"{path}{where} is not JSON: {said}") from None
    servers = data.get("mcpServers") if isinstance(data, dict) else None
    if not isinstance(servers, dict):
        raise UsageError(f'{path} lists no servers: it has to be {{"mcpServers": {{NAME: {{"command": …}}}}}}')
    return servers


class _Entry:
    """One server of a file, on its way; mistakes go to `wrong`."""

    def __init__(self, where: str, entry: Any, wrong: list[str]) -> None:
        self._where, self._entry, self._wrong = where, entry, wrong

    def server(self) -> Stdio | Http | None:
        if not isinstance(self._entry, dict):
            self._mistake("", 'has to be an object with "command" or "url"')
            return None
        if self._entry.get("disabled") is True:
            return None
        if ("command" in self._entry) == ("url" in self._entry):
            self._mistake("", 'needs "command" for a program or "url" for an address: one of them')
            return None
        return self._program() if "command" in self._entry else self._address()

    def _program(self) -> Stdio:
        if self._entry.get("type", "stdio") != "stdio":
            self._mistake("type", 'has to be "stdio" beside "command"')
        command, cwd = self._text("command"), self._text("cwd") if "cwd" in self._entry else None
        return Stdio(command=command, args=self._texts("args"), env=self._named("env"), cwd=cwd)

    def _address(self) -> Http:
        if self._entry.get("type", "http") not in _HTTP:
            self._mistake("type", 'has to be "http": of the two ways over HTTP the newer is spoken')
        url = self._text("url")
        if url and not is_address(url):
            self._mistake("url", "has to begin with http:// or https:// and name a host")
        return Http(url=url, headers=self._named("headers"))

    def _text(self, field_: str) -> str:
        value = self._entry[field_]
        if not isinstance(value, str) or not value:
            self._mistake(field_, "has to be a text that is not empty")
            return ""
        return self._filled(field_, value)

    def _texts(self, field_: str) -> tuple[str, ...]:
        values = self._entry.get(field_, [])
        if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
            self._mistake(field_, "has to be a list of texts")
            return ()
        return tuple(self._filled(f"{field_}[{number}]", value) for number, value in enumerate(values))

    def _named(self, field_: str) -> dict[str, str]:
        values = self._entry.get(field_, {})
        if not isinstance(values, dict):
            self._mistake(field_, "has to be an object of texts")
            return {}
        if odd := [name for name, value in values.items() if not isinstance(value, str)]:
            self._mistake(f"{field_}.{odd[0]}", "has to be a text")
            return {}
        return {name: self._filled(f"{field_}.{name}", value) for name, value in values.items()}

    def _filled(self, field_: str, value: str) -> str:
        """With the variables in it put in their places."""

        def one(match: re.Match[str]) -> str:
            found = os.environ.get(match[1]) or match[2]
            if found is None:
                self._mistake(field_, f"names {match[0]}, which is not set: export {match[1]}=…")
            return found or ""

        return _VARIABLE.sub(one, value)

    def _mistake(self, field_: str, said: str) -> None:
        self._wrong.append(f"{self._where}{'.' if field_ else ''}{field_} {said}")


def is_address(url: str) -> bool:
    """Whether it is one of the web."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname)
