"""A coordinator and a worker of one store, in one process: what travels between them goes through the store."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from swarm.engine.base import Handler
from swarm.engine.local import LocalEngine
from swarm.limits import attempts
from swarm.models.registry import connect
from swarm.program import Program
from swarm.remote.joined import Terms
from swarm.remote.serve import Worker
from swarm.store.shared import shared_store


class Embedded(LocalEngine):
    """An engine whose worker waits for more when there is nothing."""

    async def serve(self, handler: Handler) -> None:
        while not self.draining:
            await super().serve(handler)
            await asyncio.sleep(0.005)

    draining = False

    def drain(self) -> None:
        self.draining = True
        super().drain()


@asynccontextmanager
async def working(store: str, engine: Embedded, plan: Program | None = None) -> AsyncIterator[Worker]:
    """While a worker serves the engine on a store."""
    terms = Terms(models=lambda name, window, url: connect(name, window=window, base_url=url), places=4, plan=plan)
    with shared_store(store) as opened:
        worker = Worker(opened.store, engine, terms)
        task = asyncio.create_task(worker.serve())
        try:
            yield worker
        finally:
            engine.drain()
            await task


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Retries wait for next to nothing."""
    monkeypatch.setenv("OPENAI_API_KEY", "not-a-real-key")
    monkeypatch.setattr(attempts, "ATTEMPTS", 2)
    monkeypatch.setattr(attempts, "_jitter", lambda tries: 0.001 * tries)
