"""The command that goes on: complete, with a higher limit where one was reached, and without a secret."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from swarm.cli.again import resume_with
from swarm.cli.options import Settings
from swarm.task import Answer

Make = Callable[..., Answer]


def test_what_the_journal_does_not_know_is_repeated(answer: Make) -> None:
    settings = Settings(store="my runs.db", prices=Path("p.toml"), model="openai:any", base_url="http://here/v1")
    command = resume_with(settings)("r1", answer(stopped="interrupted"))
    assert command == "swarm resume r1 --store 'my runs.db' --prices p.toml"


def test_no_password_of_a_store_and_no_key_of_a_server_is_in_it() -> None:
    settings = Settings(store="postgresql://me:verysecret@db/swarm", base_url="https://api/v1?key=verysecret")
    command = resume_with(settings)("r1", None)
    assert "verysecret" not in command
    assert "--store postgresql://me@db/swarm" in command
    assert "--base-url" in command


def test_a_limit_of_a_run_that_cannot_be_looked_up_is_not_raised(answer: Make, tmp_path: Path) -> None:
    settings = Settings(store=str(tmp_path / "nowhere.db"))
    command = resume_with(settings)("r1", answer(stopped="the limit of 3 calls is reached", limit="calls"))
    assert command == f"swarm resume r1 --store {tmp_path}/nowhere.db"
