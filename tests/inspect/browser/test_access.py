"""The page for whoever cannot see it well, has no mouse, or a small window: checked with axe, light and dark."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe

from tests.inspect.browser.conftest import VIEWS, to

RULES = {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"]}
COLOURS = {"type": "rule", "values": ["color-contrast", "link-in-text-block"]}
"""What can be wrong in the dark alone."""
PHONE = {"width": 360, "height": 740}


def every_view(page: Any) -> list[str]:
    """Addresses of all views: those that are listed, and one of each that links lead to."""
    addresses = {view: f"#/{view}" for view in VIEWS}
    for view in ("overview", "findings", "plan", "calls"):
        to(page, f"#/{view}")
        links = page.locator('main a[href^="#/"]')
        for link in links.evaluate_all("all => all.map((one) => one.getAttribute('href'))"):
            addresses.setdefault(link.split("/")[1].partition("?")[0], link)
    assert {"node", "source", "slice", "call"} <= set(addresses)
    return list(addresses.values())


@pytest.mark.parametrize("served", [True, pytest.param(False, marks=pytest.mark.soak)], ids=["served", "file"])
def test_axe_finds_nothing_in_any_view_in_light_and_in_dark(
    served: bool, mills: Path, address: Callable[[Path], str], written: Callable[[Path], str], visit: Any
) -> None:
    page = visit(address(mills) if served else written(mills))
    for view in every_view(page):
        to(page, view)
        assert wrong_with(page, RULES) == [], view
        page.emulate_media(color_scheme="dark")
        assert wrong_with(page, COLOURS) == [], f"{view}, dark"
        page.emulate_media(color_scheme="light")


def wrong_with(page: Any, only: dict[str, Any] = RULES) -> list[str]:
    """What axe finds, each with the element. It is loaded once into a page."""
    if not page.evaluate("'axe' in window"):
        page.evaluate(Axe().axe_script)
    found = page.evaluate("only => axe.run(document, { runOnly: only, resultTypes: ['violations'] })", only)
    assert found["passes"], "axe looked at nothing"
    return [f"{one['id']}: {node['html'][:200]}" for one in found["violations"] for node in one["nodes"]]


def test_on_a_phone_nothing_is_wider_than_the_window(
    mills: Path, address: Callable[[Path], str], visit: Any
) -> None:
    page = visit(address(mills), viewport=PHONE, has_touch=True, is_mobile=True, device_scale_factor=2)
    for view in every_view(page):
        to(page, view)
        wide = page.evaluate("document.scrollingElement.scrollWidth - innerWidth")
        assert wide <= 0, view
    to(page, "#/overview")
    page.get_by_role("button", name="All views").tap()
    page.locator("#views").get_by_role("link", name="Cost").tap()
    page.locator(".view-cost").wait_for()
    assert wrong_with(page) == []
