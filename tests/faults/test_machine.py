"""What happens to the machine under a run: full disk, no disk, no memory, a wrong clock, another process, signals.

Each ends in one line and no traceback; what was finished is not sent again, by the server's count; and to go on
comes to the same answer.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import apsw
import pytest

from swarm.run import Swarm
from swarm.store import opening
from swarm.store.opening import open_store
from swarm.store.sqlite import SqliteJournal
from swarm.task import Task
from swarm.testing.faults import always
from swarm.testing.provider import Provider

PLACES = 4
Ask = Callable[..., "subprocess.Popen[str]"]
PROGRAM = ("-m", "swarm")
QUESTION = "Who was the keeper of the lighthouse?"


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("corpus")
    for number in range(24):
        lines = [f"Mill {number} ground corn in the year {1800 + n}, and was still in winter." for n in range(40)]
        lines.insert(20, f"The keeper of lighthouse {number} was called Ida Lewis the {number}th.")
        (folder / f"{number:02}.txt").write_text("\n\n".join(lines), "utf-8")
    return folder


@pytest.fixture(scope="module")
def undisturbed(_server: Provider, corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, int]:
    """The answer when nothing happens, and how many different requests it takes."""
    vars(_server).update({name: value for name, value in vars(Provider()).items() if name != "url"})
    answer = answer_of(asking(_server, corpus, tmp_path_factory.mktemp("store") / "swarm.db"))
    return answer["answer"], _server.tally.requests


@pytest.fixture
def ask(undisturbed: object, provider: Provider, corpus: Path, tmp_path: Path) -> Ask:
    """Starts the real `swarm ask`, in a process of its own."""
    return lambda store=tmp_path / "swarm.db": asking(provider, corpus, store)


def asking(provider: Provider, corpus: Path, store: Path, *python: str) -> subprocess.Popen[str]:
    model = ["--model", "openai:any", "--base-url", provider.openai_url, "--window", "7700"]
    words = ["ask", QUESTION, str(corpus), *model, "--concurrency", str(PLACES), "--store", str(store)]
    return spawn(*words, python=python or PROGRAM)


def spawn(*words: str, python: Sequence[str] = PROGRAM) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, *python, *words, "--json", "--quiet"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ.copy(),
    )  # fmt: skip


def one_line(err: str) -> str:
    """What was said on stderr: one line at the most."""
    assert "Traceback" not in err
    assert len(err.splitlines()) <= 1, err
    return err


def ended(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    """Exit code, stdout and stderr."""
    out, err = process.communicate(timeout=60)
    return process.returncode, out, one_line(err)


def answer_of(process: subprocess.Popen[str]) -> dict[str, Any]:
    code, out, err = ended(process)
    assert code == 0, err
    answer: dict[str, Any] = json.loads(out)
    assert answer["coverage"]["chars_unread"] == 0
    return answer


def run_in(store: Path) -> str:
    with open_store(store, read_only=True) as opened:
        return opened.journal.accounts()[-1].run


def goes_on(store: Path, provider, expected: tuple[str, int], repeats: int) -> None:
    """`swarm resume` comes to the same answer and sends again, at the most, what was in flight."""
    answer = answer_of(spawn("resume", run_in(store), "--store", str(store)))
    assert answer["answer"] == expected[0]
    assert len(provider.tally.received) == expected[1]
    assert provider.tally.requests <= expected[1] + repeats


def test_a_full_disk_is_one_line_and_the_run_goes_on_when_there_is_room(ask, provider, tmp_path, undisturbed):
    store = tmp_path / "swarm.db"
    provider.latency = always(0.03)
    process = ask()
    provider.tally.wait_for(replies=6)
    largest = max(path.stat().st_size for path in tmp_path.glob("swarm.db*"))
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (largest, largest))  # no file grows any more
    code, _, err = ended(process)
    assert code != 0
    assert str(store) in err
    assert "disk" in err
    assert provider.tally.requests < undisturbed[1]
    goes_on(store, provider, undisturbed, PLACES)


@pytest.mark.parametrize("place", ["/proc/swarm/swarm.db", "/proc/swarm.db", "a folder", "a file/swarm.db"])
def test_a_store_that_cannot_be_written_is_one_line_and_nothing_is_sent(place, ask, provider, tmp_path):
    (tmp_path / "a folder").mkdir()
    (tmp_path / "a file").write_text("not a folder")
    code, _, err = ended(ask(tmp_path / place))
    assert code == 2
    assert place in err
    assert "--store" in err
    assert provider.tally.requests == 0


def test_a_store_that_another_process_has_is_one_line_and_nothing_is_sent(ask, provider, tmp_path):
    with open_store(tmp_path / "swarm.db"):
        code, _, err = ended(ask())
    assert code == 2
    assert "in use by another process" in err
    assert provider.tally.requests == 0
    answer_of(ask())


@pytest.mark.soak  # waits for SQLite's patience with a lock, several times over
def test_a_program_that_locks_the_store_in_mid_run_is_one_line_and_the_run_goes_on(
    ask, provider, tmp_path, undisturbed
):
    provider.latency = always(0.02)
    process = ask()
    provider.tally.wait_for(replies=6)
    other = apsw.Connection(str(tmp_path / "swarm.db"))
    other.set_busy_timeout(5_000)
    other.execute("BEGIN IMMEDIATE")
    _, err = process.communicate(timeout=60)
    other.execute("ROLLBACK")
    other.close()
    assert process.returncode != 0
    goes_on(tmp_path / "swarm.db", provider, undisturbed, PLACES)
    assert "in use by another process" in one_line(err)


async def test_a_clock_that_is_set_back_in_mid_run_changes_nothing(provider, corpus, tmp_path, monkeypatch):
    from swarm.models.openai import OpenAI

    def swarm(name: str) -> Swarm:
        model = OpenAI("any", base_url=provider.openai_url, window=7_700)
        return Swarm(model, store=tmp_path / name, concurrency=PLACES)

    task = Task(questions=(QUESTION,), paths=(str(corpus),))
    expected = await swarm("undisturbed.db").run(task)
    requests = provider.tally.requests
    provider.reset()

    going = swarm("swarm.db")
    read = 0

    def back_by_a_year() -> float:
        nonlocal read
        read += 1
        if provider.tally.requests > 12:
            going.stop()
        return time.time() - (365 * 86_400 if provider.tally.requests > 8 else 0)

    monkeypatch.setattr(opening, "SqliteJournal", lambda database: SqliteJournal(database, back_by_a_year))
    first = await going.run(task)
    assert (first.status, first.stopped) == ("partial", "interrupted")
    assert read > 12
    whole = await swarm("swarm.db").resume(first.run_id)
    assert (whole.text, whole.graph, whole.coverage) == (expected.text, expected.graph, expected.coverage)
    assert provider.tally.requests == len(provider.tally.received) == requests


@pytest.mark.soak  # `tests/cli/test_stopping.py` has the short of it
def test_sigterm_finishes_what_is_in_flight_and_nothing_is_sent_twice(ask, provider, tmp_path, undisturbed):
    provider.latency = always(0.03)
    process = ask()
    provider.tally.wait_for(replies=6)
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGTERM
    assert "Traceback" not in err
    assert "swarm resume" in err
    assert json.loads(out)["status"] == "partial"
    assert provider.tally.requests < undisturbed[1]
    goes_on(tmp_path / "swarm.db", provider, undisturbed, 0)


@pytest.mark.soak  # `tests/cli/test_stopping.py` has the short of it
def test_ctrl_c_twice_leaves_at_once_and_only_what_was_in_flight_is_sent_again(
    ask, provider, tmp_path, undisturbed
):
    provider.latency = always(0.03)
    process = ask()
    provider.tally.wait_for(replies=6)
    process.send_signal(signal.SIGINT)
    time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=10)
    assert process.returncode == 128 + signal.SIGINT
    assert "Traceback" not in err
    assert "swarm resume" in err
    provider.tally.wait_for(quiet=True)
    goes_on(tmp_path / "swarm.db", provider, undisturbed, PLACES)


STARVED = """
import resource, swarm.worker.read as worker
from swarm.__main__ import run

resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))
materials = []

class Material(worker.Material):
    def __init__(self, passages):
        super().__init__(passages)
        materials.append(bytearray(8 << 30) if len(materials) == 8 else None)

worker.Material = Material
run()
"""


@pytest.mark.soak
def test_a_process_that_runs_out_of_memory_is_one_line_and_the_run_goes_on(
    provider, corpus, tmp_path, undisturbed
):
    """The ninth reply that is read wants more memory than the process may have."""
    process = asking(provider, corpus, tmp_path / "swarm.db", "-c", STARVED)
    _, err = process.communicate(timeout=60)
    assert process.returncode != 0
    assert provider.tally.replies >= 9
    goes_on(tmp_path / "swarm.db", provider, undisturbed, PLACES)
    assert "memory" in one_line(err)
