"""The report of a run in a browser: one file, which asks nobody for anything, with a script or without."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from swarm.inspect.data import ENDPOINTS
from swarm.inspect.look import Look
from tests.inspect.browser.conftest import VIEWS, looked_into, shown, to


def test_it_shows_all_views_and_finds_things_and_loads_nothing_but_itself(
    mills: Path, written: Callable[[Path], str], visit: Any
) -> None:
    page = visit(written(mills))
    asked: list[str] = []
    page.context.on("request", lambda request: asked.append(request.url))
    assert page.locator(".answer a.ref").count() == 6
    for view in VIEWS:
        body = to(page, f"#/{view}")
        assert body.locator(".failed").count() == 0, view
        assert len(body.inner_text()) > 20, view
    to(page, "#/findings")
    page.get_by_role("searchbox").fill("Mill 291")
    row = page.locator(".rows .row", has_text="Mill 291 was rebuilt in 1733")
    row.locator(".row-link").click()
    shown(page, "node")
    words = page.locator("#body .quote mark").first.inner_text()
    assert words == "Mill 291 was rebuilt in 1733 and driven by wind."
    assert not asked


def test_without_a_script_its_answer_and_its_citations_are_there_to_read(
    mills: Path, written: Callable[[Path], str], visit: Any
) -> None:
    with looked_into(mills) as opened:
        answer = ENDPOINTS["overview"](Look(opened))["answer"]
    page = visit(written(mills), java_script_enabled=False)
    paper = page.locator("#paper")
    said = " ".join(paper.inner_text().split())
    assert paper.is_visible()
    for one in answer["statements"]:
        assert one["text"] in said
    for one in answer["citations"]:
        assert one["quote"] in said
        assert one["where"] in said
