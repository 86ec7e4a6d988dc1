"""The picture of the best metric over the experiments."""

from __future__ import annotations

import math
from xml.etree import ElementTree

import pytest

from swarm.experiments.ledger import Row
from swarm.experiments.measure import Better, yardstick
from swarm.experiments.plot import plot

SVG = "{http://www.w3.org/2000/svg}"


def drawn(rows: list[Row], better: Better = "min") -> ElementTree.Element:
    return ElementTree.fromstring(plot(rows, yardstick(r"val_loss: (\S+)", better)))


def test_what_was_kept_is_named_and_crashes_are_drawn() -> None:
    rows = [
        Row(number=0, metric=3.0, status="baseline", description="as it was"),
        Row(number=1, metric=9.0, status="discard", description="far off"),
        Row(number=2, metric=2.0, status="keep", description="RATE 0.1 → 0.2 <&>"),
        Row(number=3, status="crash", description="broken"),
    ]
    picture = drawn(rows)
    names = [text.text for text in picture.iter(f"{SVG}text")]
    assert "RATE 0.1 → 0.2 <&>" in names
    assert "as it was" in names
    assert "3 experiments, 1 kept: val_loss (lower is better)" in names
    assert any("broken" in (title.text or "") for title in picture.iter(f"{SVG}title"))
    assert len(list(picture.iter(f"{SVG}circle"))) == 3


@pytest.mark.parametrize(
    "rows",
    [
        [],
        [Row(number=0, metric=1.0, status="baseline")],
        [Row(number=0, metric=0.0, status="baseline"), Row(number=1, metric=0.0, status="keep")],
        [Row(number=0, status="crash"), Row(number=1, status="timeout")],
        [Row(number=0, metric=1e12, status="baseline"), Row(number=1, metric=-1e-12, status="keep")],
        [Row(number=n, metric=-float(n), status="keep", description="x" * 200) for n in range(200)],
    ],
)
@pytest.mark.parametrize("better", ["min", "max"])
def test_whatever_was_measured_everything_stands_inside_the_picture(rows: list[Row], better: Better) -> None:
    for dot in drawn(rows, better).iter(f"{SVG}circle"):
        x, y = float(dot.get("cx", "")), float(dot.get("cy", ""))
        assert math.isfinite(x)
        assert math.isfinite(y)
        assert 0 <= x <= 960
        assert 0 <= y <= 480
