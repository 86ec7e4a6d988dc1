"""A provider in a process of its own serves, counts, and goes when whoever started it goes."""

import subprocess
import sys
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest

from swarm.errors import RateLimited, Unavailable
from swarm.testing.process import Apart, settings
from swarm.testing.provider import Provider


async def test_it_serves_and_counts_over_http(connect, read):
    with Apart(window=8_000, latency=0.01, requests=1, period=30) as provider:
        model = connect("messages", provider)
        completion = await model.call(read(), max_output=99)
        with pytest.raises(RateLimited):
            await model.call(read(), max_output=99)
        provider.wait_for(requests=2, replies=1, quiet=True)
        counts = provider.counts()
        assert (counts["requests"], counts["replies"], counts["repeats"]) == (2, 1, 1)
        assert list(counts["contents"].values()) == [[2, 1]]
        ledger = provider.ledger()
        assert ledger["allowed"] == [1, 0]
        assert ledger["input_tokens"][0] == completion.usage.input_tokens
        provider.reset()
        assert provider.counts()["requests"] == 0
        with pytest.raises(HTTPError, match="504"):
            provider.wait_for(requests=1, seconds=0)


async def test_faults_come_at_the_rate_and_of_the_kinds_that_were_asked_for(connect, read):
    with Apart(faults=1, kinds="529,connection reset", seed=3) as provider:
        model = connect("chat", provider)
        for number in range(6):
            with pytest.raises(Unavailable):
                await model.call(read(f"Ida {number} kept the lighthouse."), max_output=99)
        outcomes = provider.counts()["outcomes"]
        assert outcomes["error"] + outcomes["broken"] == 6
        assert set(outcomes) == {"error", "broken"}


def test_it_ends_when_whoever_started_it_is_gone():
    process = subprocess.Popen(
        [sys.executable, "-m", "swarm.testing.provider"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdout.readline().startswith(b"http://127.0.0.1:")
    process.communicate(timeout=20)  # closes the pipe
    assert process.returncode == 0


def test_the_command_line_says_what_the_constructor_does():
    given, port = settings(["--port", "8080", "--window", "9000", "--tokens", "1000", "--period", "2"])
    assert port == 8080
    provider = Provider(**given)
    assert provider.window == 9_000
    assert (provider.allowance.tokens, provider.allowance.requests) == (1_000, None)
    assert provider.allowance.period_seconds == 2
    given, _ = settings(["--recall", "0.5", "--fabricates", "0.1", "--token-seconds", "0.02", "--seed", "3"])
    reader = Provider(**given)
    assert (reader.ability.recall, reader.ability.fabricates) == (0.5, 0.1)
    assert (reader.token_seconds, reader.seed) == (0.02, 3)


def test_an_address_that_is_not_there_is_not_found(provider):
    with pytest.raises(HTTPError, match="404"):
        urlopen(f"{provider.url}/swarm/secrets")
    with pytest.raises(HTTPError, match="404"):
        urlopen(f"{provider.url}/v2")
