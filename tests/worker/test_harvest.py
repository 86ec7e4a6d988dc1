"""What is kept of a report: looking quotes up costs no more than what tools gave has to."""

from __future__ import annotations

from typing import Any

import pytest

from swarm.prompts.replies import ReadFinding, WorkReply
from swarm.prompts.typed import WorkPrompt
from swarm.worker import harvest


def test_what_tools_gave_is_made_ready_once_however_many_quotes_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Any] = []

    class Noted(harvest.Material):
        def __init__(self, passages: Any) -> None:
            made.append(passages)
            super().__init__(passages)

    monkeypatch.setattr(harvest, "Material", Noted)
    given = {f"look ({n})": f"Stone {n} weighs {n} pounds." for n in range(10)}
    quotes = [f"Stone {n} weighs {n} pounds" for n in range(5, 15)]
    findings = [ReadFinding(claim="It weighs.", quote=quote, relevance=0.5) for quote in quotes]
    reply = WorkReply(status="done", result="weighed", summary="", notes="", findings=findings)
    kept = harvest.borne_out(reply, WorkPrompt(question="q", shown=(), objective="o", basis=()), given)
    assert [one.quote for one in kept.findings] == quotes[:5]
    assert len(made) == 1 + len(given)
