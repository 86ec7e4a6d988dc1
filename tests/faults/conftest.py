"""A small corpus, a provider that fails as it is told, and Swarm with the real SDKs between them; waits are
short."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from swarm.limits import attempts, breaker, lanes
from swarm.models.anthropic import Anthropic
from swarm.models.base import Model
from swarm.models.openai import OpenAI
from swarm.run import Swarm
from swarm.task import Answer, Limits, Task
from swarm.testing.provider import Provider

QUESTION = "Who was the keeper of the lighthouse?"
WINDOWS = {"messages": 6_700, "chat": 7_900, "responses": 7_900}  # each holds one file at a time
TRIES, SLOWED = 3, 5
READ_SECONDS = 0.25


def write_corpus(folder: Path, files: int, lines: int = 40) -> Path:
    """Files of one slice each, each with one line that answers the question and one that nothing quotes."""
    folder.mkdir(exist_ok=True)
    for number in range(files):
        text = [
            f"Mill {number} ground corn in the year {1800 + n}, and was still in winter." for n in range(lines)
        ]
        keeper = f"The keeper of lighthouse {number} was called Ida Lewis the {number}th."
        text.insert(lines // 2, keeper)
        (folder / f"{number:03}.txt").write_text("\n\n".join(text), "utf-8")
    return folder


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is waited for between tries is milliseconds, and tries are few: the numbers are tested elsewhere."""
    monkeypatch.setattr(attempts, "ATTEMPTS", TRIES)
    monkeypatch.setattr(attempts, "SLOWED", SLOWED)
    monkeypatch.setattr(attempts, "_jitter", lambda tries: 0.001 * tries)
    monkeypatch.setattr(breaker, "_FIRST_SECONDS", 0.01)
    monkeypatch.setattr(breaker, "_LONGEST_SECONDS", 0.05)
    monkeypatch.setattr(lanes, "PATIENCE_SECONDS", 1.0)


@pytest.fixture(scope="session")
def _server() -> Iterator[Provider]:
    with Provider() as provider:
        yield provider


@pytest.fixture
def provider(_server: Provider) -> Provider:
    """A provider with nothing set and nothing asked."""
    fresh = vars(Provider())
    vars(_server).update({name: fresh[name] for name in fresh if name != "url"})
    return _server


@pytest.fixture(params=["messages", "chat", "responses"])
def wire(request: pytest.FixtureRequest) -> str:
    return request.param


def connected(wire: str, provider: Provider) -> Model:
    settings: dict[str, Any] = {"window": WINDOWS[wire], "read_seconds": READ_SECONDS}
    if wire == "messages":
        return Anthropic("claude-test", base_url=provider.url, **settings)
    api: Any = wire
    return OpenAI("test", api=api, base_url=provider.openai_url, **settings)


class Asked:
    """One corpus, one store, one provider: to ask, and to go on."""

    def __init__(self, wire: str, provider: Provider, folder: Path, files: int, concurrency: int) -> None:
        self.corpus = write_corpus(folder / "corpus", files)
        self.chars = sum(len(path.read_text("utf-8")) for path in self.corpus.iterdir())
        self._swarm = lambda: Swarm(connected(wire, provider), store=folder / "swarm.db", concurrency=concurrency)

    async def run(self, **limits: Any) -> Answer:
        task = Task(questions=(QUESTION,), paths=(str(self.corpus),), limits=Limits(**limits))
        return await self._swarm().run(task)

    async def resume(self, answer: Answer) -> Answer:
        return await self._swarm().resume(answer.run_id)


@pytest.fixture
def asked(wire: str, provider: Provider, tmp_path: Path) -> Callable[..., Asked]:
    return lambda files=6, concurrency=4: Asked(wire, provider, tmp_path, files, concurrency)


@pytest.fixture
def adds_up() -> Callable[[Answer, int], None]:
    """Checks that an answer accounts for every character, and that what is unread is what its failures list."""

    def check(answer: Answer, chars: int) -> None:
        ledger = answer.coverage
        assert ledger.chars_total == chars
        assert ledger.chars_read + ledger.chars_skipped + ledger.chars_unread == chars
        lost = {(span.source, span.start, span.end) for failure in answer.failures for span in failure.spans}
        assert sum(end - start for _, start, end in lost) == ledger.chars_unread
        assert all(failure.reason for failure in answer.failures)
        assert (ledger.chars_unread == 0) == (not answer.failures)

    return check
