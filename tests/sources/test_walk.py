"""Paths become inputs: in a stable order, as `.gitignore` allows, and whatever lies there."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from swarm.errors import SourceError
from swarm.source import Skip
from swarm.sources.walk import Input, Walk


def names(*paths: str, own: tuple[str, ...] = ()) -> list[str]:
    return [
        entry.path if isinstance(entry, Input) else f"! {entry.source}: {entry.reason}"
        for entry in Walk(paths, own)
    ]


def checked(path: str) -> list[str]:
    Walk([path]).check()
    return names(path)


def test_a_folder_is_read_by_name_and_without_what_is_hidden(write):
    for name in ("b.txt", "a/z.md", "a/b/c.py", "a.txt", ".git/config", ".hidden.txt", "a/.venv/x.py"):
        write(name, "x")
    assert names(".") == ["a/b/c.py", "a/z.md", "a.txt", "b.txt"]


def test_paths_are_shown_as_the_user_named_them(write, folder):
    write("a/b.txt", "x")
    assert names("a") == names("a/") == ["a/b.txt"]
    assert names("./a") == ["./a/b.txt"]
    assert names("../corpus/a") == ["../corpus/a/b.txt"]
    assert names(str(folder / "a")) == [f"{folder}/a/b.txt"]
    assert names("a/b.txt") == ["a/b.txt"]


def test_named_paths_keep_their_order_and_are_read_once(write):
    write("b.txt", "x")
    write("a.txt", "x")
    assert names("b.txt", ".", "./b.txt", "a.txt") == ["b.txt", "a.txt"]


def test_gitignore_is_respected_nested_and_from_the_repository_root(write):
    write(".git/HEAD", "x")
    write(".gitignore", "*.log\n/build/\n!\n")
    write("sub/.gitignore", "!keep.log\nsecret*\n")
    for name in (
        "a.log",
        "build/x.txt",
        "sub/keep.log",
        "sub/b.log",
        "sub/secret.txt",
        "sub/build/y.txt",
        "z.txt",
    ):
        write(name, "x")
    assert names(".") == ["sub/build/y.txt", "sub/keep.log", "z.txt"]
    assert names("sub") == ["sub/build/y.txt", "sub/keep.log"]
    walk = Walk(["."])
    list(walk)
    assert walk.ignored == 4


def test_what_is_named_is_read_even_where_it_is_ignored_or_hidden(write):
    write(".git/HEAD", "x")
    write(".gitignore", "build/\n*.log\n")
    write("build/a.txt", "x")
    write("a.log", "x")
    write(".notes/b.txt", "x")
    assert names("build", "a.log", ".notes") == ["build/a.txt", "a.log", ".notes/b.txt"]


def test_patterns_match_files_and_folders(write):
    for name in ("a/x.md", "a/b/y.md", "a/b/z.txt", "c/d/w.md", "c/.hidden/v.md"):
        write(name, "x")
    assert names("**/*.md") == ["a/b/y.md", "a/x.md", "c/d/w.md"]
    assert names("a/**") == ["a/b/y.md", "a/b/z.txt", "a/x.md"]
    assert names("*/x.md") == ["a/x.md"]
    assert names("[ac]/*") == ["a/b/y.md", "a/b/z.txt", "a/x.md", "c/d/w.md"]


def test_a_file_whose_name_reads_like_a_pattern_is_that_file(write):
    write("[x].md", "x")
    write("x.md", "x")
    assert names("[x].md") == ["[x].md"]


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("missing.txt", "missing.txt does not exist: name a file, a folder, a pattern, or - for standard input"),
        ("*.nothing", "*.nothing matches nothing: name a file, a folder or a pattern"),
        ("no/such/**/*.md", "no/such/**/*.md matches nothing: no/such is no folder"),
        ("", "an empty path: name a file, a folder, a pattern, or - for standard input"),
        ("https://example.org/a", "https://example.org/a is an address: download it and name the file"),
        ("broken", "broken is a link to something that does not exist"),
        ("a\0b", "a\0b cannot be read (embedded null byte)"),
        ("x" * 5_000, f"{'x' * 5_000} cannot be read (File name too long)"),
    ],
)
def test_a_path_that_does_not_exist_is_one_clear_line(folder, path, message):
    (folder / "broken").symlink_to("nowhere")
    with pytest.raises(SourceError) as caught:
        checked(path)
    assert str(caught.value) == message


def test_links_pipes_and_loops_are_skipped_and_nothing_hangs(write, folder):
    write("real/a.txt", "x")
    (folder / "loop").symlink_to(".")
    (folder / "file").symlink_to("real/a.txt")
    (folder / "broken").symlink_to("nowhere")
    os.mkfifo(folder / "pipe")
    pipe = "not a regular file: pipe it into standard input, and name that `-`"
    assert names(".") == [
        "! broken: a broken link",
        "file",
        "! loop: a link to a folder: name it to have it read",
        f"! pipe: {pipe}",
        "! real/a.txt: duplicate of file",
    ]
    assert names("pipe", "loop/real") == [f"! pipe: {pipe}", "loop/real/a.txt"]
    assert names("/dev/null") == [f"! /dev/null: {pipe}"]


@pytest.fixture
def deep(folder):
    """A file in a folder that is nested deeper than Python calls functions."""
    for _ in range(1_200):
        Path("d").mkdir()
        os.chdir("d")
    Path("a.txt").write_text("x")
    os.chdir(folder)
    yield
    os.chdir(folder / "/".join(["d"] * 1_200))
    Path("a.txt").unlink()
    for _ in range(1_200):
        os.chdir("..")
        Path("d").rmdir()


def test_a_folder_deeper_than_the_recursion_limit_is_read(deep):
    assert len(names(".")) == 1


def test_names_that_are_no_utf8_are_shown_escaped(folder):
    (folder / os.fsdecode(b"caf\xe9.txt")).write_text("x")
    (entry,) = Walk(["."])
    assert isinstance(entry, Input)
    assert entry.path == "caf\\xe9.txt"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_what_may_not_be_read_is_a_skip(write, folder):
    write("closed/a.txt", "x")
    (folder / "closed").chmod(0)
    try:
        assert names(".") == ["! closed: permission denied"]
    finally:
        (folder / "closed").chmod(0o755)


def test_the_stores_own_files_are_no_inputs(write):
    write("a.txt", "x")
    write("my.db", "x")
    assert names(".", "my.db", own=("my.db", "my.db-wal")) == ["a.txt"]


def test_standard_input_is_named_by_a_dash(folder):
    assert list(Walk(["-"])) == [Input(path="-")]
    assert not any(isinstance(entry, Skip) for entry in Walk(["-"]))
