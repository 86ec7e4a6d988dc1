"""A model that answers from a recorded run: for tests of recipes and programs, with real replies and no network.

    model = Recorded("tests/data/minutes.db")
    answer = await Swarm(model, store=tmp_path / "store.db").run(task)

Record once with a real model, `swarm run … --store tests/data/minutes.db`, and keep the file beside the tests.
What is asked must be what was asked then: the same files, question and window. To test Swarm itself against a
recorded run, `swarm.replay` is stricter.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

from swarm.errors import ModelError, Rejected
from swarm.limits.gate import key_of
from swarm.models.base import FREE, Completion, Model
from swarm.models.registry import connect
from swarm.models.scripted import Scripted
from swarm.prompts.typed import Prompt
from swarm.store.opening import open_store, shown


class Recorded:
    """Answers what the run `run` of a store was answered; None takes the run that began last. With `reader` it is
    the model that read the slices, else the one that planned, judged and answered, which are mostly the same.

    Nothing is paid: what replies cost when they were recorded is told, and counts against no price.

    Raises:
        StoreError: no such store.
        ModelError: no such run in it, or it was made by an older version.
    """

    remote = False
    price = FREE

    def __init__(self, store: Path | str, run: str | None = None, *, reader: bool = False) -> None:
        self._where, self._asked = store, Counter[str]()
        with open_store(store, read_only=True) as opened:
            run = run or next((account.run for account in reversed(opened.journal.accounts())), None)
            session = opened.journal.latest(run, "session") if run is not None else None
        if session is None:
            raise ModelError(f"{shown(store)} holds no recorded run{f' {run}' if run else ''}: record one first")
        facts: dict[str, Any] = session.body["facts"]["reader" if reader else "model"]
        self.name: str = facts["name"]
        self.lane = self.name
        self.revision: str = facts["revision"]
        self.selective: bool = facts["selective"]
        self.window: int = facts["window"]
        self.max_output: int = facts["max_output"]
        self._counting = _counting(facts)

    def count(self, prompt: Prompt[Any]) -> int:
        return self._counting.count(prompt)

    def ratio(self) -> float:
        return self._counting.ratio()

    async def call(self, prompt: Prompt[Any], *, max_output: int) -> Completion:  # noqa: ARG002 - as it was then
        name = key_of(self, prompt, 0)
        key = key_of(self, prompt, self._asked[name])
        self._asked[name] += 1
        with open_store(self._where, read_only=True) as opened:
            found = await opened.journal.finished_call(key)
        if found is None:
            raise Rejected(
                f"the recorded run holds no reply to this {prompt.kind} prompt: files, question, window or the "
                "prompt changed since; record it again"
            )
        return replace(found, usage=replace(found.usage, cost_usd=0.0))

    async def close(self) -> None:
        await self._counting.close()


def _counting(facts: dict[str, Any]) -> Model:
    """Something that counts as the model did: the adapter itself, which is never asked."""
    name, window, longest = facts["name"], facts["window"], facts["max_output"]
    try:
        return connect(name, window=window, max_output=longest, base_url=facts["base_url"], api_key="recorded")
    except ModelError:
        return Scripted({}, window=window, max_output=longest, name=name)
