"""What README promises to somebody who has just cloned the project."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def test_ci_runs_the_command_that_readme_gives_under_test(tmp_path: Path) -> None:
    readme = (ROOT / "README.md").read_text("utf-8")
    section = readme.partition("\n## Test\n")[2].partition("\n## ")[0]
    (command,) = re.findall(r"(?s)```bash\n(.*?)```", section)
    assert "pytest" in command
    (tmp_path / ".ci").mkdir()
    shutil.copy(ROOT / ".ci" / "run", tmp_path / ".ci")
    (tmp_path / "README.md").write_text(readme.replace(command, 'echo "in $(basename "$PWD")" &&\n  false\n'))
    done = subprocess.run([tmp_path / ".ci" / "run"], cwd="/", capture_output=True, text=True)
    assert done.returncode == 1, "it ends as the command ends"
    assert done.stdout.endswith(f"\nin {tmp_path.name}\n")


@pytest.mark.soak
def test_the_first_command_of_readme_works_from_a_clean_clone(tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "-q", ROOT, clone], check=True)
    command = re.findall(r"(?s)```bash\n(.*?)```", (ROOT / "README.md").read_text("utf-8"))[0]
    assert "pip install" in command
    done = subprocess.run(["bash", "-euo", "pipefail", "-c", command], cwd=clone, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert re.search(r"(?m)^\[1\] \S+:\d+", done.stdout)
