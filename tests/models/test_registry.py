"""From what a user types to a model, or to one line that says what to type."""

import subprocess
import sys

import pytest

from swarm.errors import ModelError
from swarm.models.fallback import Fallback
from swarm.models.registry import connect


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("claude-opus-5-5", "did you mean anthropic:claude-opus-5-5?"),
        ("gpt-5-mini", "did you mean openai:gpt-5-mini?"),
        ("antropic:claude-opus-5-5", "did you mean anthropic:claude-opus-5-5?"),
        ("extractiv", "did you mean extractive?"),
        ("", "Models are: extractive, anthropic"),
        ("nonsense", "Models are: extractive, anthropic"),
        ("openai:", "openai needs a model name"),
        ("extractive:large", "extractive takes no model name"),
        ("langchain:gpt-5", "langchain needs PROVIDER/MODEL"),
        ("openai:gpt-5|", "Models are:"),
    ],
)
def test_a_wrong_name_is_one_line_that_says_what_to_type(name, hint, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    with pytest.raises(ModelError) as caught:
        connect(name)
    assert hint in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_bar_between_names_makes_a_fallback():
    model = connect("openai:a|openai-chat:b", base_url="http://127.0.0.1:1/v1")
    assert isinstance(model, Fallback)
    assert model.name == "openai:a|openai-chat:b"


def test_the_users_window_and_longest_reply_win():
    model = connect("anthropic:claude-opus-5-5", api_key="k", window=50_000, max_output=2_000)
    assert (model.window, model.max_output) == (50_000, 2_000)


@pytest.mark.parametrize("window", [0, -5])
def test_a_window_that_holds_nothing_is_refused(window):
    with pytest.raises(ModelError, match="window"):
        connect("openai:a", window=window, base_url="http://127.0.0.1:1/v1")


def test_a_run_without_a_language_model_loads_no_sdk():
    loaded = "import sys, swarm.models.registry; print([m for m in sys.modules if m in {'openai', 'anthropic'}])"
    assert subprocess.run([sys.executable, "-c", loaded], capture_output=True, check=True).stdout.strip() == b"[]"


def test_a_password_in_a_base_url_is_refused_and_not_repeated() -> None:
    with pytest.raises(ModelError, match="leave them out") as caught:
        connect("openai:any", base_url="http://me:hunter2@127.0.0.1:8000/v1")
    assert "hunter2" not in str(caught.value)
