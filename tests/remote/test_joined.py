"""A run as a worker knows it, while its coordinators come and go."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from types import SimpleNamespace
from typing import Any

import pytest

from swarm.remote import joined
from swarm.remote.joined import Runs


async def test_who_takes_a_run_over_finds_the_worktrees_that_slices_are_still_worked_in(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    held: list[str] = []

    @asynccontextmanager
    async def workplaces(desk: Any, _still_ours: Any) -> AsyncIterator[object]:
        assert desk.run not in held, "they are one process's at a time"
        held.append(desk.run)
        yield object()
        held.remove(desk.run)

    monkeypatch.setattr(joined, "workplaces", workplaces)
    runs: Any = Runs(store=None, purse=None, terms=None, still_ours=print)  # type: ignore[arg-type]
    first, second, other = AsyncExitStack(), AsyncExitStack(), AsyncExitStack()
    places = await first.enter_async_context(runs._places(SimpleNamespace(run="run")))
    assert await second.enter_async_context(runs._places(SimpleNamespace(run="run"))) is places
    assert await other.enter_async_context(runs._places(SimpleNamespace(run="another"))) is not places
    await first.aclose()
    assert held == ["run", "another"]
    await second.aclose()
    await other.aclose()
    assert held == []
    async with runs._places(SimpleNamespace(run="run")) as anew:
        assert anew is not places
