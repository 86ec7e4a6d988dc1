"""Where examples find `swarm` and `python`."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def commands() -> Iterator[str]:
    """The folders of the commands, as in PATH: they have their libraries loaded, where the system lets them."""
    real = str(Path(sys.executable).parent)
    if not hasattr(os, "pidfd_open"):
        yield real
        return
    with tempfile.TemporaryDirectory(prefix="warm-") as folder:  # short, as the address of a socket has to be
        program = [sys.executable, str(Path(__file__).with_name("warm.py")), folder]
        environment = {**os.environ, "PYTHONSAFEPATH": "1"}
        with subprocess.Popen(program, env=environment, stdout=subprocess.PIPE) as server:
            assert server.stdout is not None
            assert server.stdout.readline() == b"ready\n"
            yield f"{folder}{os.pathsep}{real}"
            server.kill()
