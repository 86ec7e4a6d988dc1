"""The suite cannot reach a real provider by accident."""

import os
import socket

import pytest

from swarm.errors import ModelError
from swarm.models.registry import connect
from swarm.prompts.typed import PlanPrompt

PROMPT = PlanPrompt(question="Who?", output="answer", sources=("a",), count=1, chars=1)


@pytest.mark.parametrize("name", ["anthropic:claude-opus-5-5", "openai:gpt-5-mini"])
def test_no_key_of_whoever_runs_the_tests_is_seen(name):
    with pytest.raises(ModelError, match="no key"):
        connect(name)
    assert "ANTHROPIC_API_KEY" not in os.environ


@pytest.mark.parametrize("name", ["anthropic:claude-opus-5-5", "openai:gpt-5-mini"])
async def test_even_with_a_key_nothing_leaves_this_machine(name):
    model = connect(name, api_key="k")
    with pytest.raises(Exception, match=r"look up api|connection failed"):
        await model.call(PROMPT, max_output=100)
    await model.close()


def test_addresses_elsewhere_cannot_be_connected_to():
    with socket.socket() as outside, pytest.raises(RuntimeError, match="tried to connect"):
        outside.connect(("192.0.2.1", 443))
