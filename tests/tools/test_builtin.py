"""The tools that come with Swarm: what a model sees of them, over a folder, a sandbox, and what is around."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from swarm.equipment import Bounds, Ran, Tool, ToolFailed
from swarm.errors import UsageError
from swarm.tools import BUILTIN, KNOWLEDGE, READ, WRITE
from swarm.tools.builtin import Surroundings, builtin
from swarm.tools.told import is_name
from swarm.workspace.bubblewrap import Bubblewrap, Unavailable
from swarm.workspace.sandbox import Sandbox
from swarm.workspace.unconfined import Unconfined

SECRET = "the secret outside"


class Folder:
    """A plain folder as a place to work in."""

    def __init__(self, path: Path, sandbox: Sandbox) -> None:
        self.path, self.sandbox = path, sandbox
        self.ran: list[str] = []

    async def run(self, command: str, bounds: Bounds | None = None) -> Ran:
        self.ran.append(command)
        return await self.sandbox.run(
            shlex.split(command), folder=self.path, writable=[self.path], bounds=bounds or Bounds(seconds=60)
        )


class Hand:
    """Uses the tools over a folder."""

    def __init__(self, place: Folder, **around: Any) -> None:
        async def opened() -> Folder:
            return place

        self.place = place
        settings: dict[str, Any] = {"writes": True, "protected": ("tests/",)} | around
        tools = builtin(BUILTIN, Surroundings(place=opened, **settings))
        self.tools = {one.name: one for one in tools}

    async def __call__(self, name: str, **arguments: Any) -> str:
        return await self.tools[name].call(arguments)

    async def fails(self, name: str, **arguments: Any) -> str:
        with pytest.raises(ToolFailed) as caught:
            await self(name, **arguments)
        assert SECRET not in str(caught.value)
        return str(caught.value)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "secret.txt").write_text(SECRET)
    folder = tmp_path / "work"
    for name, text in {
        "src/a.py": "def one():\n    return 1\n\n\ndef two():\n    return 1\n",
        "tests/test_a.py": "def test_one(): ...\n",
        "README.md": "# Work\n",
        ".gitignore": "*.log\n",
        "old.log": "one two three\n",
    }.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    (folder / "out").symlink_to(tmp_path / "secret.txt")
    return folder


@pytest.fixture
def hand(root: Path) -> Hand:
    return Hand(Folder(root, Unconfined()))


@pytest.fixture
def confined(root: Path) -> Hand:
    try:
        return Hand(Folder(root, Bubblewrap()))
    except Unavailable as problem:
        pytest.skip(str(problem))


# -- which there are


def everything(root: Path) -> tuple[Tool, ...]:
    async def place() -> Folder:
        return Folder(root, Unconfined())

    async def answer(*given: Any) -> str:
        return f"asked {given!r}"

    names = ("diff", *KNOWLEDGE, "ask_coordinator", "read_result", "subtask")
    others: dict[str, Any] = dict.fromkeys(names, answer)
    return builtin(BUILTIN, Surroundings(place=place, writes=True, **others))


def test_every_tool_says_what_it_does_and_what_each_argument_is(root: Path) -> None:
    tools = everything(root)
    assert tuple(one.name for one in tools) == BUILTIN
    for one in tools:
        assert is_name(one.name)
        assert one.description
        assert "Args:" not in one.description
        text = json.dumps(one.parameters)
        assert "$ref" not in text
        for field in one.parameters["properties"].values():
            assert field["description"]


def test_what_looks_only_changes_nothing_and_may_run_beside_others(root: Path) -> None:
    looking = {one.name for one in everything(root) if not one.changes}
    assert looking == {*READ, *KNOWLEDGE, "changes", "read_result"}
    assert set(WRITE) - looking == {"edit_file", "write_file", "remove_file", "run_command"}


def test_the_page_on_tools_tells_of_every_one_with_its_arguments(root: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "tools.md").read_text("utf-8")
    rows = {
        row[0]: row[1:]
        for row in (
            re.split(r"\s*\|\s*", line.strip("| ")) for line in page.splitlines() if line.startswith("| `")
        )
    }
    for one in everything(root):
        arguments, changes, *_ = rows[f"`{one.name}`"]
        required = one.parameters.get("required", [])
        told = [name if name in required else f"[{name}]" for name in one.parameters["properties"]]
        assert arguments.replace("`", "") == ", ".join(told)
        assert changes == ("yes" if one.changes else "no")


def test_a_tool_is_offered_where_what_it_needs_is_there() -> None:
    async def place() -> Any:
        raise AssertionError("not needed to offer them")

    async def graph(_: str) -> str:
        return ""

    def names(**around: Any) -> set[str]:
        return {one.name for one in builtin(BUILTIN, Surroundings(**around))}

    assert names() == set()
    assert names(place=place) == {*READ, "run_command"}
    assert names(place=place, writes=True) == set(WRITE) - {"changes"}
    assert names(search_graph=graph) == {"search_graph"}


def test_a_name_that_no_tool_has_is_told_with_those_that_are_there() -> None:
    with pytest.raises(
        UsageError, match="there is no tool 'levitate': those that come with Swarm are list_files,"
    ):
        builtin(["read_file", "levitate"], Surroundings())


def test_a_tool_that_is_named_twice_is_there_once(root: Path) -> None:
    async def place() -> Folder:
        return Folder(root, Unconfined())

    found = builtin(["read_file", "list_files", "read_file"], Surroundings(place=place))
    assert [one.name for one in found] == ["read_file", "list_files"]


async def test_what_is_around_is_asked_with_the_arguments_and_their_defaults(root: Path) -> None:
    tools = {one.name: one for one in everything(root)}
    assert await tools["search_graph"].call({"question": "why"}) == "asked ('why',)"
    assert await tools["open_source"].call({"path": "a"}) == "asked ('a', 1)"
    assert await tools["read_result"].call({"ref": "r", "search": "x"}) == "asked ('r', 1, 'x')"
    for name in ("open_finding", "search_sources", "ask_coordinator", "subtask"):
        (argument,) = tools[name].parameters["properties"]
        assert await tools[name].call({argument: "a"}) == "asked ('a',)"
    with pytest.raises(ToolFailed, match="question: string should have at least 1 character"):
        await tools["search_graph"].call({"question": ""})
    with pytest.raises(ToolFailed, match="line: input should be greater than or equal to 1"):
        await tools["open_source"].call({"path": "a", "line": 0})


# -- files


async def test_files_are_listed_without_links_and_what_git_ignores(hand: Hand) -> None:
    assert (await hand("list_files")).splitlines() == [
        ".gitignore",
        "README.md",
        "src/",
        "src/a.py",
        "tests/",
        "tests/test_a.py",
    ]
    assert await hand("list_files", pattern="test_*.py") == "tests/test_a.py"
    assert await hand("list_files", path="src") == "src/a.py"
    assert await hand("list_files", pattern="*.rs") == "nothing there matches *.rs"
    assert await hand.fails("list_files", path="src/a.py") == "src/a.py is a file: read it"
    assert "does not exist" in await hand.fails("list_files", path="lib")


async def test_a_file_is_read_with_its_line_numbers_in_parts(hand: Hand, root: Path) -> None:
    assert await hand("read_file", path="README.md") == "README.md, lines 1 to 1 of 1\n1\t# Work"
    said = await hand("read_file", path="src/a.py", first=5, last=99)
    assert said == "src/a.py, lines 5 to 6 of 6\n5\tdef two():\n6\t    return 1"
    assert await hand.fails("read_file", path="src/a.py", first=7) == "src/a.py has only 6 lines"
    (root / "long.txt").write_text("line\n" * 5_000)
    assert (await hand("read_file", path="long.txt")).startswith("long.txt, lines 1 to 2000 of 5000\n")
    (root / "none.txt").touch()
    assert await hand("read_file", path="none.txt") == "none.txt is empty"
    (root / "latin.txt").write_bytes(b"caf\xe9\r\nb\x0cc\xc2\x85d\n")
    said = await hand("read_file", path="latin.txt")
    assert said.splitlines()[0] == "latin.txt, lines 1 to 2 of 2"
    assert "not all of it is UTF-8" in said


async def test_text_is_found_as_it_stands_and_by_a_pattern(hand: Hand) -> None:
    assert await hand("search_files", text="return 1") == "src/a.py:2: return 1\nsrc/a.py:6: return 1"
    assert await hand("search_files", text="DEF ONE", ignore_case=True) == "src/a.py:1: def one():"
    assert await hand("search_files", text="one.*three") == "nothing found"
    assert await hand("search_files", text="def (one|two)", path="src", regex=True) == (
        "src/a.py:1: def one():\nsrc/a.py:5: def two():"
    )
    assert await hand("search_files", text="secret", regex=True) == "nothing found", "a link is not followed"
    assert (await hand.fails("search_files", text="(", regex=True)).startswith("grep does not take that: ")
    assert "cannot reach over several" in await hand.fails("search_files", text="a\nb")


@pytest.mark.parametrize("name", ["-rf", "a b.txt", "'; touch pwned; '.txt", "$(touch pwned).txt", "a:1:b.txt"])
async def test_no_name_of_a_file_and_no_pattern_is_taken_for_a_command(hand: Hand, root: Path, name: str) -> None:
    (root / name).write_text("needle\n")
    for pattern in ("need.e", "needle|$(touch pwned)", "needle|-rf"):
        said = await hand("search_files", text=pattern, regex=True)
        assert said.endswith(": needle")
    assert not (root / "pwned").exists()


async def test_a_search_says_when_there_is_more(hand: Hand, root: Path) -> None:
    (root / "many.txt").write_text("needle\n" * 1_000)
    for regex in (False, True):
        lines = (await hand("search_files", text="needle", regex=regex)).splitlines()
        assert len(lines) == 201
        assert lines[-1].startswith("… and more: ")


async def test_a_long_line_that_is_found_is_shown_in_part(hand: Hand, root: Path) -> None:
    (root / "min.js").write_text("needle" + "x" * 100_000)
    for regex in (False, True):
        assert len(await hand("search_files", text="needle", regex=regex)) < 400


async def test_an_edit_takes_effect_where_the_old_text_stands_once(hand: Hand, root: Path) -> None:
    said = await hand("edit_file", path="src/a.py", old="def two():\n    return 1", new="def two():\n    return 2")
    assert said.splitlines()[0] == "changed src/a.py, now lines 5 to 6"
    assert said.splitlines()[-1] == "6\t    return 2"
    assert (root / "src" / "a.py").read_text() == "def one():\n    return 1\n\n\ndef two():\n    return 2\n"


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("return 1", "return 2", "the old text stands 2 times in src/a.py, first at lines 2 and 6: take more"),
        ("def three():", "", "does not stand in src/a.py: the nearest to its first line is line "),
        ("def one():\n  return 1", "", "its first line stands at line 1; read from there and copy it exactly"),
        ("qqqqqq", "", "the old text does not stand in src/a.py: read the file and copy it exactly"),
        ("", "x", "the old text is empty"),
        ("return 1", "return 1", "the new text is the old one"),
    ],
)
async def test_an_edit_that_cannot_be_made_says_what_to_do_and_changes_nothing(
    hand: Hand, root: Path, old: str, new: str, says: str
) -> None:
    before = (root / "src" / "a.py").read_bytes()
    assert says in await hand.fails("edit_file", path="src/a.py", old=old, new=new)
    assert (root / "src" / "a.py").read_bytes() == before


async def test_an_edit_finds_lines_that_end_as_on_windows_and_keeps_them(hand: Hand, root: Path) -> None:
    (root / "dos.txt").write_bytes(b"one\r\ntwo\r\nthree\r\n")
    await hand("edit_file", path="dos.txt", old="one\ntwo\n", new="1\n2\n")
    assert (root / "dos.txt").read_bytes() == b"1\r\n2\r\nthree\r\n"


async def test_occurrences_that_overlap_are_not_taken_for_one(hand: Hand, root: Path) -> None:
    (root / "aaa.txt").write_text("aaa")
    assert "stands 2 times" in await hand.fails("edit_file", path="aaa.txt", old="aa", new="b")


async def test_a_file_that_is_not_utf8_is_not_edited(hand: Hand, root: Path) -> None:
    (root / "latin.txt").write_bytes(b"caf\xe9 one")
    assert "is not UTF-8: change it with run_command" in await hand.fails(
        "edit_file", path="latin.txt", old="one", new="two"
    )


async def test_files_are_written_and_removed(hand: Hand, root: Path) -> None:
    assert await hand("write_file", path="docs/new/a.md", text="a\nb") == "made docs/new/a.md: 2 lines"
    assert await hand("write_file", path="docs/new/a.md", text="") == "replaced docs/new/a.md: 0 lines"
    assert await hand("remove_file", path="docs/new/a.md") == "removed docs/new/a.md"
    assert await hand("remove_file", path="docs/new") == "removed docs/new"
    assert "not empty" in await hand.fails("remove_file", path="src")
    assert await hand("remove_file", path="out") == "removed out"
    assert (root.parent / "secret.txt").read_text() == SECRET


WAYS: list[tuple[str, Callable[[str], dict[str, Any]]]] = [
    ("read_file", lambda path: {"path": path}),
    ("list_files", lambda path: {"path": path}),
    ("search_files", lambda path: {"path": path, "text": "secret"}),
    ("edit_file", lambda path: {"path": path, "old": "secret", "new": "public"}),
    ("write_file", lambda path: {"path": path, "text": "mine"}),
]


@pytest.mark.parametrize(("name", "given"), WAYS, ids=[name for name, _ in WAYS])
async def test_no_tool_leads_out_of_the_folder_or_into_git(hand: Hand, root: Path, name: str, given: Any) -> None:
    (root / ".git").mkdir()
    (root / ".git" / "config").write_text("secret")
    for path in ("../secret.txt", str(root.parent / "secret.txt"), "src/../../secret.txt", "out", ".git/config"):
        assert await hand.fails(name, **given(path))
    assert (root.parent / "secret.txt").read_text() == SECRET
    assert (root / ".git" / "config").read_text() == "secret"


async def test_what_is_protected_is_read_and_not_changed(hand: Hand, root: Path) -> None:
    assert "test_one" in await hand("read_file", path="tests/test_a.py")
    for name, given in (
        ("edit_file", {"old": "...", "new": "pass"}),
        ("write_file", {"text": ""}),
        ("remove_file", {}),
    ):
        said = await hand.fails(name, path="tests/test_a.py", **given)
        assert said == "tests/test_a.py is protected: it may be read, and not changed; go another way"
    assert (root / "tests" / "test_a.py").read_text() == "def test_one(): ...\n"


async def test_the_names_of_arguments_that_do_not_exist_are_told(hand: Hand) -> None:
    said = await hand.fails("read_file", file="a.py")
    assert said == "path: is missing\nfile: is no argument: there are path, first, last"


# -- commands


async def test_a_command_tells_how_it_ended_and_what_it_printed(hand: Hand, root: Path) -> None:
    assert await hand("run_command", command="printf one; printf two >&2") == "exit 0\nonetwo"
    assert await hand("run_command", command="exit 3") == "exit 3\n(it printed nothing)"
    assert (
        await hand("run_command", command='cat <README.md | tr a-z A-Z && echo "it\'s"') == "exit 0\n# WORK\nit's"
    )
    assert (await hand("run_command", command="no-such-program")).startswith("exit 127\n")
    await hand("run_command", command="cd src; X=1; echo made > b.txt")
    assert await hand("run_command", command='echo "$X"; ls src') == "exit 0\n\na.py\nb.txt"
    assert await hand.fails("run_command", command="") == (
        "command: string should have at least 1 character, and '' was given"
    )


async def test_a_confined_command_works_in_the_folder_and_sees_nothing_else(
    confined: Hand, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-0123456789")
    assert await confined("run_command", command="echo made > made.txt && cat README.md") == "exit 0\n# Work"
    assert (root / "made.txt").read_text() == "made\n"
    outside = shlex.quote(str(root.parent / "secret.txt"))
    for command in (f"cat {outside}", "cat out", "cat ../secret.txt"):
        said = await confined("run_command", command=command)
        assert said.startswith("exit 1\n")
        assert SECRET not in said
    await confined("run_command", command=f"echo changed > {outside}; echo changed > out; echo x > ../new.txt")
    assert (root.parent / "secret.txt").read_text() == SECRET
    assert not (root.parent / "new.txt").exists()
    assert "sk-0123456789" not in await confined("run_command", command="env; cat /proc/*/environ")
    assert await confined("search_files", text="def (one|two)", regex=True) == (
        "src/a.py:1: def one():\nsrc/a.py:5: def two():"
    )


async def test_a_command_that_takes_too_long_says_which_bound_ended_it(root: Path) -> None:
    class Hasty(Folder):
        async def run(self, command: str, bounds: Bounds | None = None) -> Ran:
            return await super().run(command, Bounds(seconds=0.3))

    said = await Hand(Hasty(root, Unconfined()))("run_command", command="sleep 60")
    assert said.startswith("ended: ")


async def test_what_changed_is_told_or_that_nothing_did(root: Path) -> None:
    diffs = ["", "-one\n+two\n"]

    async def diff() -> str:
        return diffs.pop(0)

    hand = Hand(Folder(root, Unconfined()), diff=diff)
    assert await hand("changes") == "nothing has been changed"
    assert await hand("changes") == "-one\n+two\n"
