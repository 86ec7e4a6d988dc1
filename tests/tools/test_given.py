"""Tools that a user names in files."""

from __future__ import annotations

from pathlib import Path

import pytest

from swarm.errors import UsageError
from swarm.tools.given import functions_in, given_tools

MINE = '''
from pathlib import Path

from swarm import tool


def look(words: str) -> str:
    """Looks."""
    return words.upper()


def _hidden() -> None: ...


def put(text: str) -> str:
    """Puts."""
    return text


put = tool(put)
'''


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    path = tmp_path / "mine.py"
    path.write_text(MINE)
    return path


async def test_the_functions_of_a_file_are_tools_and_what_may_change_something_is_left_out(mine: Path) -> None:
    async with given_tools(mine) as given:
        assert [one.name for one in given.tools] == ["look"]
        assert given.left_out == ("put",)
        assert await given.tools[0].call({"words": "whale"}) == "WHALE"
    async with given_tools(mine, changing=True) as given:
        assert [(one.name, one.changes) for one in given.tools] == [("look", False), ("put", True)]


async def test_without_files_there_are_none() -> None:
    async with given_tools() as given:
        assert given.tools == ()


def test_loading_leaves_nothing_beside_the_file(mine: Path) -> None:
    list(functions_in(mine))
    assert [path.name for path in mine.parent.iterdir()] == ["mine.py"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("def look(:\n", r"mine\.py:1 is not Python"),
        ("x = 1\ny = x / 0\n", r"mine\.py:2: ZeroDivisionError"),
        ("import os\n", "has no tool: write a function"),
    ],
)
def test_what_is_wrong_with_a_file_is_told_with_its_line(mine: Path, text: str, says: str) -> None:
    mine.write_text(text)
    with pytest.raises(UsageError, match=says):
        list(functions_in(mine))


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read: no such file"):
        list(functions_in(tmp_path / "nowhere.py"))


async def test_two_tools_of_one_name_are_told(mine: Path) -> None:
    mine.write_text(f"{MINE}\n\nalso = tool(look, name='look')\n")
    with pytest.raises(UsageError, match="two tools are called 'look'"):
        async with given_tools(mine):
            pass
