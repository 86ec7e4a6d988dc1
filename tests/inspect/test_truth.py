"""What is shown of a run is true of it, whatever kind of run it is, and however often somebody looks."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.inspect.real_runs import KINDS, Kind, in_haste
from tests.inspect.truth import holds_at_last, pieces_are_the_whole, taped


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
async def test_what_is_shown_is_true_of_a_run(kind: Kind, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    in_haste(monkeypatch)
    with taped(monkeypatch) as tape:
        async for answer in kind(tmp_path, 1):
            holds_at_last(tmp_path / "swarm.db", "run", answer)
    pieces_are_the_whole(monkeypatch, tmp_path / "swarm.db", tape, range(3))
