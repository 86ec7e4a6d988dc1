"""The endpoint and a long conversation, over real boundaries: `swarm serve` and the simulated provider are
processes of their own, and the clients are the SDKs of OpenAI and Anthropic."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import anthropic
import apsw
import openai
import pytest

from swarm.testing.process import Apart
from swarm.testing.provider import Provider
from swarm.testing.serving import Serving
from tests.serve.conftest import Alone
from tests.serve.stories import ASKS, FACT, TWO_WINDOWS, story

WINDOW = 8_000
ANNA, BEN = "swarm-a-token-of-annas-own", "swarm-a-token-of-bens-own"
LONG = 150_000
"""Words of some 200,000 tokens."""
MIDDLE = story(60_000, seed=2)
"""Some 80,000 tokens."""
_FEW, _SOME = 250_000, 600_000
"""Tokens that one reading of `MIDDLE`, of `LONG`, may come to at the most; and not enough for two."""
SHORT, OTHER = story(16_000, seed=1), story(16_000, seed=3)


def endpoint(model: str, base_url: str | None, folder: Path, tokens: int = 10_000_000) -> Serving:
    """An endpoint with two clients before a small window, each of which may spend so many tokens."""
    told = [
        f'[[client]]\nname = "{name}"\ntoken = "{token}"\ntokens = {tokens}\n'
        for name, token in (("anna", ANNA), ("ben", BEN))
    ]
    (folder / "clients.toml").write_text("".join(told))
    options = ["--window", str(WINDOW), "--concurrency", "4", "--clients", str(folder / "clients.toml")]
    return Serving(model, base_url, store=folder / "s.db", options=options)


@pytest.fixture(scope="module")
def behind() -> Iterator[Apart]:
    with Apart(window=WINDOW) as provider:
        yield provider


@pytest.fixture(scope="module")
def shared(behind: Apart, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    with endpoint("openai:gpt-oss-120b", behind.openai_url, tmp_path_factory.mktemp("fold")) as here:
        yield here


def by_openai(here: Serving, messages: list[dict[str, Any]], token: str = ANNA) -> tuple[str, list[Any], Any]:
    """Text, annotations and usage of a streamed reply."""
    text, found, used = "", [], None
    with openai.OpenAI(base_url=here.openai_url, api_key=token, max_retries=0) as client:
        stream = client.chat.completions.create(
            model="any", messages=messages, stream=True, max_tokens=400, stream_options={"include_usage": True}
        )  # type: ignore[call-overload]
        for chunk in stream:
            used = chunk.usage or used
            for choice in chunk.choices:
                text += choice.delta.content or ""
                found += (choice.delta.model_extra or {}).get("annotations") or ()
    return text, [one["url_citation"] for one in found], used


def cites(annotation: dict[str, Any], messages: list[dict[str, Any]]) -> str:
    """The characters of the request that an annotation leads to."""
    where = annotation["source"]
    content = str(messages[where["turn"]]["content"])
    quote = content[where["start"] : where["end"]]
    assert quote == annotation["cited_text"]
    return quote


def user(text: str) -> dict[str, Any]:
    return {"role": "user", "content": text}


def model(text: str) -> dict[str, Any]:
    return {"role": "assistant", "content": text}


def test_eighty_thousand_tokens_before_a_window_of_eight_and_the_turn_after(
    shared: Serving, behind: Apart
) -> None:
    behind.reset()
    messages = [user(f"{MIDDLE}\n\n{ASKS}")]
    text, found, used = by_openai(shared, messages)
    first = behind.counts()
    assert "48213" in text
    assert any(FACT in cites(one, messages) for one in found)
    assert all(text[one["start_index"] : one["end_index"]].startswith("[") for one in found)
    assert used.prompt_tokens == first["input_tokens"] > 80_000
    assert first["outcomes"] == {"answered": first["requests"]}

    messages += [model(text), user("Which lantern stood on the copper bridge?")]
    _, _, used = by_openai(shared, messages)
    second = behind.counts()
    assert second["requests"] == first["requests"] + 1
    assert second["input_tokens"] - first["input_tokens"] == used.prompt_tokens < WINDOW
    assert second["repeats"] == 0


def test_anthropic_s_sdk_gets_citations_of_a_block(claude: Serving, provider: Provider) -> None:
    messages = [user(f"{TWO_WINDOWS}\n\n{ASKS}")]
    with anthropic.Anthropic(base_url=claude.url, api_key=claude.token, max_retries=0) as client:
        with client.messages.stream(model="any", max_tokens=400, messages=messages) as stream:  # type: ignore[arg-type]
            streamed = "".join(stream.text_stream)
            made = stream.get_final_message()
        (block,) = made.content
        assert block.type == "text"
        assert "48213" in streamed == block.text
        quotes = []
        for one in block.citations or ():
            assert one.type == "char_location"
            quotes.append(messages[one.document_index]["content"][one.start_char_index : one.end_char_index])
            assert quotes[-1] == one.cited_text
        assert any(FACT in quote for quote in quotes)
        assert made.usage.input_tokens + (made.usage.cache_read_input_tokens or 0) > 40_000
        whole = client.messages.create(model="any", max_tokens=400, messages=messages)  # type: ignore[arg-type]
        assert whole.content[0].text == streamed  # type: ignore[union-attr]
        assert provider.tally.outcomes == {"answered": provider.tally.requests}


def test_responses_are_annotated_in_events_and_at_the_end(shared: Serving) -> None:
    with (
        openai.OpenAI(base_url=shared.openai_url, api_key=ANNA, max_retries=0) as client,
        client.responses.stream(model="any", input=f"{SHORT}\n\n{ASKS}", max_output_tokens=400) as stream,
    ):
        added = [event for event in stream if event.type == "response.output_text.annotation.added"]
        made = stream.get_final_response()
    (item,) = made.output
    (part,) = item.content  # type: ignore[union-attr]
    assert len(part.annotations) == len(added) > 0  # type: ignore[union-attr]
    assert any(FACT in one.cited_text for one in part.annotations)  # type: ignore[union-attr]
    assert "48213" in made.output_text


def test_a_server_that_is_killed_in_mid_reading_goes_on_and_sends_nothing_finished_again(tmp_path: Path) -> None:
    messages = [user(f"{MIDDLE}\n\n{ASKS}")]
    with Apart(window=WINDOW, latency=0.05) as provider:
        with endpoint("openai-chat:gpt-oss-120b", provider.openai_url, tmp_path, _FEW) as here:
            asking = threading.Thread(target=_until_it_breaks, args=(lambda: by_openai(here, messages),))
            asking.start()
            provider.wait_for(replies=5)
            here.kill()
            asking.join()
        provider.wait_for(quiet=True)
        finished, before = _finished(tmp_path / "s.db"), provider.counts()
        assert finished >= 4
        with endpoint("openai-chat:gpt-oss-120b", provider.openai_url, tmp_path, _FEW) as here:
            text, _, _ = by_openai(here, messages)
        after = provider.counts()
    assert "48213" in text
    assert after["requests"] - before["requests"] == after["distinct"] - finished
    assert after["input_tokens"] > 80_000  # all was read: what was lost counts as it is known, and not at its most
    assert after["repeats"] <= 4  # replies that had left, and had not come to the journal when it was killed


@pytest.mark.soak
def test_a_client_that_goes_away_stops_the_reading_and_what_was_read_is_kept(tmp_path: Path) -> None:
    messages = [user(f"{story(LONG)}\n\n{ASKS}")]

    async def goes_away(url: str, provider: Apart) -> None:
        async with openai.AsyncOpenAI(base_url=url, api_key=ANNA, max_retries=0) as client:
            asking = asyncio.create_task(client.chat.completions.create(model="any", messages=messages))  # type: ignore[arg-type]
            await asyncio.to_thread(provider.wait_for, replies=5)
            asking.cancel()
            with suppress(asyncio.CancelledError):
                await asking

    with (
        Apart(window=WINDOW, latency=0.2) as provider,
        endpoint("openai-chat:gpt-oss-120b", provider.openai_url, tmp_path, _SOME) as here,
    ):
        asyncio.run(goes_away(here.openai_url, provider))
        provider.wait_for(quiet=True)
        before = provider.counts()
        text, _, _ = by_openai(here, messages)
        after = provider.counts()
    assert "48213" in text
    assert before["requests"] < after["distinct"]  # it stopped before all was read
    assert after["input_tokens"] > 200_000  # and went on to the end: what it may spend was not used up by leaving
    assert after["repeats"] <= 4


def test_two_clients_at_once_with_the_same_conversation(shared: Serving, behind: Apart) -> None:
    behind.reset()
    messages = [user(f"{OTHER}\n\n{ASKS}")]
    said: dict[str, Any] = {}
    threads = [
        threading.Thread(target=lambda token=token: said.update({token: by_openai(shared, messages, token)}))
        for token in (ANNA, BEN)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for text, found, used in said.values():
        assert "48213" in text
        assert any(FACT in cites(one, messages) for one in found)
        assert used.prompt_tokens > 20_000
    assert len(said) == 2
    assert sum(used.prompt_tokens for _, _, used in said.values()) == behind.counts()["input_tokens"]


def test_with_no_model_behind_the_answer_is_swarm_s_own(alone: Alone) -> None:
    messages, token = [user(f"{SHORT}\n\n{ASKS}")], alone.serving.token
    text, found, _ = by_openai(alone.serving, messages, token)
    assert text.startswith(FACT)
    assert FACT in cites(found[0], messages)
    text, found, _ = by_openai(alone.serving, [user("Who painted the town hall of Gent?")], token)
    assert (text, found) == ("Nothing in this conversation answers that.", [])


@pytest.mark.soak
def test_a_million_tokens_by_the_benchmark(tmp_path: Path) -> None:
    for number in range(10):
        (tmp_path / f"{number}.txt").write_text(story(80_000, seed=number, fact=""))
    bench = Path(__file__).parents[1] / "bench" / "unbounded.py"
    words = [sys.executable, str(bench), "--data", str(tmp_path), "--tokens", "1000000"]
    done = subprocess.run(words, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr


def _until_it_breaks(ask: Callable[[], Any]) -> None:
    with suppress(openai.OpenAIError):
        ask()


def _finished(store: Path) -> int:
    with closing(apsw.Connection(str(store))) as connection:
        ((count,),) = connection.execute("SELECT count(DISTINCT call) FROM outcomes WHERE reply IS NOT NULL")
    return int(count)
