"""Windows and prices by name, without a network."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from swarm.errors import UsageError
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


# The user's own prices

TOML = """
as_of = 2026-11-20

["openai:gpt-6.2-sol"]
input = 1
output = 9.5
cached = 0.25

["llama-on-our-own-machine"]
as_of = "2026-10-01"
input = 0.125
output = 0.5
written = 0.75
"""


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Write a file of prices and make it the user's."""

    def write(text: str, name: str = "prices.toml") -> Path:
        path = tmp_path / name
        path.write_text(text)
        monkeypatch.setenv("SWARM_PRICES", str(path))
        return path

    return write


def test_a_price_of_the_users_own_comes_before_the_published_one_and_says_its_date(own):
    own(TOML)
    price = known("openai", "gpt-6.2-sol").price
    assert (price.input_usd, price.output_usd, price.cached_usd) == (1.0, 9.5, 0.25)
    assert price.as_of == "2026-11-20 (prices.toml)"
    assert price.known
    assert known("anthropic", "gpt-6.2-sol").price.output_usd == 10.0, "a whole name is of one provider's model"


def test_a_bare_name_holds_for_any_server_also_on_this_machine(own):
    own(TOML)
    for url in ("http://localhost:8000/v1", "https://llm.example.com/v1"):
        facts = served(url, "llama-on-our-own-machine")
        assert (facts.price.input_usd, facts.price.written_usd) == (0.125, 0.75)
        assert facts.price.cached_usd == 0.125
        assert facts.price.as_of.startswith("2026-10-01")
    assert Anthropic("llama-on-our-own-machine", base_url="http://127.0.0.1:4000").price.output_usd == 0.5


def test_prices_in_json_are_the_same(own):
    own('{"as_of": "2026-11-20", "gpt-6.2-sol": {"input": 1, "output": 9.5}}', "prices.json")
    assert known("openai", "gpt-6.2-sol").price.input_usd == 1.0


def test_a_model_that_the_file_does_not_name_has_its_published_price(own):
    before = known("anthropic", "claude-opus-5-5")
    own(TOML)
    assert known("anthropic", "claude-opus-5-5") == before


@pytest.mark.parametrize(
    ("text", "name", "says"),
    [
        ('as_of = 2026-11-20\n\n["g"]\ninput = "two"\noutput = 1', "p.toml", "p.toml:3: g: input is 'two': give"),
        ('as_of = 2026-11-20\n["g"]\ninput = -1.0\noutput = 1', "p.toml", "p.toml:2: g: input is -1.0: give"),
        ('as_of = 2026-11-20\n["g"]\ninput = inf\noutput = 1', "p.toml", "p.toml:2: g: input is inf: give"),
        ('as_of = 2026-11-20\n["g"]\ninput = 2', "p.toml", "p.toml:2: g: output is missing"),
        ('["g"]\ninput = 2\noutput = 1', "p.toml", "p.toml:1: g: as_of is missing: give the day"),
        ('as_of = "May"\n["g"]\ninput = 2\noutput = 1', "p.toml", "p.toml:2: g: as_of is 'May'"),
        ('as_of = 2026-11-20\n["g"]\nprice = 2', "p.toml", "p.toml:2: g: input is missing"),
        ('as_of = 2026-11-20\n["g"]\ninput=1\noutput=1\nin=2', "p.toml", "p.toml:2: g: in is none of input,"),
        ("as_of = 2026-11-20\ng = 3", "p.toml", "p.toml:2: g: give input and output"),
        ('["g"', "p.toml", "p.toml: not TOML: "),
        ('{\n"g": }', "p.json", "p.json:2: not JSON: "),
        ("[]", "p.json", "p.json:1: prices are an object"),
        ("", "p.yaml", "end the name of the file in .toml or .json"),
    ],
)
def test_a_mistake_in_the_file_is_told_in_one_line_with_its_place(own, text, name, says):
    own(text, name)
    with pytest.raises(UsageError) as caught:
        known("openai", "gpt-6.1-sol")
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_of_prices_that_is_not_there_is_a_mistake(monkeypatch):
    monkeypatch.setenv("SWARM_PRICES", "nowhere.toml")
    with pytest.raises(UsageError, match=r"prices in nowhere.toml cannot be read: No such file"):
        known("openai", "gpt-6.1-sol")


def test_published_prices_have_a_date():
    assert re.match(r"20\d\d-\d\d-\d\d \(genai-prices ", known("anthropic", "claude-opus-5-5").price.as_of)
