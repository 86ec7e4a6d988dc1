"""What the tests of work share: a scripted team that plans, works and judges as it is told."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from swarm import Answer, Limits, Swarm, Task
from swarm.models.scripted import Scripted
from swarm.program import Program
from swarm.prompts.typed import AssessPrompt, OutlinePrompt, WorkPrompt

Plan = Callable[[OutlinePrompt], dict[str, Any]]
Do = Callable[[WorkPrompt], dict[str, Any]]
Judge = Callable[[AssessPrompt], dict[str, Any]]


def order(name: str, needs: list[str] | None = None, **more: Any) -> dict[str, Any]:
    """One slice as a planner's reply asks for it."""
    usual = {
        "name": name,
        "objective": f"make {name}",
        "done_when": "",
        "boundaries": "",
        "needs": needs or [],
        "sources": [],
        "kind": "work",
        "priority": 0,
    }
    return usual | more


def outline(*orders: dict[str, Any], drop: dict[str, str] | None = None) -> dict[str, Any]:
    dropped = [{"name": name, "reason": reason} for name, reason in (drop or {}).items()]
    return {"orders": list(orders), "drop": dropped, "reason": "as planned"}


def result(text: str, **more: Any) -> dict[str, Any]:
    return {"status": "done", "result": text, "summary": "", "notes": ""} | more


def assessed(verdict: str, *missing: str) -> dict[str, Any]:
    return {"verdict": verdict, "reason": f"it is {verdict}", "missing": list(missing)}


class Team:
    """A model that plans, works and judges by three functions, and a store to run it on."""

    def __init__(self, folder: Path) -> None:
        self.store = folder / "swarm.db"
        self.plan: Plan = lambda prompt: outline(order("only")) if not prompt.standings else outline()
        self.do: Do = lambda prompt: result(f"result of {prompt.objective}")
        self.judge: Judge = lambda prompt: assessed("done")
        self.settings: dict[str, Any] = {"concurrency": 4}
        self.model = self.fresh()

    def fresh(self, **settings: Any) -> Scripted:
        """The same team with nothing asked yet."""
        self.model = Scripted(
            {
                "outline": lambda prompt: self.plan(prompt),  # type: ignore[arg-type]
                "work": lambda prompt: self.do(prompt),  # type: ignore[arg-type]
                "assess": lambda prompt: self.judge(prompt),  # type: ignore[arg-type]
                "answer": lambda prompt: {
                    "answerable": bool(prompt.shown),  # type: ignore[attr-defined]
                    "short": None,
                    "statements": [
                        {"text": one.finding.claim, "findings": [one.label]}
                        for one in prompt.shown  # type: ignore[attr-defined]
                    ],
                },
            },
            **settings,
        )
        return self.model

    @property
    def worked(self) -> list[str]:
        """The objectives that were worked, in the order in which they were asked."""
        return [prompt.objective for prompt in self.model.calls if isinstance(prompt, WorkPrompt)]

    def asked(self, kind: str) -> list[Any]:
        return [prompt for prompt in self.model.calls if prompt.kind == kind]

    async def run(
        self,
        goal: str = "Make it",
        *,
        plan: Program | None = None,
        limits: Limits | None = None,
        paths: tuple[str, ...] = (),
        run_id: str = "run",
        done_when: str = "",
        check: str = "",
    ) -> Answer:
        task = Task(
            questions=(goal,),
            paths=paths,
            mode="work",
            limits=limits or Limits(),
            done_when=done_when,
            check=check,
        )
        return await Swarm(self.model, store=self.store, **self.settings).run(task, run_id=run_id, plan=plan)


@pytest.fixture
def team(tmp_path: Path) -> Team:
    return Team(tmp_path)
