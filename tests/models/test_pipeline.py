"""The whole of Swarm on each wire format: the same question, the same answer, whatever the network does."""

from pathlib import Path

import pytest

from swarm.models.language import LanguageModel
from swarm.run import Swarm
from swarm.task import Task
from swarm.testing.provider import Fault

QUESTION = "Who kept the lighthouse at Lime Rock?"
SENTENCE = "Ida Lewis kept the lighthouse at Lime Rock from 1858 until 1911."
FILLER = "The wind turned to the north at noon and the fishing boats came home early, short of rope and salt. "


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    folder = tmp_path / "logs"
    folder.mkdir()
    for number in range(12):
        paragraphs = [f"Day {number}, entry {entry}. " + FILLER * 3 for entry in range(12)]
        if number == 7:
            paragraphs[5] = SENTENCE
        (folder / f"day{number:02}.md").write_text(f"# Day {number}\n\n" + "\n\n".join(paragraphs) + "\n")
    return folder


async def ask(model: LanguageModel, corpus: Path):
    swarm = Swarm(model, store=corpus.parent / "store.db")
    return await swarm.run(Task(questions=(QUESTION,), paths=(str(corpus),)))


async def test_the_answer_is_found_and_cited_over_every_format(wire, connect, provider, corpus):
    provider.window = 12_000
    answer = await ask(connect(wire, window=12_000), corpus)
    assert answer.status == "answered"
    assert answer.citations[0].quote == SENTENCE
    assert answer.slices > 1
    assert answer.usage.calls == len(provider.requests), "every request was allowed and paid for once"


async def test_no_request_is_longer_than_the_provider_takes(wire, connect, provider, corpus):
    provider.window = 9_000
    answer = await ask(connect(wire, window=9_000), corpus)
    assert answer.window_peak <= 9_000
    assert answer.failures == ()
    assert answer.usage.calls == len(provider.requests)


async def test_a_bad_network_changes_nothing_but_the_number_of_requests(wire, connect, provider, corpus):
    provider.window = 12_000
    fault = Fault(status=429, headers={"retry-after": "0"})
    provider.faults += [None, fault, Fault(text="no json"), None, fault, Fault(body="<html>"), Fault(text="")]
    answer = await ask(connect(wire, window=12_000), corpus)
    assert answer.status == "answered"
    assert answer.citations[0].quote == SENTENCE
    assert answer.failures == ()


async def test_a_window_that_is_smaller_than_was_believed_splits_the_slices(wire, connect, provider, corpus):
    provider.window = 9_000
    provider.dialect = "anthropic" if wire == "messages" else "vllm"
    model = connect(wire, window=30_000)
    answer = await ask(model, corpus)
    assert model.window == 9_000
    assert answer.status == "answered"
    assert answer.citations[0].quote == SENTENCE
    assert answer.coverage.chars_unread == 0
