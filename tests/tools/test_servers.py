"""Files that list MCP servers, as people have them already; and what is said of each mistake in one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from swarm.errors import UsageError
from swarm.tools.servers import Http, Stdio, is_address, servers_in


def write(folder: Path, servers: Any) -> Path:
    path = folder / "mcp.json"
    path.write_text(json.dumps({"mcpServers": servers}))
    return path


def mistakes(path: Path) -> list[str]:
    with pytest.raises(UsageError) as caught:
        servers_in(path)
    return [line.removeprefix(f"{path}: mcpServers.") for line in str(caught.value).splitlines()]


def test_programs_and_addresses_are_read_by_name(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        {
            "git": {"command": "mcp-server-git", "args": ["-r", "."], "env": {"A": "b"}, "cwd": "/tmp"},
            "wiki": {"type": "http", "url": "https://wiki.example/mcp", "headers": {"X-Key": "k"}},
            "off": {"command": "x", "disabled": True},
            "more": {"type": "stdio", "command": "x", "autoApprove": ["everything"]},
        },
    )
    assert servers_in(str(path)) == {
        "git": Stdio(command="mcp-server-git", args=("-r", "."), env={"A": "b"}, cwd="/tmp"),
        "wiki": Http(url="https://wiki.example/mcp", headers={"X-Key": "k"}),
        "more": Stdio(command="x"),
    }


def test_variables_of_the_environment_are_put_in_their_places(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WIKI_HOST", "wiki.example")
    monkeypatch.setenv("WIKI_EMPTY", "")
    monkeypatch.delenv("WIKI_NONE", raising=False)
    entry = {
        "url": "https://${WIKI_HOST}/${WIKI_NONE:-mcp}",
        "headers": {
            "A": "${WIKI_EMPTY:-x}",
            "B": "${WIKI_NONE:-}",
            "C": "$WIKI_HOST $${",
            "D": "${WIKI_HOST}${WIKI_HOST}",
        },
    }
    server = servers_in(write(tmp_path, {"wiki": entry}))["wiki"]
    assert server == Http(
        url="https://wiki.example/mcp",
        headers={"A": "x", "B": "", "C": "$WIKI_HOST $${", "D": "wiki.examplewiki.example"},
    )


def test_what_a_variable_holds_is_not_filled_in_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WIKI_A", "${WIKI_B}")
    monkeypatch.setenv("WIKI_B", "secret")
    server = servers_in(write(tmp_path, {"wiki": {"command": "${WIKI_A}"}}))["wiki"]
    assert server == Stdio(command="${WIKI_B}")


def test_a_variable_that_is_not_set_is_told_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("WIKI_TOKEN", raising=False)
    path = write(tmp_path, {"wiki": {"command": "x", "args": ["-t", "${WIKI_TOKEN}"]}})
    assert mistakes(path) == ["wiki.args[1] names ${WIKI_TOKEN}, which is not set: export WIKI_TOKEN=…"]


@pytest.mark.parametrize(
    ("entry", "says"),
    [
        ("npx", 'has to be an object with "command" or "url"'),
        ({}, 'needs "command" for a program or "url" for an address: one of them'),
        (
            {"command": "x", "url": "http://a"},
            'needs "command" for a program or "url" for an address: one of them',
        ),
        ({"command": ""}, ".command has to be a text that is not empty"),
        ({"command": ["npx", "x"]}, ".command has to be a text that is not empty"),
        ({"command": "x", "args": "-v"}, ".args has to be a list of texts"),
        ({"command": "x", "args": [1]}, ".args has to be a list of texts"),
        ({"command": "x", "env": ["A=b"]}, ".env has to be an object of texts"),
        ({"command": "x", "env": {"PORT": 80}}, ".env.PORT has to be a text"),
        ({"command": "x", "type": "http"}, '.type has to be "stdio" beside "command"'),
        ({"url": "wiki.example"}, ".url has to begin with http:// or https:// and name a host"),
        ({"url": "file:///etc/passwd"}, ".url has to begin with http:// or https:// and name a host"),
        (
            {"url": "http://a", "type": "sse"},
            '.type has to be "http": of the two ways over HTTP the newer is spoken',
        ),
    ],
)
def test_a_mistake_is_told_with_its_field(tmp_path: Path, entry: Any, says: str) -> None:
    (line,) = mistakes(write(tmp_path, {"a": entry}))
    assert line.removeprefix("a").lstrip() == says


def test_all_mistakes_of_a_file_are_told_at_once(tmp_path: Path) -> None:
    path = write(tmp_path, {"a": {}, "b": {"command": 1, "args": 2}, "c": {"command": "fine"}})
    assert len(mistakes(path)) == 3


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"{", "mcp.json:1 is not JSON"),
        (b'{\n"mcpServers": {,}}', "mcp.json:2 is not JSON"),
        (b"[" * 100_000, "is not JSON: it is nested too deeply"),
        (b"[]", "lists no servers: it has to be"),
        (b'{"servers": {}}', "lists no servers: it has to be"),
        (b'{"mcpServers": []}', "lists no servers: it has to be"),
        (b"\xff\xfe\xfa", "is not UTF-8: save it so"),
    ],
)
def test_what_is_no_file_of_servers_is_told_in_one_line(tmp_path: Path, content: bytes, says: str) -> None:
    path = tmp_path / "mcp.json"
    path.write_bytes(content)
    with pytest.raises(UsageError) as caught:
        servers_in(path)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_there_is_told_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read: no such file or directory"):
        servers_in(tmp_path / "none.json")
    with pytest.raises(UsageError, match="cannot be read: is a directory"):
        servers_in(tmp_path)


def test_printing_a_server_shows_none_of_its_secrets() -> None:
    program = Stdio(command="x", args=("--api-key", "hush-hush-1"), env={"TOKEN": "hush-hush-2"})
    address = Http(url="https://a.example/?key=hush-hush-3", headers={"Authorization": "Bearer hush-hush-4"})
    assert "hush" not in f"{program!r} {address!r}"


@pytest.mark.parametrize(
    ("url", "is_one"),
    [
        ("https://a.example", True),
        ("http://[::1]:80/mcp", True),
        ("http://", False),
        ("ws://a", False),
        ("http://[", False),
        ("", False),
    ],
)
def test_an_address_names_a_host_of_the_web(url: str, is_one: bool) -> None:
    assert is_address(url) is is_one
