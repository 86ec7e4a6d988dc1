"""Texts that try to run in whatever shows them stay texts: in every view, served and as a file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.inspect.browser.conftest import VIEWS, Outside, to

WAYS = ("node", "source", "slice", "call")
"""Views that are come to by links, and not listed."""
MADE = 'img, iframe, object, embed, video, audio, form, base, [onerror], [onclick], [src], a[href^="javascript"]'
"""What the page never makes, so that it can only come from a text."""
FOUND = f"""() => {{
    const all = (what) => [...document.querySelectorAll(what)];
    return {{
        taken: typeof window.taken, made: all('{MADE}').length, parts: all("script, style").length,
        title: document.title, controls: /[\\x00-\\x08\\x0b-\\x1f\\x7f-\\x9f]/.test(document.body.innerText),
        links: all('main a[href^="#/"]').map((one) => one.getAttribute("href")),
        away: all("a[href]").filter((one) => !one.getAttribute("href").startsWith("#")).length,
    }};
}}"""


@pytest.mark.parametrize("served", [True, False], ids=["served", "as a file"])
def test_no_text_of_a_run_becomes_anything_but_text(
    served: bool, hostile: Path, address: Callable[[Path], str], written: Callable[[Path], str], visit: Any
) -> None:
    page = visit(address(hostile) if served else written(hostile))
    parts = page.evaluate("document.querySelectorAll('script, style').length")
    links: dict[str, str] = {}
    said = 0
    for view in (*VIEWS, *WAYS):
        if view in WAYS and view not in links:
            continue
        body = to(page, links.get(view, f"#/{view}"))
        for fold in page.locator("main details:not([open]) > summary").all():
            fold.click()
        said += body.inner_text().count("<img src=x onerror=")
        found = page.evaluate(FOUND)
        assert (found["taken"], found["made"]) == ("undefined", 0), view
        assert found["parts"] <= parts, view  # a file lets go of blocks of data that it has unpacked
        assert (found["controls"], found["away"]) == (False, 0), view
        assert found["title"] != "taken"
        assert found["title"].endswith(" · staged")
        for link in found["links"]:
            links.setdefault(link.split("/")[1].partition("?")[0], link)
    assert set(WAYS) <= set(links), links
    assert said > 40


def test_a_page_that_breaks_out_would_be_noticed(tmp_path: Path, visit: Any, outside: Outside) -> None:
    page = tmp_path / "page.html"
    page.write_text("""<meta http-equiv="Content-Security-Policy" content="script-src 'unsafe-inline'">
        <img src="http://mills.invalid/plate.png"><script>console.error("said")</script>
        <script>alert("asked")</script><script src="data:text/javascript,1"></script><script>wrong()</script>""")
    visit(page.as_uri(), waits=False)
    said = "\n".join(visit.complaints)
    for part in (
        "mills.invalid",
        "console: said",
        "dialog: asked",
        "Content Security Policy",
        "wrong is not defined",
    ):
        assert part in said, part
    assert outside.heard == ["GET http://mills.invalid/plate.png HTTP/1.1"]
    visit.complaints.clear()
    outside.heard.clear()
