"""What a run knows, in a browser: from the top summary to the words of a source, search, citations, addresses."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from swarm.inspect.data import ENDPOINTS
from swarm.inspect.look import Look
from swarm.source import Span
from tests.inspect.browser.conftest import looked_into, shown, to


def marked(page: Any) -> str:
    """The words that are highlighted because one came for them, over all lines that they take."""
    page.locator("mark#here").first.wait_for()
    return str(
        page.evaluate("""() => {
        const lines = [...document.querySelectorAll(".line")].map((line) =>
            [...line.querySelectorAll("mark")].map((mark) => mark.textContent).join(""));
        const [first, last] = [lines.findIndex(Boolean), lines.findLastIndex(Boolean)];
        return lines.slice(first, last + 1).join("\\n");
    }""")
    )


def inside(page: Any) -> bool:
    """Whether the highlighted words are in sight."""
    return bool(
        page.evaluate("""() => {
        const { top, bottom } = document.querySelector("mark#here").getBoundingClientRect();
        return top >= 0 && bottom <= innerHeight;
    }""")
    )


@pytest.mark.parametrize("served", [True, False], ids=["served", "as a file"])
def test_each_citation_of_the_answer_opens_its_source_with_exactly_its_words_highlighted(
    served: bool, odd: Path, address: Callable[[Path], str], written: Callable[[Path], str], visit: Any
) -> None:
    page = visit(address(odd) if served else written(odd))
    with looked_into(odd) as opened:
        answer = ENDPOINTS["overview"](Look(opened))["answer"]
        spans = [Span(one["source_id"], one["start"], one["end"]) for one in answer["citations"]]
        quotes = [opened.library.text(span) for span in spans]
    assert len(quotes) == 6
    assert all("\n" in quote for quote in quotes)
    refs = page.locator(".answer a.ref").all_inner_texts()
    assert [ref.strip("\u2060") for ref in refs] == [f"[{n + 1}]" for n in range(6)]
    for number, quote in enumerate(quotes):
        page.locator(".answer a.ref").nth(number).click()
        shown(page, "source")
        assert marked(page) == quote
        assert inside(page)
        page.go_back()
        shown(page, "overview")


def test_one_zooms_from_the_top_summary_to_a_finding_and_on_to_the_words_it_rests_on(
    mills: Path, address: Callable[[Path], str], visit: Any
) -> None:
    page = visit(address(mills))
    page.locator("#views").get_by_role("link", name="Summaries").click()
    shown(page, "tree")
    depth = 0
    while page.locator(".zoom").count():
        before = page.url
        page.locator(".zoom").first.click()
        page.wait_for_url(lambda url, before=before: url != before)
        shown(page, "tree")
        depth += 1
    assert depth
    claim = page.locator('.twig a[href^="#/node/f"]').first
    said = claim.inner_text()
    claim.click()
    node = shown(page, "node")
    assert said in page.locator("#title").inner_text()
    quote = node.locator(".quote mark").first.inner_text()
    node.locator(".quote figcaption a").first.click()
    shown(page, "source")
    assert marked(page) == quote == said
    assert inside(page)


def test_a_search_finds_and_its_address_opens_and_goes_back_to_what_was_shown(
    mills: Path, address: Callable[[Path], str], visit: Any
) -> None:
    page = visit(address(mills))
    to(page, "#/findings")
    assert "380 findings" in page.locator("#found").inner_text()
    page.keyboard.press("/")
    page.keyboard.type("Mill 291")
    row = page.locator(".rows .row", has_text="Mill 291 was rebuilt in 1733")
    row.locator("mark", has_text="291").wait_for()
    assert row.locator("mark").all_inner_texts() == ["Mill", "291"]
    assert "q=Mill" in page.url
    row.locator(".row-link").click()
    shown(page, "node")
    opened = page.url
    page.reload()
    shown(page, "node")
    assert page.locator("#title").inner_text() == "Mill 291 was rebuilt in 1733 and driven by wind."
    page.go_back()
    shown(page, "findings")
    assert page.get_by_role("searchbox").input_value() == "Mill 291"
    row.wait_for()
    page.go_forward()
    shown(page, "node")
    assert page.url == opened

    elsewhere = page.context.new_page()  # the address alone, in another window of the same browser
    elsewhere.goto(opened)
    shown(elsewhere, "node")
    assert elsewhere.locator("#title").inner_text() == "Mill 291 was rebuilt in 1733 and driven by wind."


def test_what_is_not_in_the_run_is_told(mills: Path, address: Callable[[Path], str], visit: Any) -> None:
    page = visit(address(mills), expected="404")
    to(page, "#/node/f00000000000000000000")
    assert page.locator("#title").inner_text() == "Not in this run"
    to(page, "#/nowhere/at/all")
    assert page.locator("#title").inner_text() == "There is no such view"


def test_contradictions_stand_side_by_side_with_their_words(
    mills: Path, address: Callable[[Path], str], visit: Any
) -> None:
    page = visit(address(mills))
    with looked_into(mills) as opened:
        told = ENDPOINTS["disputes"](Look(opened))
    body = to(page, "#/disputes")
    assert body.locator("article.pair").count() == min(20, told["total"])
    first = body.locator("article.pair").first
    first.locator(".quote").nth(1).wait_for()
    said = [first.locator(".pair-side").nth(n).inner_text() for n in (0, 1)]
    assert told["pairs"][0]["one"]["text"] in said[0]
    assert told["pairs"][0]["other"]["text"] in said[1]


def test_all_can_be_done_with_the_keys_alone(mills: Path, address: Callable[[Path], str], visit: Any) -> None:
    page = visit(address(mills))
    keys = page.keyboard
    keys.press("Tab")
    assert page.evaluate("document.activeElement.id") == "skip"
    keys.press("Enter")
    assert page.evaluate("document.activeElement.id") == "title"

    def focused() -> str:
        return str(page.evaluate("document.activeElement.textContent"))

    _tab_until(page, lambda: focused().endswith("[1]"))
    keys.press("Enter")
    shown(page, "source")
    assert re.fullmatch(r"Mill \d+ was rebuilt in \d+ and driven by [a-z ]+\.", marked(page))
    page.go_back()
    shown(page, "overview")

    keys.press("/")
    shown(page, "findings")
    page.wait_for_timeout(50)
    keys.type("steam")
    page.locator("#found", has_text="steam").or_(page.locator(".row-text mark").first).first.wait_for()
    keys.press("ArrowDown")
    keys.press("ArrowDown")
    chosen = focused()
    keys.press("Enter")
    shown(page, "node")
    assert page.locator("#title").inner_text() in chosen
    assert page.evaluate("document.activeElement.id") == "title"  # where whoever listens goes on

    to(page, "#/timeline")
    _tab_until(page, lambda: page.evaluate("document.activeElement.tagName") == "CANVAS")
    keys.press("Home")
    keys.press("ArrowRight")
    told = page.locator("#timeline-meant").inner_text()
    keys.press("ArrowDown")
    assert page.locator("#timeline-meant").inner_text() != told
    keys.press("Enter")
    shown(page, "slice")
    assert page.locator("#title").inner_text()

    keys.press("?")
    assert page.locator("#help").is_visible()
    keys.press("Escape")
    assert not page.locator("#help").is_visible()


def _tab_until(page: Any, there: Callable[[], bool]) -> None:
    for _ in range(60):
        page.keyboard.press("Tab")
        if there():
            return
    pytest.fail("sixty presses of Tab do not lead there")
