"""A study: a folder with the ledger, the picture, and what tells which run is at it, so that the same command
goes on.

A run that was stopped or killed goes on under its id. Where it is over and more experiments are asked for, another
run begins from what was kept, and the ledger goes on. This module knows files and numbers, neither models nor
journals.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from swarm.errors import UsageError
from swarm.experiments.ledger import Ledger
from swarm.experiments.measure import Yardstick

RESULTS, PICTURE, _STATE = "results.tsv", "progress.svg", "study.json"


@dataclass(frozen=True, kw_only=True, slots=True)
class At:
    """A run of a study: its baseline has the number `begin`, and its experiments those up to `last` (None: no
    end)."""

    run: str
    begin: int
    last: int | None


class Study:
    """The study of a folder, which is made when it is missing. `facts` are what all its experiments have in
    common.

    Raises:
        UsageError: the folder holds another study, or something else.
    """

    def __init__(self, folder: Path, facts: Mapping[str, Any], yard: Yardstick) -> None:
        self.folder, self._facts = folder, dict(facts)
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UsageError(f"--out {folder} cannot be made: {error.strerror}") from None
        self._runs = self._known()
        self.ledger = Ledger(folder / RESULTS, yard)

    @property
    def picture(self) -> Path:
        return self.folder / PICTURE

    def next(self, experiments: int | None) -> At | None:
        """The run to go on with, or a new one; None where that many experiments were made."""
        if not self._runs or self._runs[-1]["over"]:
            numbers = [row.number for row in self.ledger]
            begin = max(numbers, default=-1) + 1
            if experiments is not None and self._made(begin) >= experiments:
                return None
            run = f"{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(3)}"
            self._runs.append({"run": run, "begin": begin, "over": False})
            self._write()
        run, begin = self._runs[-1]["run"], self._runs[-1]["begin"]
        left = None if experiments is None else experiments - self._made(begin)
        return At(run=run, begin=begin, last=None if left is None else begin + left)

    def over(self) -> None:
        """The last run is over."""
        self._runs[-1]["over"] = True
        self._write()

    @property
    def last_run(self) -> str:
        return str(self._runs[-1]["run"])

    def _made(self, before: int) -> int:
        return sum(row.number < before and row.status != "baseline" for row in self.ledger)

    def _known(self) -> list[dict[str, Any]]:
        at = self.folder / _STATE
        if not at.exists():
            return []
        try:
            state = json.loads(at.read_text("utf-8"))
            facts, runs = dict(state["facts"]), list(state["runs"])
        except (ValueError, KeyError, TypeError):
            raise UsageError(f"{at} is not what it was: name another folder with --out") from None
        for name, value in self._facts.items():
            if facts.get(name) != value:
                raise UsageError(
                    f"{self.folder} holds a study whose {name} is {facts.get(name)!r}, and not {value!r}: give "
                    "the same again, or name another folder with --out"
                )
        return runs

    def _write(self) -> None:
        at = self.folder / _STATE
        beside = at.with_name(f".{_STATE}.new")
        with beside.open("w", encoding="utf-8") as file:
            json.dump({"facts": self._facts, "runs": self._runs}, file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(at)


def all_but(path: str) -> tuple[str, ...]:
    """Patterns, as in a .gitignore, that name everything but one file: on the way to it each folder is let
    through, and what else is in that folder is not."""
    patterns, above = ["/*"], ""
    *folders, name = [re.sub(r"([\\*?\[\] ])", r"\\\1", part) for part in path.split("/")]
    for folder in folders:
        above += f"/{folder}"
        patterns += [f"!{above}", f"{above}/*"]
    return (*patterns, f"!{above}/{name}")


def bundled() -> Path:
    """The folder of the small training task that comes with Swarm."""
    package = Path(__file__).parents[1]
    installed = package / "recipes" / "autoresearch_example"
    return installed if installed.is_dir() else package.parent / "examples" / "autoresearch"


def copied(example: Path, to: Path) -> None:
    """Copy an example into a git repository of its own, with one commit. One that is there is left as it is.

    Raises:
        UsageError: something else is there, or git cannot.
    """
    if (to / ".git").exists():
        return
    if to.exists() and any(to.iterdir()):
        raise UsageError(
            f"{to} is there, and is no git repository: name the folder of one, or go where it is free"
        )
    shutil.copytree(example, to, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
    who = ("-c", "user.name=Swarm", "-c", "user.email=swarm@localhost", "-c", "commit.gpgSign=false")
    first = (*who, "commit", "-q", "-m", "The example as it comes")
    for words in (("init", "-q", "-b", "main"), ("add", "-A"), first):
        try:
            done = subprocess.run(["git", *words], cwd=to, capture_output=True, text=True, check=False)  # noqa: S603, S607
        except OSError as error:
            raise UsageError(f"git cannot be run: {error.strerror}: install git, 2.38 or later") from None
        if done.returncode:
            raise UsageError(f"git {words[-1]} failed in {to}: {done.stderr.strip()[-300:]}")


__all__ = ["At", "Study", "all_but", "bundled", "copied"]
