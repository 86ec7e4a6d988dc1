"""A model serves more than one run."""

import asyncio

from swarm.models.connection import Connection
from swarm.models.openai import OpenAI


async def test_a_closed_model_can_be_used_again(wire, connect, provider, read):
    model = connect(wire)
    await model.call(read("Ida kept it."), max_output=500)
    await model.close()
    await model.call(read("Ida kept it."), max_output=500)
    assert len(provider.requests) == 2


async def test_closing_twice_does_no_harm(wire, connect):
    model = connect(wire)
    await model.close()
    await model.close()


def test_a_model_can_be_used_on_a_second_event_loop(provider, read):
    model = OpenAI("test", base_url=provider.openai_url)

    async def once() -> str:
        completion = await model.call(read("Ida kept it."), max_output=500)
        await model.close()
        return completion.text

    assert asyncio.run(once()) == asyncio.run(once())


def test_connections_of_a_loop_that_has_ended_are_left_behind():
    opened: list[object] = []

    class Client:
        def __init__(self) -> None:
            opened.append(self)

        async def close(self) -> None: ...

    connection = Connection(Client)

    async def use() -> tuple[Client, Client]:
        return connection.client(), connection.client()

    first, second = asyncio.run(use()), asyncio.run(use())
    assert first[0] is first[1] is opened[0]
    assert second[0] is second[1] is opened[1]
