"""Work whose journal is on a PostgreSQL server: it goes on, also where nothing but the journal is left."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from swarm import Limits
from swarm.inspect.opened import open_run
from swarm.playback import replay
from swarm.program import Program, Role, Vote
from swarm.prompts.typed import OutlinePrompt, WorkPrompt
from swarm.source import Span
from swarm.testing.postgres import LocalPostgres
from tests.coordinator.work.conftest import Team, order, outline, result
from tests.coordinator.work.test_program import chain, plus_one


@pytest.fixture
def team(tmp_path: Path, postgres: LocalPostgres, monkeypatch: pytest.MonkeyPatch) -> Team:
    monkeypatch.chdir(tmp_path)
    team = Team(tmp_path)
    team.store = postgres.database()  # type: ignore[assignment]
    return team


async def test_a_chain_that_is_voted_on_goes_on_where_it_was(team: Team) -> None:
    team.do = plus_one
    role = Role(name="step", schema={"type": "integer"}, view_tokens=0, vote=Vote())
    first = await team.run(plan=chain(30, role), limits=Limits(slices=11))
    assert first.slices == 11
    team.fresh()
    second = await team.run(plan=chain(30, role), limits=Limits(slices=99))
    assert (second.text, second.complete, len(team.worked)) == ("30", True, 2 * 19)


async def test_what_was_made_comes_back_on_another_machine(team: Team, tmp_path: Path) -> None:
    """The text of results and artifacts is in the journal; what lies beside it on this machine is lost."""

    def plan(prompt: OutlinePrompt) -> dict[str, Any]:
        return outline() if prompt.standings else outline(order("a"), order("b", ["a"]), order("c", ["b"]))

    def do(prompt: WorkPrompt) -> dict[str, Any]:
        text = f"It is {prompt.objective}, after {len(prompt.outcomes)}."
        return result(text, summary=text)

    team.plan, team.do = plan, do
    await team.run(limits=Limits(slices=2))
    for path in (tmp_path / ".swarm").iterdir():
        path.unlink()
    team.fresh()
    answer = await team.run(limits=Limits(slices=9), plan=Program())
    assert answer.complete
    assert team.worked == ["make c"]
    assert {citation.quote for citation in answer.citations} == {
        "It is make a, after 0.",
        "It is make b, after 1.",
        "It is make c, after 1.",
    }


async def test_what_was_made_is_shown_and_played_again_on_another_machine(
    team: Team, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    team.plan = lambda prompt: outline() if prompt.standings else outline(order("a"))
    team.do = lambda prompt: result("First line.\nIt is made.", summary="It is made.")
    answer = await team.run(limits=Limits(slices=2), run_id="made")
    there = tmp_path / "there"
    there.mkdir()
    monkeypatch.chdir(there)
    (cited,) = answer.citations
    with open_run("made", team.store) as opened:
        span = Span(cited.source_id, cited.start, cited.end)
        assert opened.library.text(span) == cited.quote
        assert str(opened.library.locate(span, cited.source)) == f"{cited.source}:{cited.line}"
    assert (await replay("made", team.store)).citations == answer.citations
