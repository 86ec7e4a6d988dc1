"""MCP servers as they are used: one from the registry, one at an address, and one that does all it should not."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from swarm.equipment import Tool, ToolFailed
from swarm.errors import UsageError
from swarm.tools.hosted import Hosted, Lost
from swarm.tools.mcp import Http, Stdio, mcp_tools, servers_in
from tests.tools import odd_server

KEY = "hush-hush-0123456789"
ODD = str(Path(odd_server.__file__))


def odd(*args: str, **env: Any) -> Stdio:
    named = {name: str(value) for name, value in env.items()}
    return Stdio(command=sys.executable, args=(ODD, *args), env={"ODD_API_KEY": KEY} | named)


def by_name(tools: tuple[Tool, ...]) -> dict[str, Tool]:
    return {one.name: one for one in tools}


async def failure(tool: Tool, **arguments: Any) -> str:
    with pytest.raises(ToolFailed) as caught:
        await tool.call(arguments)
    assert KEY not in str(caught.value)
    return str(caught.value)


async def refusal(server: Stdio | Http, **settings: Any) -> str:
    with pytest.raises(UsageError) as caught:
        async with mcp_tools(server, **settings):
            pytest.fail("it was usable")
    said = str(caught.value)
    assert KEY not in said
    assert "\n" not in said
    return said


@asynccontextmanager
async def serving(app: Any) -> AsyncIterator[str]:
    """An application at an address of this machine, in this loop."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        config = uvicorn.Config(
            app, log_config=None, log_level=logging.CRITICAL, lifespan="off", timeout_graceful_shutdown=0
        )
        server = uvicorn.Server(config)
        config.load()
        server.lifespan = config.lifespan_class(config)
        await server.startup(sockets=[listening])
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}/mcp"
        finally:
            await server.shutdown(sockets=[listening])


class Guarded:
    """An MCP server in front of which somebody asks for a key, and remembers what else was asked."""

    def __init__(self) -> None:
        self.app = odd_server.server().streamable_http_app()
        self.asked: list[tuple[str, str]] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        given = dict(scope["headers"]).get(b"authorization", b"").decode()
        self.asked.append((scope["method"], given))
        if given == f"Bearer {KEY}":
            await self.app(scope, receive, send)
            return
        await send({"type": "http.response.start", "status": 401, "headers": [(b"content-type", b"text/plain")]})
        await send({"type": "http.response.body", "body": f"{given} is not let in".encode()})


class Older:
    """An MCP server of before 2026, which opens sessions. When it is `stuck` it answers nothing any more."""

    def __init__(self) -> None:
        self.app = odd_server.server().streamable_http_app()
        self.asked: list[str] = []
        self.stuck = False

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.asked.append(scope["method"])
        if self.stuck:
            await asyncio.sleep(3_600)
        message = await receive()
        if b"server/discover" in message.get("body", b""):
            number = json.loads(message["body"])["id"]
            said = {"jsonrpc": "2.0", "id": number, "error": {"code": -32601, "message": "Method not found"}}
            head = [(b"content-type", b"application/json")]
            await send({"type": "http.response.start", "status": 200, "headers": head})
            await send({"type": "http.response.body", "body": json.dumps(said).encode()})
            return
        first = [message]

        async def again() -> Any:
            return first.pop() if first else await receive()

        await self.app(scope, again, send)


@pytest.fixture
async def address(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Http]:
    """Where the odd server is served, and the key that it wants."""
    monkeypatch.setattr(odd_server, "KEY", KEY)
    guarded = Guarded()
    over, there = asyncio.Event(), asyncio.get_running_loop().create_future()

    async def serve() -> None:  # in a task of its own, as the SDK's server has to end in the one it began in
        async with guarded.app.router.lifespan_context(guarded.app), serving(guarded) as url:
            there.set_result(url)
            await over.wait()

    task = asyncio.create_task(serve())
    yield Http(url=await there, headers={"Authorization": f"Bearer {KEY}"})
    over.set()
    await task
    assert {given for _, given in guarded.asked} == {f"Bearer {KEY}"}


async def written(path: Path) -> int:
    """The process id that a server wrote, once it has."""
    async with asyncio.timeout(120):
        while not (path.exists() and path.read_text()):  # noqa: ASYNC110 - another process writes it
            await asyncio.sleep(0.02)
    return int(path.read_text())


async def gone(process: int) -> bool:
    """Whether a process that was ended is no more; it may take the system a moment."""
    async with asyncio.timeout(60):
        while True:
            try:
                os.kill(process, 0)
                if Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                    return True
            except (ProcessLookupError, FileNotFoundError):
                return True
            await asyncio.sleep(0.02)


# -- one from the registry


def git(folder: Path, *arguments: str) -> str:
    who = ["-c", "user.name=Ida", "-c", "user.email=ida@example.org"]
    done = subprocess.run(["git", *who, *arguments], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "repository"
    folder.mkdir()
    git(folder, "init", "-q", "-b", "main")
    (folder / "song.txt").write_text("one\ntwo\n")
    git(folder, "add", ".")
    git(folder, "commit", "-q", "-m", "The first verse")
    return folder


async def test_the_git_server_of_the_registry_works_on_a_real_repository(repository: Path) -> None:
    program = shutil.which("mcp-server-git", path=str(Path(sys.executable).parent))
    assert program is not None
    (repository / "song.txt").write_text("one\n2\n")
    (repository / "new.txt").write_text("new\n")
    at = {"repo_path": str(repository)}
    async with mcp_tools(Stdio(command=program, args=("--repository", str(repository))), prefix="my_") as found:
        tools = by_name(found)
        assert {
            "my_git_status",
            "my_git_log",
            "my_git_diff_unstaged",
            "my_git_add",
            "my_git_commit",
        } <= tools.keys()
        assert all(one.description and one.parameters["type"] == "object" for one in found)
        assert "new.txt" in await tools["my_git_status"].call(at)
        diff = await tools["my_git_diff_unstaged"].call(at)
        assert "\n-two\n+2" in diff
        await tools["my_git_add"].call(at | {"files": ["song.txt"]})
        await tools["my_git_commit"].call(at | {"message": "Sung by a tool"})
        log = await tools["my_git_log"].call(at | {"max_count": 5})
        assert log.index("Sung by a tool") < log.index("The first verse")
        assert await failure(tools["my_git_show"], repo_path=str(repository), revision="nowhere")
        assert await failure(tools["my_git_log"], repo_path=str(repository.parent))
    assert git(repository, "log", "-1", "--format=%s") == "Sung by a tool"
    assert git(repository, "status", "--porcelain") == "?? new.txt"


# -- one that misbehaves


async def test_what_a_server_says_of_its_tools_is_made_fit_for_every_provider(
    address: Http, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        async with mcp_tools(address) as found:
            tools = by_name(found)
            assert await tools["two_words__"].call({}) in ("called two words/é", "called two_words__")
            renamed = [name for name in tools if name.startswith("two_words___")]
            assert len(renamed) == 1
            assert await tools[renamed[0]].call({}) in ("called two words/é", "called two_words__")
    assert len(found) == len(odd_server.tools()) - 2, "of all pages"
    assert all(len(name) <= 64 and name != "report" for name in tools)
    assert any(name.startswith("report_") for name in tools)
    assert len(tools["long"].description) < 2_100
    assert all(char.isprintable() or char == "\n" for one in found for char in one.description)
    left_out = " ".join(record.getMessage() + str(record.__dict__) for record in caplog.records)
    assert "heavy" in left_out
    assert "cannot be the name of an argument" in left_out
    assert not tools["echo"].changes
    assert tools["fail"].changes


async def test_whatever_a_tool_gives_becomes_text_or_a_failure_in_words(address: Http) -> None:
    async with mcp_tools(address, readonly_hint=False, seconds=120) as found:
        tools = by_name(found)
        assert tools["echo"].changes, "the server is not believed"
        assert await tools["echo"].call({"text": "\N{SNOWMAN}\n\t<b>"}) == "\N{SNOWMAN}\n\t<b>"
        assert await tools["image"].call({}) == "(image, image/png, 3,000 bytes: it is not shown)\na cat"
        assert await tools["structured"].call({}) == '{"degrees": 21}'
        assert await tools["twice"].call({}) == '{"degrees": 21}'
        assert await tools["empty"].call({}) == "done"
        assert await tools["linked"].call({}) == (
            "(a resource: notes, memo://3)\nwhat stands in it\n(a resource: memo://2, which is no text)"
        )
        assert (await tools["huge"].call({})).endswith("aaa\n… (500,000 characters more)")
        assert await tools["leak"].call({}) == "the key is [redacted]"
        assert await failure(tools["fail"]) == "the disk is full: remove something"
        assert "failed, and does not say why" in await failure(tools["fail_silently"])
        assert "the MCP server" in await failure(tools["raise"])
        assert await tools["echo"].call({"text": "still there"}) == "still there"


async def test_a_call_that_hangs_ends_after_its_time_and_the_next_one_works(address: Http) -> None:
    async with Hosted(address, 120) as hosted:
        hosted._seconds = 0.1
        with pytest.raises(Lost, match=r"did not answer within 0\.1 s: ask for less"):
            await hosted.asked(lambda client: client.call_tool("hang", {}))
        hosted._seconds = 120
        found = await hosted.asked(lambda client: client.call_tool("echo", {"text": "a"}))
        assert not found.is_error


async def test_a_server_that_dies_fails_its_calls_and_says_what_it_printed() -> None:
    async with mcp_tools(odd(), only=("die", "echo", "hang"), seconds=120) as found:
        tools = by_name(found)
        hanging = asyncio.create_task(failure(tools["hang"]))
        await asyncio.sleep(0)
        said = await failure(tools["die"])
        assert said == (
            f"the MCP server {Path(sys.executable).name}: it has ended "
            "(it printed: fatal: the key [redacted] was refused)"
        )
        assert "it has ended" in await hanging
        assert "it has ended" in await failure(tools["echo"], text="a")


async def test_a_server_that_ends_at_once_is_told_with_its_last_words() -> None:
    script = f"import sys; sys.exit('no licence for {KEY}')"
    said = await refusal(Stdio(command=sys.executable, args=("-c", script), env={"ODD_API_KEY": KEY}))
    assert said.startswith(f"the MCP server {Path(sys.executable).name} cannot be used: ")
    assert said.endswith("(it printed: no licence for [redacted])")


async def test_what_is_no_server_is_told_in_one_line(tmp_path: Path) -> None:
    said = await refusal(Stdio(command="no-such-server-anywhere"))
    assert "no-such-server-anywhere cannot be run (no such file or directory)" in said
    (tmp_path / "notes.txt").write_text("notes")
    assert "cannot be run (permission denied)" in await refusal(Stdio(command=str(tmp_path / "notes.txt")))
    sleeper = Stdio(command="sleep", args=("3600",))
    assert "did not answer within 0.2 s: is it an MCP server?" in await refusal(sleeper, seconds=0.2)
    assert "is no address of an MCP server" in await refusal(Http(url=f"ftp://ida:{KEY}@a.example"))


async def test_a_tool_that_is_wanted_and_not_there_is_told_with_those_that_are(address: Http) -> None:
    said = await refusal(address, only=("echo", "wish"))
    assert "has no tool 'wish': it has echo, long, report" in said
    assert len(said) < 3_000


async def test_keys_among_the_arguments_and_the_variables_are_shown_nowhere() -> None:
    script = "import sys; sys.exit('usage: ' + ' '.join(sys.argv[1:]))"
    args = ("-c", script, "--api-key", KEY, f"--token={KEY}2", "--region", "north-eastern")
    said = await refusal(Stdio(command=sys.executable, args=args))
    assert said.endswith("(it printed: usage: --api-key [redacted] --token=[redacted] --region north-eastern)")


async def test_a_program_gets_nothing_of_this_processs_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-ant-0123456789")
    monkeypatch.setenv("SOMETHING", "private")
    script = "import os, sys; sys.exit(' '.join(sorted(os.environ)))"
    said = await refusal(Stdio(command=sys.executable, args=("-c", script), env={"MINE": "1"}))
    assert "MINE" in said
    assert "SOMETHING" not in said
    assert "ANTHROPIC" not in said


# -- the end of it


async def test_a_server_ends_with_what_fails_beside_it(tmp_path: Path) -> None:
    error = ValueError("of the block")
    with pytest.raises(ValueError, match="of the block") as caught:  # noqa: PT012 - it has to be inside
        async with mcp_tools(odd(ODD_PID=tmp_path / "pid"), only=("echo",), seconds=120):
            process = await written(tmp_path / "pid")
            raise error
    assert caught.value is error
    assert await gone(process)


DEAF = """
import os, pathlib, signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
pathlib.Path(os.environ["ODD_PID"]).write_text(str(os.getpid()))
time.sleep(3600)
"""


@pytest.mark.parametrize("args", [(ODD, "stubborn"), ("-c", DEAF)], ids=["used", "starting"])
async def test_cancelling_ends_the_server_though_it_does_not_want_to(
    tmp_path: Path, args: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    for patience in ("PROCESS_TERMINATION_TIMEOUT", "FORCE_KILL_TIMEOUT"):  # of the SDK, before it kills
        monkeypatch.setattr(f"mcp.client.stdio.{patience}", 0.2)
    server = Stdio(command=sys.executable, args=args, env={"ODD_PID": str(tmp_path / "pid")})

    used = asyncio.Event()

    async def use() -> None:
        async with mcp_tools(server, only=("hang",), seconds=600) as (hang,):
            used.set()
            await hang.call({})

    task = asyncio.create_task(use())
    process = await written(tmp_path / "pid")
    if args[0] == ODD:
        await used.wait()
    task.cancel()
    await asyncio.sleep(0)
    task.cancel()  # once more, while it ends
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await gone(process)


async def test_cancelling_one_call_cancels_no_other(address: Http) -> None:
    async with mcp_tools(address, only=("hang", "echo"), seconds=120) as found:
        tools = by_name(found)
        hanging = asyncio.ensure_future(tools["hang"].call({}))
        assert await tools["echo"].call({"text": "a"}) == "a"
        hanging.cancel()
        with pytest.raises(asyncio.CancelledError):
            await hanging
        texts = await asyncio.gather(*(tools["echo"].call({"text": f"{n}"}) for n in range(20)))
        assert texts == [f"{n}" for n in range(20)]


# -- one at an address


async def test_of_a_server_only_what_is_wanted_is_taken_and_called_as_one_likes(address: Http) -> None:
    async with mcp_tools(address, prefix="odd.", only=("echo", "fail"), seconds=120) as found:
        tools = by_name(found)
        assert tools.keys() == {"odd_echo", "odd_fail"}
        assert await tools["odd_echo"].call({"text": "over HTTP"}) == "over HTTP"


async def test_an_address_that_refuses_tells_no_key() -> None:
    guarded = Guarded()
    async with serving(guarded) as url:
        said = await refusal(Http(url=f"{url}?key={KEY}2", headers={"Authorization": f"Bearer {KEY}-wrong"}))
    assert said.startswith("the MCP server at 127.0.0.1 cannot be used: ")


async def test_an_address_where_nobody_is_or_that_is_no_mcp_server_is_told_in_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    assert "cannot be used" in await refusal(Http(url=f"http://127.0.0.1:{port}/mcp"))

    async def page(_scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/html")]})
        await send({"type": "http.response.body", "body": b"<html>Welcome</html>"})

    async with serving(page) as url:
        assert "cannot be used" in await refusal(Http(url=url))


async def test_a_server_of_before_2026_is_used_in_a_session_that_ends() -> None:
    older = Older()
    async with older.app.router.lifespan_context(older.app), serving(older) as url:
        async with mcp_tools(Http(url=url), only=("echo", "fail"), seconds=120) as found:
            tools = by_name(found)
            assert await tools["echo"].call({"text": "as before"}) == "as before"
            assert await failure(tools["fail"]) == "the disk is full: remove something"
        assert older.asked[-1] == "DELETE"


async def test_leaving_a_server_that_no_longer_answers_does_not_wait_for_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("swarm.tools.hosted._ENDING", 0.2)
    older = Older()
    async with older.app.router.lifespan_context(older.app), serving(older) as url:
        async with asyncio.timeout(60), mcp_tools(Http(url=url), only=("echo",), seconds=120) as (echo,):
            assert await echo.call({"text": "a"}) == "a"
            older.stuck = True
        assert older.asked[-1] == "DELETE"


async def test_a_file_of_servers_leads_to_their_tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ODD_PROGRAM", ODD)
    path = tmp_path / "mcp.json"
    entry = {"command": sys.executable, "args": ["${ODD_PROGRAM}"], "env": {"ODD_PID": str(tmp_path / "pid")}}
    path.write_text(json.dumps({"mcpServers": {"odd": entry}}))
    async with mcp_tools(servers_in(path)["odd"], only=("echo",), seconds=120) as (echo,):
        assert await echo.call({"text": "from a file"}) == "from a file"
        process = await written(tmp_path / "pid")
    assert await gone(process)
