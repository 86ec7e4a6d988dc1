"""A run that machines worked, in a browser: served and as a file, its machines are where its slices are."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from swarm.inspect.follow import Follower
from swarm.testing.staged import Script, staged
from tests.inspect.browser.conftest import looked_into, to
from tests.inspect.browser.test_work import rows


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("machines") / "swarm.db"
    script = Script(findings=100, machines=("north", "<b>south"), lost=1)
    with ThreadPoolExecutor(1) as thread:  # on this one stands Playwright's loop
        thread.submit(lambda: asyncio.run(staged(path, script))).result()
    return path


@pytest.mark.parametrize("shows", ["served", "file"])
def test_machines_are_in_the_overview_the_slice_and_the_timeline(
    store: Path, address: Callable[[Path], str], written: Callable[[Path], str], visit: Any, shows: str
) -> None:
    with looked_into(store) as opened:
        run = Follower(opened)
        run.catch_up()
        moved = [one for one in run.plan.slices.values() if one.moved]
        names = [run.names.of(one) for one in moved]
    page = visit((address if shows == "served" else written)(store))
    assert rows(page, "Slices of each machine") == [
        ["north", "0", "1", "1", "1"], ["<b>south", "0", "3", "0", "0"],
    ]  # fmt: skip
    to(page, f"#/slice/{moved[0].slice.id}")
    assert "lost on" in page.locator("dl.facts").first.inner_text()
    to(page, "#/timeline")
    assert "8 places" in page.locator("#timeline-said").inner_text()
    page.locator("details.numbers > summary").click()
    page.locator("details.numbers td", has_text="<b>south, place 1").first.wait_for()
    sight = rows(page, "What is in sight")
    assert sorted(row[2] for row in sight if row[0] == names[0]) == ["done", "lost to another machine"]
    assert page.locator(".legend", has_text="lost to another machine").count() == 1
