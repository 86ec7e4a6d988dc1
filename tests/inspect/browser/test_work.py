"""What a run does and costs, in a browser: the figures that the views show are those of the run."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from swarm.inspect.follow import Follower
from tests.inspect.browser.conftest import looked_into, shown, to


def number(words: str) -> float:
    return float(re.sub(r"[^0-9.]", "", words))


def figures(page: Any) -> dict[str, str]:
    """What the list of figures says, by name: the first of what stands under it."""
    return dict(page.locator("dl.figures > div").evaluate_all(
        "all => all.map((one) => [one.querySelector('dt').textContent, one.querySelector('dd').textContent])"
    ))  # fmt: skip


def rows(page: Any, caption: str) -> list[list[str]]:
    """The texts of the cells of a table's body, whether it is folded or not."""
    table = page.locator("table.data", has=page.locator("caption", has_text=caption)).first
    table.wait_for(state="attached")
    return list(table.locator("tbody tr").evaluate_all(
        "all => all.map((row) => [...row.cells].map((cell) => cell.textContent.trim()))"
    ))  # fmt: skip


def test_all_views_tell_the_figures_of_the_run(mills: Path, address: Callable[[Path], str], visit: Any) -> None:
    with looked_into(mills) as opened:
        run = Follower(opened)
        run.catch_up()
        spent, states, findings = run.spent, run.plan.states, len(opened.graph)
        fills = [run.calls.fill(row) or 0.0 for row in range(len(run.calls))]
        costs, askers = run.costs, [run.calls.asked_by(row) for row in range(len(run.calls))]
        failed = [one for one in run.plan.slices.values() if one.state == "failed"]
        names = [run.names.of(one) for one in run.plan.slices.values()]
        sources = run.plan.corpus.sources if run.plan.corpus is not None else ()
    page = visit(address(mills))

    told = figures(page)
    assert number(told["Findings"]) == findings
    assert told["Slices done"] == f"{states['done']} of {sum(states.values())}"
    assert told["Spent"] == f"${spent.cost_usd:.4f}"

    to(page, "#/plan")
    assert page.locator('#plan-states [data-state="done"]').inner_text().endswith(str(states["done"]))
    page.locator('#plan-states [data-state="failed"]').click()
    page.locator("nav.pages .pages-said", has_text=re.compile(r"^(1 slice|1 to 1 of 1 slice)")).or_(
        page.locator("#plan-states [data-state=failed][aria-pressed=true]")).first.wait_for()  # fmt: skip
    to(page, f"#/slice/{failed[0].slice.id}")
    assert failed[0].why in page.locator("#body").inner_text()

    to(page, "#/cost")
    told = figures(page)
    assert number(told["Calls"]) == spent.calls
    by_model = {row[0]: row for row in rows(page, "Cost by model")}
    assert set(by_model) == {model for model, _, _ in costs}
    for model, row in by_model.items():
        calls = sum(cost.calls for (name, _, _), cost in costs.items() if name == model)
        assert str(calls) in row, (model, row)
    kinds = {row[0] for row in rows(page, "Cost by kind of call")}
    assert len(kinds) == len({kind for _, kind, _ in costs})
    assert f"for {spent.calls} calls" in page.locator(".table-sum").first.inner_text()

    to(page, "#/windows")
    counts = [sum(5 * n <= 100 * fill < 5 * (n + 1) for fill in fills) for n in range(20)]
    shown_counts = [int(number(row[1])) for row in rows(page, "how full their windows were")]
    assert shown_counts == [count for count in counts if count] or shown_counts == counts

    to(page, "#/calls")
    assert re.search(rf"of {len(askers)}\b", page.locator("nav.pages .pages-said").first.inner_text()) or (
        len(rows(page, "Calls")) == len(askers)
    )

    to(page, "#/timeline")
    assert "8 places" in page.locator("#timeline-said").inner_text()
    page.locator("details.numbers > summary").click()
    page.locator("details.numbers td", has_text="place 8").first.wait_for()
    sight = {row[0]: row for row in rows(page, "What is in sight")}
    assert set(names) <= set(sight)
    assert sight[run.names.of(failed[0])][2] == "failed"

    to(page, "#/coverage")
    strips = page.locator("#coverage-sources > li")
    assert strips.count() == len(sources)
    assert page.locator("table.data", has_text="mills/plate.png").count() == 1
    strip = strips.first.locator(".strip[role=slider]")
    strip.focus()
    page.keyboard.press("End")
    assert strip.get_attribute("aria-valuenow") == "120"
    page.keyboard.press("Enter")
    shown(page, "source")
