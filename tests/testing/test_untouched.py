"""A recipe that holds what a simulated model said writes nothing, starts nothing and connects to nothing."""

import os
import socket
import subprocess
import tempfile
from pathlib import Path

import pytest

from swarm.testing.untouched import Ended, watched


@pytest.fixture
def watch():
    """This file is the recipe."""
    with watched(__file__) as watch:
        watch.on = True
        yield watch


def test_a_file_that_would_be_written_stays_as_it_is(watch, tmp_path):
    watch.on = False
    kept = tmp_path / "kept.csv"
    kept.write_text("real")
    watch.on = True
    for do in (lambda: kept.write_text("simulated"), kept.unlink, lambda: kept.rename(tmp_path / "b")):
        with pytest.raises(Ended):
            do()
    with pytest.raises(Ended):
        (tmp_path / "folder").mkdir()
    watch.on = False
    assert kept.read_text() == "real"
    assert [path.name for path in tmp_path.iterdir()] == ["kept.csv"]
    assert watch.refused == f"write {kept}"


def test_no_program_is_started_and_nothing_is_connected_to(watch):
    with pytest.raises(Ended, match="does not start"):
        subprocess.run(["true"])
    with socket.socket() as one, pytest.raises(Ended, match="does not connect to"):
        one.connect(("127.0.0.1", 9))


def test_reading_is_free_and_so_is_everything_before_the_watch_is_on(watch, tmp_path):
    assert Path(__file__).read_text()
    with Path(os.devnull).open("w") as nowhere:
        nowhere.write("x")
    watch.on = False
    (tmp_path / "a").write_text("x")
    assert watch.refused is None


def test_what_others_do_meanwhile_is_their_business(tmp_path):
    with watched("/somewhere/else.py") as watch:
        watch.on = True
        (tmp_path / "a").write_text("x")
        with tempfile.TemporaryFile() as file:
            file.write(b"x")
    (tmp_path / "b").write_text("x")
    assert watch.refused is None
