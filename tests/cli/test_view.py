"""`swarm view`: its address, its mistakes, and its end. What it serves is tested in tests/inspect."""

from __future__ import annotations

import asyncio
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from swarm.testing.staged import Script, Stage, staged


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("view") / "swarm.db"
    asyncio.run(staged(path, Script(findings=20)))
    return path


def begun(store: Path, *options: str) -> tuple[subprocess.Popen[str], str]:
    """The command in a process of its own, and the address that it printed."""
    command = [str(Path(sys.executable).parent / "swarm"), "view", "last", "--store", str(store), *options]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    return process, process.stdout.readline().strip()


async def test_a_live_run_is_shown_until_somebody_ends_it_and_is_not_disturbed(tmp_path: Path) -> None:
    path = tmp_path / "swarm.db"
    async with Stage(path, Script(findings=40)) as stage:
        await stage.open()
        process, url = await asyncio.to_thread(begun, path)
        try:
            assert url.startswith("http://127.0.0.1:")
            place, _, token = url.partition("/?token=")
            assert len(token) >= 32
            await stage.work(1)

            def ask(path: str) -> Any:
                request = urllib.request.Request(f"{place}{path}", headers={"Authorization": f"Bearer {token}"})
                return urllib.request.urlopen(request, timeout=10)

            with await asyncio.to_thread(ask, "/api/overview") as reply:
                assert b'"live":true' in reply.read()
            with pytest.raises(urllib.error.HTTPError) as caught:
                await asyncio.to_thread(urllib.request.urlopen, place, None, 10)
            assert caught.value.code == 401
            caught.value.close()
            listening = await asyncio.to_thread(ask, "/api/changes")
            assert await asyncio.to_thread(listening.readline) == b"event: change\n"
            await stage.work(1)
        finally:
            process.send_signal(signal.SIGINT)
            out, err = await asyncio.to_thread(process.communicate, None, 20)
        assert (process.returncode, out, err) == (0, "", "")
        assert b"event: end" in await asyncio.to_thread(listening.read)
        listening.close()


def test_mistakes_are_told_in_one_line(swarm: Any, store: Path, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        for arguments, said in (
            (("last", "--store", str(store), "--port", port), f"cannot listen on 127.0.0.1:{port}: "),
            (("nobody", "--store", str(store)), "holds no run nobody"),
            (("last", "--store", str(tmp_path / "none.db")), "none.db does not exist"),
            (("last", "--port", "99999"), "--port"),
        ):
            done = swarm("view", *arguments)
            assert (done.returncode, done.stdout) == (2, "")
            assert said in done.stderr
            assert done.stderr.count("\n") == 1
