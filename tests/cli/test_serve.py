"""`swarm serve`: mistakes on its command line, each as one line. What it serves is tested in tests/serve."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from swarm.cli.serve import _tell
from swarm.serve.app import Serving
from swarm.serve.clients import Clients
from swarm.serve.upstream import behind


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--host", "0.0.0.0"), "--open-to-network"),
        (("--host", "no.such.host.invalid", "--open-to-network", "--port", "0"), "cannot listen on"),
        (("--base-url", "http://localhost:1"), "need --model openai:NAME or another"),
        (("--max-output", "100"), "need --model openai:NAME or another"),
        (("--model", "opnai:x"), "no endpoint can be made of 'opnai:x'"),
        (("--model", "openai:x", "--base-url", "here"), "no address of a server"),
        (("--token-file", "none"), "the token in none cannot be read"),
        (("--clients", "none"), "clients in none cannot be read"),
        (("--port", "99999"), "--port"),
    ],
)
def test_a_mistake_is_told_in_one_line_before_anything_is_served(
    swarm: Any, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...], said: str
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    done = swarm("serve", *options)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr
    assert done.stderr.count("\n") == 1
    assert "while attempting" not in done.stderr


def test_a_port_that_is_taken_is_told_once_with_what_to_do(swarm: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = swarm("serve", "--port", str(port))
    assert done.returncode == 2
    assert done.stderr.startswith(f"swarm: cannot listen on 127.0.0.1:{port}: ")
    assert done.stderr.endswith("; --port 0 takes a free one\n")
    assert done.stderr.count("in use") == 1


def test_a_window_that_is_a_guess_is_told_as_one(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    told = []
    for window in (None, 32_768):
        to = behind("openai:own", base_url="http://127.0.0.1:9/v1", window=window)
        _tell(Serving(clients=Clients([]), to=to, window=window), "127.0.0.1", 8_787, None, here=True)
        told.append(capsys.readouterr().out)
    assert ["--window says otherwise" in one for one in told] == [True, False]
