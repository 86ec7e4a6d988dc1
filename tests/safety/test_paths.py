"""Nothing outside a folder is read because of what stands in it: a link, a name in a manifest, a pattern."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from swarm.errors import SourceError
from swarm.source import Skip, Span
from swarm.sources import reading
from swarm.sources.gather import gather
from swarm.sources.inside import inside
from swarm.sources.original import Unreadable, open_regular
from swarm.sources.walk import Input, Walk
from swarm.store.database import Database
from swarm.store.library import Library

OUT = "a link that leads out of the folder: name its target to have it read"
SECRET = "what nobody was to read"


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder `root` that is the current one, beside a folder `outside` with a secret."""
    (tmp_path / "outside" / "deeper").mkdir(parents=True)
    (tmp_path / "outside" / "secret.txt").write_text(SECRET)
    (tmp_path / "outside" / "deeper" / "secret.txt").write_text(SECRET)
    (tmp_path / "rooted.txt").write_text(SECRET)  # beside `root`, and its name begins in the same way
    path = tmp_path / "root"
    (path / "sub").mkdir(parents=True)
    (path / "sub" / "a.txt").write_text("fine")
    monkeypatch.chdir(path)
    return path


def found(*paths: str) -> list[str]:
    walk = Walk(paths)
    walk.check()
    return [entry.path if isinstance(entry, Input) else f"! {entry.source}: {entry.reason}" for entry in walk]


def test_links_that_lead_out_of_a_folder_are_skipped_with_a_reason(root: Path) -> None:
    for name, target in {
        "absolute.txt": root.parent / "outside" / "secret.txt",
        "relative.txt": Path("../outside/secret.txt"),
        "beside.txt": Path("../rooted.txt"),
        "chain.txt": Path("relative.txt"),
        "through.txt": Path("sub/../../outside/secret.txt"),
        "folder": Path("../outside"),
        "self": Path("self"),
    }.items():
        (root / name).symlink_to(target)
    (root / "sub" / "inner.txt").symlink_to("../z.txt")
    (root / "z.txt").write_text("also fine")
    assert found(".") == [
        f"! absolute.txt: {OUT}",
        f"! beside.txt: {OUT}",
        f"! chain.txt: {OUT}",
        "! folder: a link to a folder: name it to have it read",
        f"! relative.txt: {OUT}",
        "! self: a broken link",
        "sub/a.txt",
        "sub/inner.txt",
        f"! through.txt: {OUT}",
        "! z.txt: duplicate of sub/inner.txt",
    ]


def test_what_a_person_names_may_lie_anywhere(root: Path) -> None:
    (root / "link.txt").symlink_to("../outside/secret.txt")
    (root / "folder").symlink_to("../outside")
    assert found("link.txt", "../rooted.txt") == ["link.txt", "../rooted.txt"]
    assert found("folder") == ["folder/deeper/secret.txt", "folder/secret.txt"]
    assert found("../outside/*.txt") == ["../outside/secret.txt"]


def test_a_pattern_matches_nothing_outside_of_the_folder_before_it(root: Path) -> None:
    (root / "link.txt").symlink_to("../outside/secret.txt")
    (root / "folder").symlink_to("../outside")
    (root / "sub" / "up").symlink_to("..")
    linked = "a link to a folder: name it to have it read"
    assert found("*.txt") == [f"! link.txt: {OUT}"]
    assert found("*/*.txt") == [f"! folder/secret.txt: {OUT}", "sub/a.txt"]
    assert found("sub/*") == ["sub/a.txt", f"! sub/up: {OUT}"]
    assert found("*") == [f"! folder: {OUT}", f"! link.txt: {OUT}", "sub/a.txt", f"! sub/up: {linked}"]
    assert found("**/*.txt") == [f"! link.txt: {OUT}", "sub/a.txt"]


@pytest.mark.parametrize("pattern", ["*/../../outside/*", "**/../../outside/*.txt", "[s]ub/../../rooted.txt"])
def test_two_dots_behind_a_wildcard_are_refused_in_one_line(root: Path, pattern: str) -> None:
    with pytest.raises(SourceError, match=r"a `\.\.` behind a wildcard leads anywhere"):
        found(pattern)


async def test_a_file_that_becomes_a_link_between_the_look_and_the_opening_is_not_read(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (root / "b.txt").write_text("harmless")

    def swapped(path: str, within: str = "") -> object:
        if path.endswith("b.txt") and not Path(path).is_symlink():
            Path(path).unlink()
            Path(path).symlink_to("../outside/secret.txt")
        return open_regular(path, within)

    monkeypatch.setattr(reading, "open_regular", swapped)
    database = Database.open(tmp_path / "store.db")
    library = Library(database)
    corpus = await gather(["."], library)
    texts = [library.text(Span(source.id, 0, source.chars)) for source in corpus.sources]
    database.close()
    assert texts == ["fine"]
    assert corpus.skipped == (Skip(source="b.txt", reason=OUT, bytes=8),)


def test_a_folder_that_becomes_a_link_while_it_is_walked_gives_nothing_away(root: Path) -> None:
    (entry,) = Walk(["."])
    assert isinstance(entry, Input)
    (root / "sub").rename(root.parent / "moved")
    (root / "sub").symlink_to("../moved")
    with pytest.raises(Unreadable, match="leads out of the folder"):
        open_regular(entry.file, entry.root)


def test_a_gitignore_that_is_a_link_or_a_pipe_is_passed_over(root: Path) -> None:
    (root / ".gitignore").symlink_to("../rooted.txt")
    os.mkfifo(root / "sub" / ".gitignore")
    assert found(".") == ["sub/a.txt"]


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("../outside/secret.txt", "leads out of"),
        ("sub/../../rooted.txt", "leads out of"),
        ("../rooted.txt", "leads out of"),
        ("/etc/passwd", "leads out of"),
        ("link/secret.txt", "leads out of"),
        ("link/../root/sub/a.txt", "leads out of"),  # as the system reads it: from where the link leads
        ("", "an empty name"),
        ("a\0b", "is no name of a file"),
        ("\ud800", "is no name of a file"),
        ("..", "leads out of"),
    ],
)
def test_a_name_in_data_that_leads_out_of_its_folder_is_one_clear_line(root: Path, name: str, says: str) -> None:
    (root / "link").symlink_to("../outside/deeper")
    with pytest.raises(SourceError, match=says) as caught:
        inside(root, name)
    assert "\n" not in str(caught.value)


def test_a_name_in_data_that_stays_is_the_resolved_path(root: Path) -> None:
    (root / "inner").symlink_to("sub")
    assert inside(root, "sub/a.txt") == root / "sub" / "a.txt"
    assert inside(".", "./sub//b/../a.txt") == root / "sub" / "a.txt"
    assert inside(root, "inner/a.txt") == root / "sub" / "a.txt"
    assert inside(root, str(root / "sub")) == root / "sub"
    assert inside(root, "not there yet.txt") == root / "not there yet.txt"
    assert inside("/", "etc") == Path("/etc").resolve()
    assert inside(root, "~/x") == root / "~" / "x"
    assert inside(root, "-") == root / "-"


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with links that lead out of it, for all examples."""
    base = tmp_path_factory.mktemp("tree").resolve()
    (base / "outside").mkdir()
    (base / "outside" / "secret.txt").write_text(SECRET)
    (base / "root" / "sub").mkdir(parents=True)
    (base / "root" / "sub" / "a.txt").write_text("fine")
    (base / "root" / "out").symlink_to("../outside")
    (base / "root" / "sub" / "up").symlink_to("../..")
    (base / "root" / "loop").symlink_to("loop")
    return base / "root"


PARTS = st.one_of(
    st.sampled_from(
        ["..", ".", "", "sub", "out", "up", "loop", "a.txt", "~", "...", "..\\..", "%2e%2e", "*", "-"]
    ),
    st.text(max_size=6),
)


@given(st.lists(PARTS, max_size=7), st.booleans())
@example(["out", "..", "secret.txt"], False)
@example(["sub", "up", "..", ".."], False)
def test_whatever_a_name_is_made_of_the_path_lies_inside_or_it_is_refused(
    tree: Path, parts: list[str], absolute: bool
) -> None:
    try:
        path = inside(tree, "/".join(["", *parts] if absolute else parts))
    except SourceError:
        return
    assert path.is_absolute()
    assert ".." not in path.parts
    assert path.is_relative_to(tree)
    if path.exists():
        assert path.resolve(strict=True).is_relative_to(tree)
