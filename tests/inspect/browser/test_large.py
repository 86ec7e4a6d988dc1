"""The page with 100,000 findings and 20,000 slices: `tests/bench/page.py`, held to its limits."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

BENCH = Path(__file__).parents[2] / "bench" / "page.py"
SHOWN_SECONDS = 3.0
TASK_MS = 200.0


@pytest.mark.soak
def test_it_is_shown_within_three_seconds_and_nothing_holds_it_up_after_that(tmp_path: Path) -> None:
    out = tmp_path / "page.json"
    command = [sys.executable, str(BENCH), "--runs", str(tmp_path), "--sizes", "100000", "--out", str(out)]
    subprocess.run(command, check=True, timeout=1_800)
    told = json.loads(out.read_text())
    for way in ("served", "file"):
        (figures,) = told[way]
        assert figures["load"] < SHOWN_SECONDS
        assert figures["longest after"] < TASK_MS
        for step in ("findings", "jump", "search", "open", "source", "zoom", "timeline", "zoom in"):
            assert figures[step] < SHOWN_SECONDS, step
