"""`swarm mcp`: its options, its mistakes, and what it tells people. What it serves is tested in tests/embed."""

from __future__ import annotations

import os
import pty
import socket
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from swarm.embed.mcp_http import listening, token_in, url_of
from swarm.errors import UsageError


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--token-file", "t"), "--token-file is for --http"),
        (("--root", "nowhere"), "nowhere is no folder"),
        (("--http", "0.0.0.0:0"), "this machine alone"),
        (("--http", "example.org:80"), "this machine alone"),
        (("--http", "here"), "names no port"),
        (("--http", "127.0.0.1:99999"), "names no port"),
        (("--model", "nothing"), "nothing"),
        (("--max-calls", "-1"), "max-calls"),
        (("--most", "0"), "most"),
        (("--max-total-usd", "-1"), "max-total-usd"),
        (("--max-total-usd", "nan"), "max-total-usd"),
    ],
)
def test_a_mistake_is_told_in_one_line_before_anything_is_served(
    swarm: Any, options: tuple[str, ...], said: str
) -> None:
    done = swarm("mcp", *options)
    assert done.returncode == 2
    assert said in done.stderr
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""


def test_a_server_without_a_client_ends_at_once_and_leaves_nothing_behind(process: Any, tmp_path: Path) -> None:
    done = process("mcp")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert not list(tmp_path.iterdir())


def test_the_default_limit_is_told_where_a_model_costs_money(process: Any) -> None:
    model = ("--model", "anthropic:claude-sonnet-5")
    done = process("mcp", *model, ANTHROPIC_API_KEY="sk-ant-nobody-0123456789")
    assert (done.returncode, done.stdout) == (0, "")
    assert "each task may spend $5.00, the default: see --max-cost-usd" in done.stderr
    done = process("mcp", *model, "--max-cost-usd", "1", ANTHROPIC_API_KEY="sk-ant-nobody-0123456789")
    assert done.stderr == ""


def test_a_token_is_made_for_its_owner_alone_and_kept(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "mcp.token"
    token = token_in(path)
    assert len(token) >= 32
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert token_in(path) == token


@pytest.mark.parametrize("text", ["", "short", "two words are no token", "é" * 20])
def test_what_is_no_token_is_not_taken(tmp_path: Path, text: str) -> None:
    path = tmp_path / "mcp.token"
    path.write_text(text, "utf-8")
    with pytest.raises(UsageError, match="holds no token"):
        token_in(path)


def test_an_address_that_is_taken_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(UsageError, match="cannot be listened on"):
            listening(str(port))


def test_any_free_port_is_taken_for_none() -> None:
    with listening("localhost:0") as listens:
        url = url_of(listens)
    assert url.startswith("http://127.0.0.1:")
    assert os.path.basename(url) == "mcp"  # noqa: PTH119 - a path of the web


def test_whoever_starts_it_in_a_terminal_is_told_what_it_waits_for(tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    program = [str(Path(sys.executable).parent / "swarm"), "mcp"]
    with subprocess.Popen(program, stdin=theirs, stderr=subprocess.PIPE, cwd=tmp_path) as server:
        os.close(theirs)
        assert server.stderr is not None
        told = server.stderr.readline().decode()
        os.write(ours, b"\x04")  # Ctrl-D
        assert server.wait(30) == 0
    os.close(ours)
    assert told.startswith("swarm mcp: waits for a client")
    assert "Ctrl-C ends it" in told
