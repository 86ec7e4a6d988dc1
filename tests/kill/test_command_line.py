"""`swarm ask` is killed, and `swarm resume`, or the same command again, goes on where it was: what was finished is
not sent again, by the server's own count."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from swarm.testing.provider import Provider

PLACES = 4


def write_corpus(folder: Path) -> Path:
    folder.mkdir()
    for number in range(12):
        lines = [f"Mill {number} ground corn in the year {1800 + n}, and was still in winter." for n in range(90)]
        lines.insert(50, f"The keeper of lighthouse {number} was called Ida Lewis the {number}th.")
        (folder / f"{number}.txt").write_text("\n\n".join(lines), "utf-8")
    return folder


def command(corpus: Path, store: Path, provider: Provider) -> list[str]:
    return [
        sys.executable, "-m", "swarm", "ask", "Who was the keeper of the lighthouse?", str(corpus), "--json",
        "--store", str(store), "--model", "openai:any", "--base-url", provider.openai_url, "--window", "6000",
        "--concurrency", str(PLACES), "--quiet",
    ]  # fmt: skip


def resumption(store: Path) -> list[str]:
    """The command that goes on with the only run in a store."""
    swarm = [sys.executable, "-m", "swarm"]
    listed = subprocess.run([*swarm, "runs", "--store", str(store), "--json"], capture_output=True, check=True)
    ((run,),) = [json.loads(listed.stdout)["runs"]]
    return [*swarm, "resume", run["run_id"], "--store", str(store), "--json", "--quiet"]


def finish(run: list[str]) -> dict[str, Any]:
    done = subprocess.run(run, capture_output=True, text=True, check=False, env=os.environ.copy())
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


@pytest.mark.parametrize("after", [pytest.param(1, marks=pytest.mark.soak), 8])
def test_calls_that_were_finished_before_a_kill_are_not_sent_again(after: int, tmp_path: Path) -> None:
    corpus = write_corpus(tmp_path / "corpus")
    with Provider(window=6_000) as provider:
        undisturbed = finish(command(corpus, tmp_path / "undisturbed.db", provider))
        total = len(provider.requests)
        assert total > 12
        provider.requests.clear()
        store = tmp_path / "killed.db"
        run = command(corpus, store, provider)
        kill_once_it_sent(run, after, provider)
        answer = finish(run if after == 1 else resumption(store))
        sent = Counter(json.dumps(request, sort_keys=True) for request in provider.requests)
        assert answer["graph"] == undisturbed["graph"]
        assert answer["answer"] == undisturbed["answer"]
        assert answer["coverage"]["chars_unread"] == 0
        assert len(sent) == total
        assert sum(count - 1 for count in sent.values()) <= PLACES


def kill_once_it_sent(run: list[str], requests: int, provider: Provider) -> None:
    process = subprocess.Popen(run, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while len(provider.requests) < requests and process.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.001)
    process.send_signal(signal.SIGKILL)
    process.wait()
