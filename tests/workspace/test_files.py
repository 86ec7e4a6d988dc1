"""Files inside one folder: what may be seen and changed there, and every way out of it, tried."""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from swarm.equipment import ToolFailed
from swarm.errors import UsageError
from swarm.workspace.beneath import TEMPORARY
from swarm.workspace.files import LARGEST, Files

SECRET = "the secret outside"


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    folder = tmp_path / "outside"
    folder.mkdir()
    (folder / "secret.txt").write_text(SECRET)
    return folder


@pytest.fixture
def root(tmp_path: Path, outside: Path) -> Path:
    folder = tmp_path / "work"
    (folder / "src").mkdir(parents=True)
    (folder / "tests").mkdir()
    (folder / ".git").mkdir()
    (folder / ".git" / "config").write_text("[core]")
    (folder / "src" / "a.py").write_text("one\ntwo\nthree\n")
    (folder / "tests" / "test_a.py").write_text("def test_a(): ...\n")
    return folder


@pytest.fixture
def files(root: Path) -> Files:
    return Files(root, protected=("tests/", "*.lock", "!tests/mine/"))


def refused(call: Callable[[], object]) -> str:
    with pytest.raises(ToolFailed) as caught:
        call()
    said = str(caught.value)
    assert "\n" not in said
    assert SECRET not in said
    return said


def every_use(files: Files, path: str) -> Iterator[Callable[[], object]]:
    yield lambda: files.read(path)
    yield lambda: files.write(path, "mine")
    yield lambda: files.listed(path)
    yield lambda: files.search("secret", path)
    yield lambda: files.texts(path)


@pytest.mark.parametrize(
    "path",
    [
        "../outside/secret.txt",
        "src/../../outside/secret.txt",
        "..",
        "/etc/passwd",
        "//etc/passwd",
        "src/..",
        "/",
        "src/a.py\0.txt",
        "src/\ud800",
    ],
)
def test_a_path_that_leads_out_is_refused_however_it_is_used(files: Files, outside: Path, path: str) -> None:
    for use in (*every_use(files, path), lambda: files.remove(path)):
        refused(use)
    assert (outside / "secret.txt").read_text() == SECRET


def test_the_name_of_a_folder_beside_that_begins_alike_is_outside(root: Path, files: Files) -> None:
    beside = root.parent / "work-other"
    beside.mkdir()
    (beside / "x").write_text(SECRET)
    refused(lambda: files.read(str(beside / "x")))


def test_an_absolute_path_into_the_folder_is_taken(root: Path, files: Files) -> None:
    assert files.read(str(root / "src" / "a.py")).text == "one\ntwo\nthree\n"
    assert files.read("./src//a.py").text == "one\ntwo\nthree\n"


@pytest.mark.parametrize("target", ["file", "folder", "inner"])
def test_a_link_is_not_followed_wherever_it_leads(root: Path, files: Files, outside: Path, target: str) -> None:
    leads = {"file": outside / "secret.txt", "folder": outside, "inner": root / "src" / "a.py"}[target]
    (root / "link").symlink_to(leads)
    for use in every_use(files, "link"):
        assert "link" in refused(use)
    if target == "folder":
        for use in (*every_use(files, "link/secret.txt"), lambda: files.remove("link/secret.txt")):
            assert "is a link to" in refused(use)
        refused(lambda: files.write("link/new.txt", "x"))
        refused(lambda: files.write("link/new/deep.txt", "x"))
    assert [path.name for path in outside.iterdir()] == ["secret.txt"]
    assert (outside / "secret.txt").read_text() == SECRET


def test_a_link_is_in_no_list_and_is_not_searched(root: Path, files: Files, outside: Path) -> None:
    (root / "link").symlink_to(outside)
    (root / "src" / "link.txt").symlink_to(outside / "secret.txt")
    assert files.listed()[0] == ["src/", "src/a.py", "tests/", "tests/test_a.py"]
    assert files.search("secret") == ([], False)


def test_removing_a_link_leaves_what_it_leads_to(root: Path, files: Files, outside: Path) -> None:
    (root / "link").symlink_to(outside / "secret.txt")
    files.remove("link")
    assert not (root / "link").is_symlink()
    assert (outside / "secret.txt").read_text() == SECRET


def test_a_gitignore_that_is_a_link_is_not_read(root: Path, files: Files, outside: Path) -> None:
    (outside / "rules").write_text("src/\n")
    (root / ".gitignore").symlink_to(outside / "rules")
    assert "src/a.py" in files.listed()[0]


class Swapping:
    """A process in the folder that puts one thing and another in a place, in turn, as fast as it can."""

    def __init__(self, place: Path, *makes: Callable[[Path], object]) -> None:
        self._place, self._makes = place, makes
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        grave = self._place.parent.with_name("grave")
        grave.mkdir()
        number = 0
        while not self._over.is_set():
            number += 1
            made = grave / f"made{number}"
            self._makes[number % len(self._makes)](made)
            with suppress(OSError):
                self._place.rename(grave / f"gone{number}")
            with suppress(OSError):  # somebody else was there first
                made.rename(self._place)


def test_a_folder_that_changes_places_with_a_link_leads_nowhere(root: Path, files: Files, outside: Path) -> None:
    def real(path: Path) -> None:
        path.mkdir()
        (path / "secret.txt").write_text("inside")

    with Swapping(root / "d", real, lambda path: path.symlink_to(outside)):
        for number in range(400):
            with suppress(ToolFailed):
                assert files.read("d/secret.txt").text in ("inside", "mine", "")
            with suppress(ToolFailed):
                files.write("d/secret.txt", "mine")
            with suppress(ToolFailed):
                files.write(f"d/deep{number % 7}/x", "mine")
            with suppress(ToolFailed):
                files.remove("d/secret.txt")
            with suppress(ToolFailed):
                assert all(SECRET not in hit.text for hit in files.search("secret")[0])
    assert [(path.name, path.read_text()) for path in outside.iterdir()] == [("secret.txt", SECRET)]


def test_a_file_that_changes_places_with_a_link_or_a_fifo_is_never_followed(
    root: Path, files: Files, outside: Path
) -> None:
    with Swapping(root / "f", os.mkfifo, lambda path: path.symlink_to(outside / "secret.txt")):
        for _ in range(400):
            with suppress(ToolFailed):
                assert files.read("f").text != SECRET
            with suppress(ToolFailed):
                files.write("f", "mine")
    assert (outside / "secret.txt").read_text() == SECRET


@pytest.mark.parametrize("other", ["link", "fifo"])
def test_a_file_that_is_swapped_between_the_look_and_the_opening_is_not_read(
    root: Path, files: Files, outside: Path, monkeypatch: pytest.MonkeyPatch, other: str
) -> None:
    path, look = root / "src" / "a.py", os.stat

    def then_swapped(name: str, **how: Any) -> os.stat_result:
        info = look(name, **how)
        if name == "a.py":
            path.unlink()
            os.mkfifo(path) if other == "fifo" else path.symlink_to(outside / "secret.txt")
        return info

    monkeypatch.setattr(os, "stat", then_swapped)
    assert {"link": "link", "fifo": "no regular file"}[other] in refused(lambda: files.read("src/a.py"))


def test_what_is_no_regular_file_is_never_opened(root: Path, files: Files) -> None:
    os.mkfifo(root / "fifo")
    for use in every_use(files, "fifo"):
        assert "no regular file" in refused(use)
    assert "fifo" not in files.listed()[0]
    files.remove("fifo")
    assert "folder" in refused(lambda: files.read("src"))
    assert "folder" in refused(lambda: files.write("src", "x"))
    assert "no folder" in refused(lambda: files.read("src/a.py/b"))


@pytest.mark.parametrize("path", [".git", ".git/config", "src/.git/hooks/pre-commit", ".GIT/config", "./.git/x"])
def test_git_is_out_of_reach(files: Files, root: Path, path: str) -> None:
    for use in (*every_use(files, path), lambda: files.remove(path)):
        assert "git" in refused(use)
    assert (root / ".git" / "config").read_text() == "[core]"
    assert not any(".git" in name for name in files.listed()[0])
    assert files.search("core") == ([], False)


@pytest.mark.parametrize("path", ["tests/test_a.py", "tests/new.py", "tests/deep/new.py", "a.lock", "src/b.lock"])
def test_what_is_protected_is_read_and_not_changed(files: Files, root: Path, path: str) -> None:
    (root / path).parent.mkdir(exist_ok=True, parents=True)
    (root / path).write_text("as it was")
    assert files.read(path).text == "as it was"
    for use in (lambda: files.write(path, "x"), lambda: files.remove(path), lambda: files.write(f"./{path}", "x")):
        assert "is protected" in refused(use)
    assert (root / path).read_text() == "as it was"


def test_a_hard_link_to_a_protected_file_is_no_way_to_change_it(files: Files, root: Path) -> None:
    os.link(root / "tests" / "test_a.py", root / "src" / "mine.py")
    files.write("src/mine.py", "changed")
    assert (root / "tests" / "test_a.py").read_text() == "def test_a(): ...\n"


def test_a_pattern_that_is_none_is_told_to_the_user(root: Path) -> None:
    with pytest.raises(UsageError, match="protected"):
        Files(root, protected=("a/**b/[", "\\"))


def test_writing_keeps_the_mode_makes_folders_and_leaves_nothing_behind(files: Files, root: Path) -> None:
    (root / "src" / "run.sh").write_text("old")
    (root / "src" / "run.sh").chmod(0o750)
    assert not files.write("src/run.sh", "new")
    assert files.write("src/deep/er/x.txt", "é")
    assert (root / "src" / "run.sh").read_text() == "new"
    assert stat.S_IMODE((root / "src" / "run.sh").stat().st_mode) == 0o750
    assert (root / "src" / "deep" / "er" / "x.txt").read_bytes() == "é".encode()
    assert not [path for path in root.rglob("*") if path.name.startswith(TEMPORARY)]


def test_a_set_user_id_bit_does_not_survive_a_write(files: Files, root: Path) -> None:
    (root / "src" / "a.py").chmod(0o4755)
    files.write("src/a.py", "x")
    assert stat.S_IMODE((root / "src" / "a.py").stat().st_mode) == 0o755


def test_what_cannot_be_written_leaves_the_old_file_as_it_was(files: Files, root: Path) -> None:
    assert "surrogate" in refused(lambda: files.write("src/a.py", "\ud800"))
    assert "too many" in refused(lambda: files.write("src/a.py", "x" * (LARGEST + 1)))
    assert (root / "src" / "a.py").read_text() == "one\ntwo\nthree\n"


def test_binary_and_huge_files_are_not_read(files: Files, root: Path) -> None:
    (root / "image").write_bytes(b"\x89PNG\0\0\0")
    with (root / "huge.txt").open("wb") as file:
        file.truncate(100 << 30)  # sparse: it takes no place
    assert "binary" in refused(lambda: files.read("image"))
    assert "larger" in refused(lambda: files.read("huge.txt"))
    assert files.search("PNG") == ([], False)


def test_text_that_is_no_utf8_is_shown_and_said_to_be_inexact(files: Files, root: Path) -> None:
    (root / "latin.txt").write_bytes("café".encode("latin-1"))
    content = files.read("latin.txt")
    assert (content.text, content.exact) == ("caf\N{REPLACEMENT CHARACTER}", False)


def test_line_ends_and_the_byte_order_mark_survive(files: Files, root: Path) -> None:
    (root / "dos.txt").write_bytes("\ufeffone\r\ntwo\r".encode())
    content = files.read("dos.txt")
    files.write("dos.txt", content.text)
    assert (root / "dos.txt").read_bytes() == "\ufeffone\r\ntwo\r".encode()


def test_removing_takes_files_and_empty_folders_only(files: Files, root: Path) -> None:
    assert "not empty" in refused(lambda: files.remove("src"))
    files.remove("src/a.py")
    files.remove("src")
    assert not (root / "src").exists()
    assert "does not exist" in refused(lambda: files.remove("src"))
    assert "itself" in refused(lambda: files.remove("."))


def test_a_list_leaves_out_what_gitignore_does_in_every_folder(files: Files, root: Path) -> None:
    (root / ".gitignore").write_text("build/\n*.log\n")
    (root / "src" / ".gitignore").write_text("!kept.log\nlocal/\n")
    for name in ("build/x", "a.log", "src/kept.log", "src/local/y", "src/__pycache__/z.pyc", ".github/ci.yml"):
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_text("needle")
    listed, more = files.listed()
    assert not more
    assert listed == [
        ".github/", ".github/ci.yml", ".gitignore", "src/", "src/.gitignore", "src/a.py", "src/kept.log", "tests/",
        "tests/test_a.py",
    ]  # fmt: skip
    assert [hit.path for hit in files.search("needle")[0]] == ["src/kept.log", ".github/ci.yml"][::-1]
    assert files.listed("src") == (["src/.gitignore", "src/a.py", "src/kept.log"], False)
    assert files.listed(".", "*.py") == (["src/a.py", "tests/test_a.py"], False)
    assert files.listed(".", "src/**") == (["src/.gitignore", "src/a.py", "src/kept.log"], False)
    assert files.texts("src") == ["src/.gitignore", "src/a.py", "src/kept.log"]


def test_a_long_list_shows_what_is_near_the_top(files: Files, root: Path) -> None:
    for number in range(600):
        (root / "src" / f"f{number}").touch()
    (root / "zzz").touch()
    listed, more = files.listed()
    assert more
    assert len(listed) == 500
    assert "zzz" in listed


def test_a_name_with_a_line_feed_is_not_listed(files: Files, root: Path) -> None:
    (root / "src" / "x\nsrc").touch()
    (root / "src" / "\x1b[2J").touch()
    assert files.listed("src") == (["src/a.py"], False)


def test_a_search_finds_lines_and_stops_at_its_most(files: Files, root: Path) -> None:
    (root / "src" / "b.py").write_text("Two two\r\nnothing\nTWO" + "\ntwo" * 500)
    hits, more = files.search("two", "src/b.py", most=3)
    assert more
    assert [(hit.line, hit.text) for hit in hits] == [(1, "Two two\r"), (4, "two"), (5, "two")]
    hits, _ = files.search("tWO", "src/b.py", ignore_case=True, most=2)
    assert [hit.line for hit in hits] == [1, 3]
    assert files.search("(a+)+$") == ([], False)
    assert files.search("two", "src/a.py") == files.search("two", "src/a.py", most=1)
