"""A command that a signal ends takes away what it had begun to write."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from swarm.cli.ending import tidied
from swarm.inspect.whole import new_file, new_folder


def half_a_file(path: Path, number: int) -> None:
    with tidied(), new_file(path) as out:
        out.write(b"half")
        os.kill(os.getpid(), number)


def half_a_folder(path: Path, number: int) -> None:
    with tidied(), new_folder(path) as folder:
        (folder / "half.csv").write_text("half")
        os.kill(os.getpid(), number)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_file_or_folder_that_is_begun_does_not_stay(number: signal.Signals, tmp_path: Path) -> None:
    before = signal.getsignal(number)
    for begin in (half_a_file, half_a_folder):
        with pytest.raises(SystemExit) as ended:
            begin(tmp_path / "run", number)
        assert ended.value.code == 128 + number
    assert list(tmp_path.iterdir()) == []
    assert signal.getsignal(number) == before
