"""What clients may spend: set aside before anything is sent, settled after it, and known after a restart."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import anthropic
import httpx2
import openai
import pytest

from swarm.errors import StoreError, UsageError
from swarm.models.base import Price
from swarm.serve.clients import Client, read_clients
from swarm.serve.conversation import run_of
from swarm.serve.request import Wrong
from swarm.serve.spending import Account
from swarm.store.opening import open_store
from swarm.store.shared import shared_store
from swarm.task import Usage
from swarm.testing.faults import Fault
from swarm.testing.provider import Provider
from swarm.testing.serving import Serving
from tests.serve.conftest import KEY, of_anthropic, of_openai

MESSAGES = [{"role": "user", "content": "Anna lives in Lisbon. Where does Anna live?"}]
WORST = 0.5
"""Dollars, about, that a reply of 500 tokens may come to."""
PRICES = 'as_of = 2026-11-20\n["openai:any"]\ninput = 1.0\noutput = 1000.0\n'
CLIENTS = {
    "poor": "cost_usd = 0.4",
    "rich": "cost_usd = 1000.0",
    "leaves": "cost_usd = 1000.0",
    "careful": "cost_usd = 1000.0\ncost_usd_per_request = 0.2",
    "sparing": "cost_usd = 1000.0\ntokens = 1000",
    "slow": "cost_usd = 1000.0\nconcurrent = 1\nrequests_per_minute = 2",
    "unlucky": "cost_usd = 0.55",
}
ANNA = "token-of-anna-0123456789"
BEN = "token-of-ben-0123456789"


def token(name: str) -> str:
    return f"token-of-{name}-0123456789"


@contextmanager
def serving(folder: Path, provider: Provider, clients: Mapping[str, str]) -> Iterator[Serving]:
    """An endpoint for clients with these limits."""
    (folder / "prices.toml").write_text(PRICES)
    told = [
        f'[[client]]\nname = "{name}"\ntoken = "{token(name)}"\n{limits}\n' for name, limits in clients.items()
    ]
    (folder / "clients.toml").write_text("".join(told))
    options = ["--prices", f"{folder}/prices.toml", "--clients", f"{folder}/clients.toml"]
    with Serving("openai:any", provider.openai_url, store=folder / "s.db", key=KEY, options=options) as endpoint:
        yield endpoint


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("spending")


@pytest.fixture(scope="module")
def endpoint(provider: Provider, folder: Path) -> Iterator[Serving]:
    with serving(folder, provider, CLIENTS) as endpoint:
        yield endpoint


def ask(endpoint: Serving, client: str, **more: Any) -> openai.types.chat.ChatCompletion:
    given = {"model": "any", "messages": MESSAGES, "max_completion_tokens": 500} | more
    return of_openai(endpoint, token(client)).chat.completions.create(**given)


def spent(folder: Path, client: str, calls: int = 0) -> Usage:
    """What a client has spent, once so many calls are recorded: the reply is there a moment before."""
    until = monotonic() + 30
    while True:
        with open_store(folder / "s.db", read_only=True) as store:
            usage = store.journal.spent(run_of(client))
        if usage.calls >= calls or monotonic() > until:
            return usage
        sleep(0.01)


def test_what_may_pass_the_limit_is_refused_before_it_is_sent(endpoint: Serving, provider: Provider) -> None:
    with pytest.raises(openai.APIStatusError, match=r"limit of \$0\.40") as caught:
        ask(endpoint, "poor")
    assert (caught.value.status_code, caught.value.code) == (402, "insufficient_quota")
    assert caught.value.response.headers["x-should-retry"] == "false"
    with pytest.raises(anthropic.APIStatusError) as other:
        of_anthropic(endpoint, token("poor")).messages.create(model="any", max_tokens=500, messages=MESSAGES)
    assert other.value.body["error"]["type"] == "billing_error"
    assert provider.tally.requests == 0
    assert ask(endpoint, "rich").choices  # one client's limit is none of another's
    assert ask(endpoint, "poor", max_completion_tokens=100).choices


def test_a_sum_holds_over_a_kill_and_what_was_on_its_way_counts_at_its_worst(
    tmp_path: Path, provider: Provider
) -> None:
    with serving(tmp_path, provider, {"anna": "cost_usd = 0.6", "ben": "cost_usd = 5.0"}) as endpoint:
        assert ask(endpoint, "anna").usage is not None
        for _ in ask(endpoint, "anna", stream=True):
            pass
        of_openai(endpoint, token("anna")).responses.create(model="any", input="Hello?", max_output_tokens=100)
        billed = provider.tally.output_tokens
        provider.faults.append(Fault(after=1, stall=True))
        with ThreadPoolExecutor() as threads:
            asking = threads.submit(ask, endpoint, "ben")
            provider.tally.wait_for(requests=4)
            endpoint.kill()
            assert isinstance(asking.exception(), openai.APIError)
    paid = spent(tmp_path, "anna", calls=3)
    assert (paid.calls, paid.output_tokens) == (3, billed)
    assert paid.cost_usd == pytest.approx((paid.input_tokens * 1.0 + paid.output_tokens * 1000.0) / 1e6)
    assert spent(tmp_path, "ben").calls == 0
    less = f"cost_usd = {paid.cost_usd + WORST - 0.01:.4f}"
    with serving(tmp_path, provider, {"anna": less, "ben": "cost_usd = 0.9"}) as endpoint:
        for client in ("anna", "ben"):
            with pytest.raises(openai.APIStatusError, match="nothing was sent"):
                ask(endpoint, client)
        assert spent(tmp_path, "ben").cost_usd == pytest.approx(WORST, rel=0.05)


def test_a_client_that_goes_away_ends_the_call_behind_and_is_charged_the_worst(
    endpoint: Serving, provider: Provider, folder: Path
) -> None:
    provider.faults.append(Fault(after=2, stall=True))
    body = {"model": "any", "messages": MESSAGES, "max_tokens": 500, "stream": True}
    headers = {"x-api-key": token("leaves")}
    with httpx2.stream("POST", f"{endpoint.openai_url}/chat/completions", json=body, headers=headers) as reply:
        next(reply.iter_bytes())
    provider.tally.wait_for(requests=1, quiet=True)
    assert provider.tally.outcomes["broken"] == 1
    assert spent(folder, "leaves", calls=1).cost_usd == pytest.approx(WORST, rel=0.05)


def test_one_that_goes_away_before_the_first_byte_is_waited_for_no_longer(
    endpoint: Serving, provider: Provider, folder: Path
) -> None:
    before = spent(folder, "rich").calls
    provider.faults.append(Fault(stall=True))
    client = of_openai(endpoint, token("rich")).with_options(timeout=0.5)
    with pytest.raises(openai.APITimeoutError):
        client.responses.create(model="any", input="Hello?", max_output_tokens=10)
    provider.tally.wait_for(requests=1, quiet=True)
    assert ask(endpoint, "rich", max_completion_tokens=10).choices
    assert spent(folder, "rich", calls=before + 2).calls == before + 2


def test_a_request_has_a_limit_of_its_own(endpoint: Serving) -> None:
    with pytest.raises(openai.APIStatusError, match="for one request"):
        ask(endpoint, "careful")
    assert ask(endpoint, "careful", max_completion_tokens=150).choices


def test_tokens_are_limited_too(endpoint: Serving) -> None:
    assert ask(endpoint, "sparing").choices
    with pytest.raises(openai.APIStatusError, match="limit of 1,000 tokens"):
        ask(endpoint, "sparing", max_completion_tokens=990)


def test_a_limited_client_gets_a_reply_that_has_a_bound(endpoint: Serving, provider: Provider) -> None:
    client = of_openai(endpoint, token("rich"))
    client.responses.create(model="any", input="Hello?")
    assert provider.requests[-1]["max_output_tokens"] == 8_192
    client.chat.completions.create(model="any", messages=MESSAGES)
    assert provider.requests[-1]["max_tokens"] == 8_192
    with pytest.raises(openai.BadRequestError, match="web_search"):
        client.responses.create(model="any", input="Hello?", tools=[{"type": "web_search"}])
    with pytest.raises(openai.BadRequestError, match="tier"):
        client.responses.create(model="any", input="Hello?", service_tier="priority")


def test_requests_at_a_time_and_in_a_minute_are_limited(endpoint: Serving, provider: Provider) -> None:
    provider.faults.append(Fault(wait=2.0))
    with ThreadPoolExecutor() as threads:
        first = threads.submit(ask, endpoint, "slow")
        provider.tally.wait_for(requests=1)
        with pytest.raises(openai.RateLimitError, match="at a time") as caught:
            ask(endpoint, "slow")
        assert int(caught.value.response.headers["retry-after"]) >= 1
        assert ask(endpoint, "rich").choices
        assert first.result().choices
    assert ask(endpoint, "slow").choices
    with pytest.raises(openai.RateLimitError, match="2 requests a minute") as caught:
        ask(endpoint, "slow")
    assert 1 <= int(caught.value.response.headers["retry-after"]) <= 61


def test_a_request_that_failed_at_the_provider_costs_nothing(
    endpoint: Serving, provider: Provider, folder: Path
) -> None:
    provider.faults.append(Fault(status=500, message="broken"))
    with pytest.raises(openai.InternalServerError):
        ask(endpoint, "unlucky")
    assert ask(endpoint, "unlucky").choices
    assert spent(folder, "unlucky", calls=1).calls == 1


@pytest.mark.parametrize(
    ("clients", "words"),
    [
        ("", "one [[client]]"),
        ("x = 1", "one [[client]]"),
        ("[[client]]\nname = 'a'", "token or token_sha256"),
        ("[[client]]\nname = 'a b'\ntoken = 'token-of-anna-0123456789'", "letters"),
        ("[[client]]\nname = 'a'\ntoken = 'short'", "fewer than"),
        ("[[client]]\nname = 'a'\ntoken_sha256 = 'ab'", "64 hexadecimal"),
        ("[[client]]\nname = 'a'\ntoken = 'token-of-anna-0123456789'\ncost = 1", "cost"),
        ("[[client]]\nname = 'a'\ntoken = 'token-of-anna-0123456789'\ncost_usd = -1.0", "cost_usd"),
        ("[[client]]\nname = 'a'\ntoken = 'token-of-anna-0123456789'\n" * 2, "same name"),
    ],
)
def test_a_file_of_clients_that_says_what_cannot_be_is_refused(tmp_path: Path, clients: str, words: str) -> None:
    (tmp_path / "c.toml").write_text(clients)
    with pytest.raises(UsageError) as caught:
        read_clients(tmp_path / "c.toml")
    assert words in str(caught.value)
    assert "0123456789" not in str(caught.value)


def test_a_token_may_be_given_as_its_hash(tmp_path: Path) -> None:
    digest = sha256(ANNA.encode()).hexdigest()
    (tmp_path / "c.toml").write_text(f'[[client]]\nname = "anna"\ntoken_sha256 = "{digest}"\n')
    clients = read_clients(tmp_path / "c.toml", cost_usd=5.0)
    found = clients.known(ANNA)
    assert found is not None
    assert found.cost_usd == 5.0
    assert clients.known(BEN) is None
    assert clients.known("") is None
    assert clients.known(None) is None
    assert digest not in repr(found)


async def test_what_the_store_refuses_costs_nothing(tmp_path: Path) -> None:
    with shared_store(tmp_path / "s.db") as opened:
        client = Client(name="anna", digest=b"", cost_usd=2.0)
        account = Account(client, opened.store.journal, "openai:any", recorded=True)

        async def refused(_: object) -> None:
            raise StoreError("the disk is full")

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(opened.store.journal, "begin_call", refused)
            with pytest.raises(Wrong, match="nothing was sent"):
                async with account.holding(Price(input_usd=1e6, output_usd=0, cached_usd=0), 1, 0):
                    pass
        assert account.budget.spent.cost_usd == 0.0
