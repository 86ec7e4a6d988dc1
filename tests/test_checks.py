"""Commands and metrics as checks, with real processes: what they say and see, and that none outlives its check."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from swarm.checks import TOLD_CHARS, Command, command, metric
from swarm.errors import UsageError
from swarm.orders import Order
from swarm.program import Program, Role

ORDER = Order(name="part one", objective="do it")


def script(text: str, cwd: Path, **more: Any) -> Command:
    """A check that is a Python program, which begins with nothing but the built-in modules."""
    return command([sys.executable, "-I", "-c", text], cwd=cwd, **more)


def alive(pid: int) -> bool:
    """Whether a process runs; one that ended and was not fetched yet does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


async def gone(pids: Sequence[int]) -> bool:
    """Whether they all end, which takes the system a moment."""
    end = time.monotonic() + 10
    while any(map(alive, pids)) and time.monotonic() < end:  # noqa: ASYNC110 - the system tells nobody
        await asyncio.sleep(0.01)
    return not any(map(alive, pids))


async def written(path: Path) -> list[int]:
    """The two process ids that `FAMILY` writes, once it has."""
    while not path.exists() or len(path.read_text().split()) < 2:  # noqa: ASYNC110 - another process writes it
        await asyncio.sleep(0.01)
    return [int(pid) for pid in path.read_text().split()]


FAMILY = """
import os, signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = os.fork()
if not child:
    time.sleep(60)
with open("pids", "w") as out:
    out.write(f"{os.getpid()} {child}")
print("begun", flush=True)
time.sleep(60)
"""


async def test_a_command_that_ends_well_finds_nothing_wrong(tmp_path: Path) -> None:
    assert await script("print('fine')", tmp_path)() is None


async def test_what_it_prints_last_is_told_with_how_it_ended(tmp_path: Path) -> None:
    text = "import sys; print('1 failed', flush=True); print('so it is', file=sys.stderr); sys.exit(3)"
    assert await script(text, tmp_path)() == "exit 3: 1 failed\nso it is"
    assert await script("raise SystemExit(1)", tmp_path)() == "exit 1"
    assert await script("import os; os.kill(os.getpid(), 9)", tmp_path)() == "ended by SIGKILL"


async def test_a_flood_of_output_is_bounded_and_its_end_is_told(tmp_path: Path) -> None:
    text = "for at in range(200_000): print('é\\x1b[31m', at)\nprint('the end'); raise SystemExit(1)"
    said = await script(text, tmp_path)()
    assert said is not None
    assert said.endswith("é 199999\nthe end")
    assert TOLD_CHARS - 20 < len(said) < TOLD_CHARS + 20


@pytest.mark.parametrize(
    ("result", "said"), [("plain ü", "plain ü"), ({"a": [1, "ü"]}, '{"a": [1, "ü"]}'), ("x" * 10**6, "1000000")]
)
async def test_a_result_comes_on_standard_input(tmp_path: Path, result: object, said: str) -> None:
    text = (
        "import sys; given = sys.stdin.buffer.read()\n"
        "sys.stdout.buffer.write(given if len(given) < 100 else b'%d' % len(given)); sys.exit(1)"
    )
    assert await script(text, tmp_path)(result, ORDER) == f"exit 1: {said}"


async def test_a_command_that_does_not_read_its_input_is_let_be(tmp_path: Path) -> None:
    assert await script("import os; os.close(0)", tmp_path)("x" * 10**6, ORDER) is None


async def test_a_check_of_the_whole_gets_no_input(tmp_path: Path) -> None:
    text = "import os, sys; sys.exit(bool(sys.stdin.read()) or 'SWARM_ORDER' in os.environ)"
    assert await script(text, tmp_path)({"part one": "result"}) is None


async def test_it_runs_in_its_folder_and_knows_its_order(tmp_path: Path) -> None:
    text = "import os, sys; print(os.getcwd(), os.environ['SWARM_ORDER']); sys.exit(1)"
    assert await script(text, tmp_path)("", ORDER) == f"exit 1: {tmp_path.resolve()} part one"


async def test_it_gets_no_secret_and_tells_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "a-key-that-looks-like-nothing")
    monkeypatch.setenv("DATABASE_URL", "postgres://ada:lovelace-1815@host/db")
    monkeypatch.setenv("INNOCENT", "sk-ant-abcdefgh12345678")
    monkeypatch.setenv("PLAIN", "stays")
    names = ["OPENAI_API_KEY", "DATABASE_URL", "INNOCENT", "PLAIN", "PATH"]
    text = f"import json, os, sys; print(json.dumps([n for n in {names} if n in os.environ])); sys.exit(1)"
    said = await script(text, tmp_path)()
    assert said is not None
    seen = json.loads(said.removeprefix("exit 1: "))
    assert seen == ["PLAIN", "PATH"]
    (tmp_path / "config").write_text("key = a-key-that-looks-like-nothing")
    told = await script("print(open('config').read()); raise SystemExit(1)", tmp_path)()
    assert told == "exit 1: key = [redacted]"


async def test_at_the_time_out_it_is_killed_with_all_that_it_started(tmp_path: Path) -> None:
    check = script(FAMILY, tmp_path, timeout_seconds=3)
    assert await check() == "took longer than 3 seconds: begun"
    assert await gone(await written(tmp_path / "pids"))


async def test_cancelled_it_is_killed_with_all_that_it_started(tmp_path: Path) -> None:
    task = asyncio.ensure_future(_awaited(script(FAMILY, tmp_path)))
    pids = await written(tmp_path / "pids")
    assert all(map(alive, pids))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await gone(pids)


async def test_cancelled_while_it_is_begun_it_is_killed_with_all_that_it_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop, begun = asyncio.get_running_loop(), asyncio.Event()
    begin = loop.subprocess_exec

    async def slowly(*arguments: Any, **more: Any) -> Any:
        made = await begin(*arguments, **more)
        begun.set()
        await asyncio.sleep(0.05)
        return made

    monkeypatch.setattr(loop, "subprocess_exec", slowly)
    task = asyncio.ensure_future(_awaited(script(FAMILY, tmp_path)))
    await begun.wait()
    pids = await written(tmp_path / "pids")
    assert all(map(alive, pids))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await gone(pids)


async def _awaited(check: Command) -> str | None:
    return await check()


async def test_what_it_leaves_behind_neither_holds_it_up_nor_lives_on(tmp_path: Path) -> None:
    text = (
        "import os, time\n"
        "if child := os.fork():\n"
        "    open('pid', 'w').write(str(child))\n"
        "else:\n"
        "    time.sleep(60)"
    )
    began = time.monotonic()
    assert await script(text, tmp_path, timeout_seconds=50)() is None
    assert time.monotonic() - began < 30
    assert await gone([int((tmp_path / "pid").read_text())])


async def test_no_more_of_it_run_at_once_than_were_allowed(tmp_path: Path) -> None:
    text = (
        "import os, sys, time\n"
        "me = f'run-{os.getpid()}'; open(me, 'w').close()\n"
        "time.sleep(0.05); others = [n for n in os.listdir() if n.startswith('run-')]\n"
        "os.unlink(me); sys.exit(len(others) > 2)"
    )
    check = script(text, tmp_path, at_once=2)
    assert await asyncio.gather(*(check("", ORDER) for _ in range(8))) == [None] * 8


def test_one_check_serves_one_loop_after_another(tmp_path: Path) -> None:
    check = script("", tmp_path, at_once=1)

    async def twice() -> list[str | None]:
        return await asyncio.gather(check(), check())

    assert asyncio.run(twice()) == asyncio.run(twice()) == [None, None]


async def test_nothing_stays_open(tmp_path: Path) -> None:
    await script("", tmp_path)()
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(5):
        await script("raise SystemExit(1)", tmp_path)("x", ORDER)
    assert len(list(Path("/proc/self/fd").iterdir())) == before


async def test_a_command_that_is_none_is_told_as_wrong_use(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"cannot be run: .*no-such-program"):
        await command(["no-such-program"], cwd=tmp_path)()
    for wrong in ("pytest -q", [], [1]):
        with pytest.raises(UsageError, match="no list of words"):
            command(wrong, cwd=tmp_path)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="folder"):
        command(["true"], cwd=tmp_path / "none")
    with pytest.raises(UsageError, match="timeout_seconds=0"):
        command(["true"], cwd=tmp_path, timeout_seconds=0)


def test_nothing_in_a_command_is_read_by_a_shell(tmp_path: Path) -> None:
    check = command(
        [sys.executable, "-c", "import sys; sys.exit(sys.argv[1])", "$(touch x); `touch x`"], cwd=tmp_path
    )
    assert asyncio.run(_awaited(check)) == "exit 1: $(touch x); `touch x`"
    assert not list(tmp_path.iterdir())


async def test_a_metric_holds_a_number_against_its_bounds_and_shows_it() -> None:
    def accuracy(results: dict[str, str]) -> float:
        return float(results["accuracy"])

    check = metric(accuracy, at_least=0.9)
    assert check.score is None
    assert await check({"accuracy": "0.71"}) == "accuracy is 0.71: 0.9 at the least"
    assert check.score == 0.71
    assert await check({"accuracy": "0.9"}) is None


async def test_less_is_better_where_there_is_only_a_ceiling() -> None:
    async def seconds(result: float) -> float:
        return result

    check = metric(seconds, at_most=2)
    assert await check(3.0, ORDER) == "seconds is 3: 2 at the most"
    assert check.score == -3
    both = metric(seconds, at_least=1, at_most=2)
    assert [await both(value) for value in (0.5, 1.5, 2.5)] == [
        "seconds is 0.5: 1 at the least",
        None,
        "seconds is 2.5: 2 at the most",
    ]
    assert both.score == 2.5


async def test_what_is_no_number_is_wrong_and_no_score() -> None:
    check = metric(lambda result: result, at_least=1)
    assert await check(float("nan")) == "the metric gave nan, which is no number"
    assert await check(None) == "the metric gave None, which is no number"
    assert check.score is None


def test_a_metric_needs_a_bound() -> None:
    with pytest.raises(UsageError, match="at_least"):
        metric(len)


def test_both_are_checks_of_roles_and_of_programs(tmp_path: Path) -> None:
    for check in (command(["true"], cwd=tmp_path), metric(len, at_least=1)):
        assert Role(check=check).check is check
        assert Program(orders=list, check=check).check is check
