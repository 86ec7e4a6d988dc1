"""Windows and prices by name, without a network."""

import pytest

from swarm.models.anthropic import Anthropic
from swarm.models.base import FREE
from swarm.models.prices import REPLY, UNKNOWN_WINDOW, known, served


def test_a_published_model_has_its_price_and_window_and_says_from_when():
    facts = known("anthropic", "claude-opus-5-5")
    assert 0 < facts.price.cached_usd < facts.price.input_usd < facts.price.output_usd
    assert facts.price.known
    assert facts.price.as_of
    assert facts.window == 1_000_000
    assert facts.max_output == REPLY


def test_a_dated_name_is_the_same_model():
    assert known("anthropic", "claude-haiku-4-5-20251001") == known("anthropic", "claude-haiku-4-5")


@pytest.mark.parametrize(("provider", "model"), [("openai", "gpt-6.1-sol"), ("anthropic", "claude-haiku-5-5")])
def test_the_window_stops_where_long_prompts_begin_to_cost_more(provider, model):
    usual = known(provider, model)
    long = known(provider, model, window=900_000)
    assert usual.window < 300_000
    assert long.window == 900_000
    assert long.price.input_usd > usual.price.input_usd
    assert long.price.output_usd > usual.price.output_usd


def test_a_model_that_is_newer_than_the_tables_is_priced_from_its_announcement():
    assert known("openai", "gpt-6.2-sol").price.input_usd == 2.0
    assert known("openai", "gpt-6.2-sol", window=500_000).price.input_usd == 4.0


@pytest.mark.parametrize("provider", ["anthropic", "openai", "no-such-provider"])
def test_an_unknown_model_costs_the_most_there_is_so_that_a_limit_holds(provider):
    facts = known(provider, "no-such-model")
    assert not facts.price.known
    assert facts.price.input_usd >= 15.0
    assert facts.window == UNKNOWN_WINDOW


def test_a_new_name_of_an_old_family_has_the_familys_window():
    assert known("anthropic", "claude-zebra-9").window == 200_000
    assert known("openai", "gpt-9").window == 272_000


@pytest.mark.parametrize("model", ["gpt-4", "gpt-4-turbo", "gpt-3.5-turbo", "claude-3-haiku-20240307"])
def test_an_older_model_is_not_asked_for_more_than_it_can_write(model):
    assert known("anthropic" if model.startswith("claude") else "openai", model).max_output == 4_096


@pytest.mark.parametrize("url", ["http://localhost:11434/v1", "http://127.0.0.1:8000/v1", "http://[::1]:8000/v1"])
def test_what_runs_on_this_machine_is_free(url):
    assert served(url, "llama3").price == FREE


def test_a_look_alike_of_this_machine_is_not_free():
    assert served("http://localhost.example.com/v1", "llama3").price != FREE
    assert served("http://127.example.com/v1", "llama3").price != FREE


def test_a_hosted_model_behind_a_proxy_on_this_machine_costs_what_it_costs():
    assert served("http://127.0.0.1:4000/v1", "gpt-4o-mini").price == known("openai", "gpt-4o-mini").price
    assert Anthropic("claude-sonnet-4-5", base_url="http://127.0.0.1:4000").price.input_usd > 0


def test_the_worst_case_of_a_call_counts_what_writing_to_the_cache_costs():
    price = Anthropic("claude-sonnet-4-5", api_key="none").price
    assert price.worst(1_000_000, 0) == price.input_usd * 1.25
    assert price.cost(1_000_000, 0) == price.input_usd
