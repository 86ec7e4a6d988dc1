"""What slices are called: by their orders, or by the text that they read, and never by an id that says nothing."""

from __future__ import annotations

from swarm.inspect.names import Names
from swarm.inspect.plan import Plan, Seen
from swarm.source import Corpus, Source, Span
from swarm.task import Slice

PATHS = ("/srv/mills/a/ely.md", "/srv/mills/b/brill.md")


def named(*spans: tuple[int, int, int], item: str = "", paths: tuple[str, ...] = PATHS) -> str:
    plan = Plan()
    sources = [
        Source(id=f"s{n}", path=path, chars=1_000, bytes=1_000, media="text") for n, path in enumerate(paths)
    ]
    plan.corpus = Corpus(sources=tuple(sources))
    reads = tuple(Span(f"s{n}", start, end) for n, start, end in spans)
    slice_ = Slice(id="s0123456789abcdef", question="Who?", item=item, spans=reads, tokens=100)
    return Names(plan).of(Seen(slice_, ""))


def test_a_slice_that_reads_is_called_by_its_first_text_without_the_folders_that_all_share() -> None:
    assert named((0, 0, 1_000)) == "a/ely.md"
    assert named((0, 0, 1_000), (1, 0, 1_000), (1, 10, 20)) == "a/ely.md and 2 more"
    assert named((0, 0, 1_000), paths=("mills/ely.md", "mills/brill.md")) == "mills/ely.md"


def test_a_part_of_a_text_is_told_in_hundredths() -> None:
    assert named((1, 250, 500)) == "b/brill.md 25–50%"
    assert named((1, 251, 259), (0, 0, 10)) == "b/brill.md 25% and 1 more"


def test_an_item_of_a_table_is_told_once() -> None:
    assert named((0, 0, 1_000), item=PATHS[0]) == "a/ely.md"
    assert named((0, 0, 500), item="Ely") == "Ely: a/ely.md 0–50%"
    assert named(item="Ely") == "Ely"
    assert named() == "s0123456789a"
