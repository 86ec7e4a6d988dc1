"""What is asked last before a request leaves keeps it here, however far it had come."""

from __future__ import annotations

import pytest

from swarm.errors import RunError
from swarm.models.base import Model
from swarm.models.registry import connect
from swarm.models.sending import sure_of
from swarm.prompts.typed import AnswerPrompt
from swarm.testing.provider import Provider


class Lost(Exception):
    """It is another's by now."""


@pytest.fixture(params=["openai", "anthropic"])
def asked(request: pytest.FixtureRequest) -> str:
    return str(request.param)


async def call(model: Model) -> None:
    await model.call(AnswerPrompt(question="Who?", shown=()), max_output=100)


async def test_nothing_leaves_where_another_has_taken_over(asked: str) -> None:
    waited = 0

    async def sure() -> None:
        nonlocal waited
        waited += 1
        raise Lost

    with Provider() as provider:
        url = provider.openai_url if asked == "openai" else provider.url
        model = connect(f"{asked}:any", base_url=url)
        with sure_of(sure), pytest.raises((Lost, RunError)):
            await call(model)
        assert (waited, provider.tally.requests) == (1, 0)
        await call(model)
        assert (waited, provider.tally.requests) == (1, 1)
        await model.close()
