"""A run that the previous version began on a server goes on with this one, on other machines: a rolling upgrade.

`data/` holds the tables of a run that the version before claims (schema 3) was killed in the middle of.
"""

from __future__ import annotations

import asyncio
import json
from importlib import resources
from pathlib import Path
from typing import Any

import psycopg
import pytest

from swarm.cli.worker import serving
from swarm.models.registry import connect
from swarm.remote.joined import Terms
from swarm.run import Swarm
from swarm.store.opening import open_store
from swarm.task import Limits, Task
from swarm.testing.postgres import LocalPostgres
from swarm.testing.provider import Provider

DATA = Path(__file__).parent / "data" / "begun_by_0.1.0_schema_3.json"
FINISHED = 7
"""Replies in its journal."""
TASK = Task(
    questions=("Who was the keeper of the lighthouse?",),
    paths=("corpus",),
    slicing="source",
    limits=Limits(rounds=1),
)


def write_corpus(folder: Path) -> None:
    folder.mkdir()
    for number in range(12):
        lines = [f"Mill {number} ground corn in the year {1800 + n}." for n in range(4)]
        if number % 3 == 0:
            lines.insert(2, f"The keeper of lighthouse {number} was called Ida Lewis the {number}th.")
        (folder / f"{number:02}.txt").write_text("\n\n".join(lines), "utf-8")


def as_it_was_left(url: str) -> None:
    """Make the tables of that version, with what they held."""
    schema = resources.files("swarm.store") / "postgres_schema"
    steps = sorted(step.name for step in schema.iterdir() if step.name.endswith(".sql"))[:3]
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE SCHEMA swarm")
        connection.execute("SET search_path = swarm")
        for name in steps:
            connection.execute((schema / name).read_text("utf-8"))  # type: ignore[arg-type, unused-ignore]
        for table, held in json.loads(DATA.read_text("utf-8")).items():
            _fill(connection, table, held)


def _fill(connection: psycopg.Connection, table: str, held: dict[str, Any]) -> None:
    columns, binary = held["columns"], set(held["bytes"])
    places = ", ".join("%s" for _ in columns)
    into = f"INSERT INTO {table} ({', '.join(columns)}) OVERRIDING SYSTEM VALUE VALUES ({places})"
    if table == "version":
        connection.execute("DELETE FROM version")
    for row in held["rows"]:
        values = [
            bytes.fromhex(value) if name in binary and value is not None else value
            for name, value in zip(columns, row, strict=True)
        ]
        connection.execute(into, values)  # type: ignore[arg-type, unused-ignore]
    for name in {"num", "seq"} & set(columns):
        following = f"SELECT setval(pg_get_serial_sequence('{table}', '{name}'), 1000)"
        connection.execute(following)  # type: ignore[arg-type, unused-ignore]


async def test_a_run_that_the_previous_version_began_goes_on_on_other_machines(
    postgres: LocalPostgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_corpus(tmp_path / "corpus")
    url = postgres.database()
    as_it_was_left(url)
    terms = Terms(models=lambda name, window, at: connect(name, window=window, base_url=at), places=4)
    with Provider() as provider:
        settings = {"base_url": provider.openai_url, "window": 6_000}
        whole = await Swarm("openai:any", store="whole.db", **settings).run(TASK)
        needed = len(provider.requests)
        provider.requests.clear()
        async with serving(url, terms) as worker:
            serves = asyncio.create_task(worker.serve())
            answer = await Swarm("openai:any", store=url, engine="postgres", **settings).run(TASK, run_id="run")
            worker.drain()
            await serves
        assert len(provider.requests) == needed - FINISHED, "what it had paid for is not sent again"
    assert (answer.graph, answer.text, answer.status) == (whole.graph, whole.text, "answered")
    with open_store(url, read_only=True) as opened:
        lost = opened.journal.spent("run").calls - needed
    assert 0 <= lost <= 2, "calls that were on their way are counted at the most that they can come to"
