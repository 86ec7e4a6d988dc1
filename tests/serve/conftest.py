"""Endpoints in processes of their own, with the simulated provider behind them, for all tests that leave them as
they are."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import anthropic
import openai
import pytest

from swarm.testing.provider import Provider
from swarm.testing.serving import Serving

KEY = "the-key-of-the-provider-0123"
WINDOW = 32_768


@pytest.fixture(scope="session")
def provider() -> Iterator[Provider]:
    with Provider(window=WINDOW, key=KEY) as provider:
        yield provider


@pytest.fixture(scope="session")
def endpoint(provider: Provider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    store: Path = tmp_path_factory.mktemp("serve") / "s.db"
    with Serving("openai:any", provider.openai_url, store=store, key=KEY) as endpoint:
        yield endpoint


@pytest.fixture(scope="session")
def claude(provider: Provider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    store: Path = tmp_path_factory.mktemp("serve") / "s.db"
    options = ["--window", str(WINDOW)]
    with Serving("anthropic:any", provider.url, store=store, key=KEY, options=options) as endpoint:
        yield endpoint


@dataclass(frozen=True)
class Alone:
    """An endpoint with no model behind, which made its token itself."""

    serving: Serving
    log: Path


LARGEST = 400_000
"""Bytes of a request to an endpoint that is alone."""


@pytest.fixture(scope="session")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Alone]:
    folder: Path = tmp_path_factory.mktemp("alone")
    options = ["--window", "8000", "--max-request-bytes", str(LARGEST), "--log-json"]
    with Serving(store=folder / "s.db", token="", options=options, log=folder / "log") as endpoint:
        assert endpoint.process.stdout is not None
        endpoint.token = endpoint.process.stdout.readline().removeprefix("  token: ").strip()
        yield Alone(endpoint, folder / "log")


@pytest.fixture(autouse=True)
def _fresh(request: pytest.FixtureRequest) -> None:
    if "provider" in request.fixturenames:
        provider = request.getfixturevalue("provider")
        provider.reset()
        provider.faults.clear()
        provider.hands = None


_CLIENTS: list[openai.OpenAI | anthropic.Anthropic] = []


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    yield
    while _CLIENTS:
        _CLIENTS.pop().close()


def of_openai(endpoint: Serving, token: str = "") -> openai.OpenAI:
    """OpenAI's SDK, closed when the test ends."""
    url, key = endpoint.openai_url, token or endpoint.token
    client = openai.OpenAI(base_url=url, api_key=key, max_retries=0, timeout=60)
    _CLIENTS.append(client)
    return client


def of_anthropic(endpoint: Serving, token: str = "") -> anthropic.Anthropic:
    """Anthropic's SDK, likewise."""
    client = anthropic.Anthropic(base_url=endpoint.url, api_key=token or endpoint.token, max_retries=0, timeout=60)
    _CLIENTS.append(client)
    return client
