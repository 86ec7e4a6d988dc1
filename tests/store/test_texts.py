"""The text of sources among blobs: another library gets the same rows of it, or one clear error."""

from __future__ import annotations

import asyncio
import json
import pickle
import random
import threading
import zlib
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from contextlib import closing
from hashlib import blake2b
from itertools import count
from pathlib import Path
from typing import Any

import docx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from swarm.errors import SourceError, StoreError, UsageError
from swarm.source import Corpus, Source, Span
from swarm.sources.gather import gather
from swarm.sources.media import READER
from swarm.store import intake as intake_module
from swarm.store import packed, parts
from swarm.store.afar import Afar
from swarm.store.blobs import Blobs
from swarm.store.database import Database
from swarm.store.intake import PLACES_LINE_MARKS, PLACES_LINES, PLACES_NONE, PLACES_PAGE_MARKS, Draft, id_of
from swarm.store.library import Library
from swarm.store.packed import Begins, Head
from swarm.store.postgres_blobs import PostgresBlobs
from swarm.store.published import Damaged, Text, drop, head_name, part_name
from swarm.store.sqlite_blobs import SqliteBlobs
from swarm.store.texts import fetch, publish
from swarm.terms import unescaped
from swarm.testing.postgres import LocalPostgres
from tests.sources.test_pdf import FIRST, pdf


class Kept:
    """Blobs in memory; `left` is how many more are taken before the store breaks."""

    def __init__(self) -> None:
        self.there: dict[str, bytes] = {}
        self.read: Counter[str] = Counter()
        self.sent: list[str] = []
        self.left = 1 << 30

    def put(self, blobs: Mapping[str, bytes]) -> None:
        for name, body in blobs.items():
            if not self.left:
                raise StoreError("the server went away")
            self.left -= 1
            self.sent.append(name)
            self.there.setdefault(name, body)

    def get(self, names: Collection[str]) -> dict[str, bytes]:
        self.read.update(names)
        return {name: self.there[name] for name in names if name in self.there}

    def missing(self, names: Collection[str]) -> set[str]:
        return set(names) - self.there.keys()

    def drop(self, names: Collection[str]) -> None:
        for name in names:
            self.there.pop(name, None)

    def close(self) -> None:
        """Nothing is open."""


@pytest.fixture
def blobs() -> Kept:
    return Kept()


@pytest.fixture
def library(tmp_path: Path) -> Iterator[Library]:
    with closing(Database.open(tmp_path / "here.db")) as database:
        yield Library(database)


@pytest.fixture
def other(tmp_path: Path) -> Iterator[Library]:
    with closing(Database.open(tmp_path / "there.db")) as database:
        yield Library(database)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks and parts of a few passages."""
    monkeypatch.setattr(intake_module, "BLOCK_CHARS", 40)
    monkeypatch.setattr(parts, "PART_CHARS", 100)


_NUMBERS = count(1)


def write(library: Library, drafts: Collection[Draft], media: str = "text", places: str = PLACES_LINES) -> Source:
    """A source of these passages, which is read from the bytes of its text."""
    whole = "".join(draft.text for draft in drafts).encode()
    id_ = id_of(blake2b(whole, digest_size=20).digest(), media, READER)
    if library.source(id_) is None:
        with library.intake() as intake:
            intake.begin(source=id_, media=media, places=places, size=len(whole))
            for draft in drafts:
                intake.add(draft)
            intake.finish()
            library.database.write_sync(intake.take().write)
    found = library.source(id_)
    assert found is not None
    return Source(id=id_, path=f"{id_}.txt", media=media, chars=found.chars, bytes=found.bytes)


def long(library: Library, word: str = "word", passages: int = 30) -> Source:
    return write(library, [Draft(f"{word} {n} {'x ' * 8}\n", 10, 1) for n in range(passages)])


def rows(library: Library, source: Source) -> dict[str, Any]:
    """All that a library keeps of a source, without the numbers by which it goes there."""
    read = library.database.read
    columns = "num, first, last, media, places, chars, bytes, last - first, hex(lengths)"
    sql = f"SELECT {columns} FROM sources WHERE id = ?"
    ((num, first, last, *told),) = read(sql, (source.id,))
    return {
        "source": told,
        "blocks": read("SELECT start, line, text FROM blocks WHERE source = ? ORDER BY start", (num,)),
        "marks": read("SELECT start, place FROM marks WHERE source = ? ORDER BY start", (num,)),
        "passages": read(
            "SELECT id - ?, start, end, tokens, cut, context, hex(records) FROM passages WHERE source = ? "
            "ORDER BY id",
            (first, num),
        ),
        "index": sorted(
            read(
                "SELECT doc - ?, col, offset, term FROM passage_terms WHERE doc BETWEEN ? AND ?",
                (first, first, last),
            )
        ),
    }


def at_all(library: Library, id_: str) -> list[Any]:
    """What is left of sources that are not complete."""
    return library.database.read("SELECT num FROM sources WHERE complete = 0 OR id = ?", (id_,))


# What comes out is what went in

TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=60)
PIECES = st.one_of(
    TEXT, st.sampled_from(["a\r\nb\r", "\n\n", "\0", "日本 語", '{"k": "caf\\u00e9\\n"}', "x" * 90])
)


@st.composite
def drafted(draw: st.DrawFn) -> list[Draft]:
    made = []
    for text in draw(st.lists(PIECES, min_size=1, max_size=12)):
        offsets = st.sets(st.integers(1, max(1, len(text) - 1)), max_size=3)
        records = sorted(draw(offsets)) if len(text) > 1 else []
        marks = sorted(draw(st.sets(st.integers(0, len(text) - 1), max_size=3)))
        places = [(at, draw(st.integers(0, 2**31))) for at in marks]
        context = draw(st.sampled_from(["", "A > B", "名"]))
        made.append(
            Draft(
                text, draw(st.integers(0, 2_000)), draw(st.integers(0, 9)), context, tuple(records),
                marks=tuple(places),
            )
        )  # fmt: skip
    return made


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(drafts=drafted(), media=st.sampled_from(["text", "json", "pdf"]), data=st.data())
def test_another_library_gets_the_same_rows(
    library: Library,
    other: Library,
    blobs: Kept,
    small: None,
    drafts: list[Draft],
    media: str,
    data: st.DataObject,
) -> None:
    places = data.draw(st.sampled_from([PLACES_LINES, PLACES_LINE_MARKS, PLACES_PAGE_MARKS, PLACES_NONE]))
    if not places.endswith("marks"):
        drafts = [draft._replace(marks=()) for draft in drafts]
    if media == "json":
        drafts = [draft._replace(indexed=unescaped(draft.text)) for draft in drafts]
    drafts = [Draft(f"{next(_NUMBERS)} ", 1, 1), *drafts]  # no two examples are of one text
    source = write(library, drafts, media, places)
    asyncio.run(publish(library, blobs, [source]))

    far = Afar(other.database, lambda: blobs, lambda _: None)
    for _ in range(4):
        start, end = sorted(data.draw(st.integers(0, source.chars)) for _ in range(2))
        span = Span(source.id, start, end)
        assert far.text(span) == library.text(span)
        assert far.locate(span, "p") == library.locate(span, "p")

    asyncio.run(fetch(other, blobs, [source]))
    assert rows(other, source) == rows(library, source)


def files(folder: Path) -> Path:
    folder.mkdir()
    lines = [f"Keeper {n} lit the café lamp at {n}:00.\r\n" for n in range(400)]
    (folder / "crlf.txt").write_bytes("".join(lines).encode())
    (folder / "latin.txt").write_bytes("Le phare est fermé. Près de la côte.\n".encode("latin-1") * 9)
    (folder / "bom.txt").write_bytes("\ufeffA lamp by the mark.\n".encode())
    (folder / "notes.md").write_text("# Lamps\n\nOne.\n\n## Oil\n\n- whale\n- rape\n\n" * 30)
    (folder / "rows.csv").write_text("name,lamp\n" + "".join(f"k{n},l{n}\n" for n in range(90)))
    objects = [{"name": f"caf\u00e9 {n}", "said": "a\nb", "n": n} for n in range(90)]
    (folder / "rows.jsonl").write_text("".join(json.dumps(one) + "\n" for one in objects))
    (folder / "page.html").write_text("<h1>Lamp</h1>\n\n\n<p>It is <b>lit</b>.</p>\n<ul><li>a<li>b</ul>" * 9)
    (folder / "code.py").write_text("def lamp():\n    return 1\n\n\nclass Oil:\n    pass\n" * 20)
    document = docx.Document()
    document.add_heading("Lamps", 1)
    document.add_paragraph("The lamp of 1821 burned whale oil.")
    document.save(str(folder / "lamps.docx"))
    (folder / "lamps.pdf").write_bytes(pdf(FIRST, ["On the second page."], ["And on the last."]))
    return folder


async def test_what_was_read_from_files_is_found_and_placed_alike(
    library: Library, other: Library, blobs: Kept, tmp_path: Path
) -> None:
    corpus = await gather([str(files(tmp_path / "in"))], library)
    assert len(corpus.sources) == 10
    await publish(library, blobs, corpus.sources)
    long(other)  # so that nothing has the same number there
    await fetch(other, blobs, corpus.sources)
    for source in corpus.sources:
        assert rows(other, source) == rows(library, source), source.path
    for question in ("café lamp", "whale oil of 1821", "k17", "fermé près", "class Oil"):
        here, there = (one.search(question, corpus, 9) for one in (library, other))
        assert [(one.span, one.score, one.text) for one in here] == [
            (one.span, one.score, one.text) for one in there
        ]
        assert here
    names = {Path(source.path).name: source for source in corpus.sources}
    made = {
        name: Text(one.id, "", blobs.there[head_name(one.id)], blobs).head.reader for name, one in names.items()
    }
    whole = {"crlf.txt", "notes.md", "rows.csv", "rows.jsonl", "code.py"}
    assert {name for name, reader in made.items() if reader == READER} == whole, "the id says what these are"


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
async def test_both_stores_keep_texts(
    kind: str, library: Library, other: Library, small: None, request: pytest.FixtureRequest
) -> None:
    source, short = long(library), write(library, [Draft("short", 1, 1)])
    server: LocalPostgres = request.getfixturevalue("postgres") if kind == "postgres" else None  # type: ignore[assignment]
    kept: Blobs = SqliteBlobs(library.database) if kind == "sqlite" else PostgresBlobs(server.database())
    with closing(kept):
        assert await publish(library, kept, [source, short]) > 0
        assert await publish(library, kept, [source, short]) == 0
        await fetch(other, kept, [source, short])
        assert rows(other, source) == rows(library, source)
        drop(kept, [source.id])
        assert kept.missing([head_name(source.id), head_name(short.id)]) == {head_name(source.id)}
        assert part_name(source.id, 3) in kept.missing([part_name(source.id, 3)])


# Sent once, and whole or not at all


async def test_what_is_there_is_not_sent_again(library: Library, blobs: Kept, small: None) -> None:
    source = long(library)
    first = await publish(library, blobs, [source, source])
    assert first == sum(map(len, blobs.there.values()))
    assert len(blobs.sent) == len(set(blobs.sent)) > 5
    blobs.sent.clear()
    assert await publish(library, blobs, [source]) == 0
    assert not blobs.sent
    assert await publish(library, blobs, []) == 0


@pytest.mark.parametrize("taken", [0, 1, 4])
async def test_what_broke_off_does_not_look_whole_and_goes_on(
    taken: int, library: Library, other: Library, blobs: Kept, small: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("swarm.store.texts._OUT_BYTES", 1)
    source, blobs.left = long(library), taken
    with pytest.raises(StoreError, match="went away"):
        await publish(library, blobs, [source])
    assert len(blobs.there) == taken
    with pytest.raises(SourceError, match=r"the text of \w+\.txt is neither here nor in the store"):
        await fetch(other, blobs, [source])
    assert not at_all(other, source.id)
    blobs.sent.clear()
    blobs.left = 1 << 30
    await publish(library, blobs, [source])
    assert len(blobs.sent) == len(blobs.there) - taken
    assert blobs.sent[-1] == head_name(source.id)
    await fetch(other, blobs, [source])
    assert rows(other, source) == rows(library, source)


async def test_a_library_that_lacks_a_source_cannot_publish_it(
    library: Library, other: Library, blobs: Kept
) -> None:
    with pytest.raises(StoreError, match="does not hold source"):
        await publish(other, blobs, [long(library)])
    assert not blobs.there


async def test_dropped_texts_leave_nothing_also_where_they_were_broken_off(
    library: Library, blobs: Kept, small: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("swarm.store.texts._OUT_BYTES", 1)
    monkeypatch.setattr("swarm.store.published._PARTS_AHEAD", 3)
    stays, goes, broken = (long(library, word) for word in ("stays", "goes", "broken"))
    await publish(library, blobs, [stays])
    before = set(blobs.there)
    await publish(library, blobs, [goes])
    blobs.left = 5
    with pytest.raises(StoreError):
        await publish(library, blobs, [broken])
    drop(blobs, [goes.id, broken.id, "snever"])
    assert set(blobs.there) == before


# Many at once


class Slow(Kept):
    """Blobs that are read once `go` is set."""

    def __init__(self) -> None:
        super().__init__()
        self.asked, self.go = threading.Event(), threading.Event()

    def get(self, names: Collection[str]) -> dict[str, bytes]:
        self.asked.set()
        assert self.go.wait(20)
        return super().get(names)


async def test_many_who_want_the_same_sources_fetch_each_once(
    library: Library, other: Library, small: None
) -> None:
    slow = Slow()
    sources = [long(library, f"word{n}", 8) for n in range(12)]
    await publish(library, slow, sources)
    pick = random.Random(7)
    wanted = [pick.sample(sources, 6) for _ in range(30)]
    asking = [asyncio.create_task(fetch(other, slow, some)) for some in wanted]
    await asyncio.to_thread(slow.asked.wait, 20)
    slow.go.set()
    await asyncio.gather(*asking)
    assert set(slow.read.values()) == {1}
    assert not other.lacking([one for some in wanted for one in some])


async def test_whoever_waits_takes_over_when_the_first_gives_up(library: Library, other: Library) -> None:
    slow = Slow()
    source = long(library)
    await publish(library, slow, [source])
    first = asyncio.create_task(fetch(other, slow, [source]))
    await asyncio.to_thread(slow.asked.wait, 20)
    second = asyncio.create_task(fetch(other, slow, [source]))
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.sleep(0)
    slow.go.set()
    with pytest.raises(asyncio.CancelledError):
        await first
    await second
    assert rows(other, source) == rows(library, source)


async def test_what_fails_for_one_source_fails_for_those_alone_who_want_it(
    library: Library, other: Library, blobs: Kept
) -> None:
    there, lost = long(library, "there"), long(library, "lost")
    await publish(library, blobs, [there])
    came = await asyncio.gather(
        *(fetch(other, blobs, some) for some in ([lost, there], [there], [lost], [there, lost])),
        return_exceptions=True,
    )
    assert [type(one).__name__ for one in came] == ["Absent", "NoneType", "Absent", "Absent"]
    assert not at_all(other, lost.id)


# Damage, and whoever means harm


def read(source: Source, blobs: Kept) -> list[list[Draft]]:
    text = Text(source.id, source.path, blobs.there[head_name(source.id)], blobs)
    return [text.part(number) for number in range(len(text.head.parts))]


async def test_one_wrong_byte_anywhere_is_noticed(
    library: Library, other: Library, blobs: Kept, small: None
) -> None:
    source = long(library, passages=12)
    await publish(library, blobs, [source])
    sound, whole, pick, noticed = dict(blobs.there), read(source, blobs), random.Random(3), 0
    for name, body in sound.items():
        for how in range(40):
            at = pick.randrange(len(body))
            blobs.there[name] = body[:at] + (
                bytes([body[at] ^ (1 << how % 8)]) + body[at + 1 :] if how % 4 else b""
            )
            try:
                assert read(source, blobs) == whole, "a bit that is never looked at"
            except Damaged:
                noticed += 1
        blobs.there[name] = body[:-5]
        with pytest.raises(StoreError, match="damaged"):
            await fetch(other, blobs, [source])
        assert not at_all(other, source.id)
        del blobs.there[name]
        with pytest.raises(UsageError, match=r"neither here nor|a part is not there"):
            await fetch(other, blobs, [source])
        blobs.there[name] = body
    assert noticed > 0.95 * 40 * len(sound)
    await fetch(other, blobs, [source])
    assert rows(other, source) == rows(library, source)


TEN = [Draft("0123456789", 3, 1)]


def forged(source: Source, part: bytes, **told: Any) -> bytes:
    """A head that agrees with itself."""
    head = Head("text", "lines", source.chars, source.bytes, READER, [Begins(0, 1, packed.hash_of(part))])
    return packed.seal(packed.pack_head(head._replace(**told), part))


def drawn(contexts: Any, passages: Any, indexed: Any = (), text: str = "0123456789") -> bytes:
    return packed._joined((contexts, passages, indexed), text.encode("utf-8", "surrogatepass"))


HARM = {
    "other text": lambda s: forged(s, packed.pack([Draft("9876543210", 3, 1)])),
    "shorter": lambda s: forged(s, packed.pack([Draft("012", 3, 1)])),
    "more in all": lambda s: forged(s, packed.pack(TEN), chars=11),
    "another media": lambda s: forged(s, packed.pack(TEN), media="markdown"),
    "another reader": lambda s: forged(s, packed.pack(TEN), reader=READER + 1),
    "no such places": lambda s: forged(s, packed.pack(TEN), places="moons"),
    "no parts": lambda s: forged(s, packed.pack(TEN), parts=[]),
    "parts in no order": lambda s: forged(s, packed.pack(TEN), parts=[(0, 1, ""), (7, 1, ""), (3, 1, "")]),
    "a part that is nowhere": lambda s: forged(s, b"", parts=[(0, 1, "00" * 16)]),
    "no JSON": lambda s: packed.seal(b"\0\0\0\4{{{{"),
    "deep": lambda s: packed.seal((90_000).to_bytes(4, "big") + b"[" * 90_000),
    "a length beyond": lambda s: packed.seal(b"\xff\xff\xff\xff[]"),
    "empty": lambda s: b"",
    "a bomb": lambda s: b"0" * 16 + zlib.compress(bytes(packed._MOST_BYTES + 1), 9),
    "no context": lambda s: forged(s, drawn([], [[10, 1, 1, 0, [], []]])),
    "no passages": lambda s: forged(s, drawn([], [])),
    "a negative size": lambda s: forged(s, drawn([""], [[12, 1, 1, 0, [], []], [-2, 1, 1, 0, [], []]])),
    "huge tokens": lambda s: forged(s, drawn([""], [[10, 1 << 40, 1, 0, [], []]])),
    "records in no order": lambda s: forged(s, drawn([""], [[10, 1, 1, 0, [5, 4], []]])),
    "records beyond": lambda s: forged(s, drawn([""], [[10, 1, 1, 0, [10], []]])),
    "marks twice": lambda s: forged(s, drawn([""], [[10, 1, 1, 0, [], [[2, 1], [2, 1]]]])),
    "half a pair": lambda s: forged(s, drawn([""], [[10, 1, 1, 0, [], []]], text="012345678\ud800")),
}


@pytest.mark.parametrize("harm", HARM)
async def test_whoever_means_harm_gets_one_clear_line(
    harm: str, library: Library, other: Library, blobs: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packed, "_MOST_BYTES", 1 << 20)
    source = write(library, TEN)
    blobs.there[head_name(source.id)] = HARM[harm](source)
    with pytest.raises(StoreError, match=r"^the text of \w+\.txt in the store is damaged \([^\n]+$") as caught:
        await fetch(other, blobs, [source])
    assert not at_all(other, source.id)
    again = pickle.loads(pickle.dumps(caught.value))
    assert (str(again), again.source) == (str(caught.value), source.id)
    sound = write(library, [Draft("sound", 1, 1)])
    await publish(library, blobs, [sound])
    await fetch(other, blobs, [sound])  # nothing is left open


async def test_marks_of_two_parts_that_meet_are_damage(library: Library, other: Library, blobs: Kept) -> None:
    """What the library would refuse with an error of its own."""
    source = write(library, [Draft("01234", 1, 1), Draft("56789", 1, 1)])
    ones = [
        packed.pack([Draft(text, 1, 1, marks=marks)])
        for text, marks in (("01234", ((5, 2),)), ("56789", ((0, 3),)))
    ]
    begins = [Begins(0, 1, packed.hash_of(ones[0])), Begins(5, 1, packed.hash_of(ones[1]))]
    head = Head("text", "page marks", 10, 10, 0, begins)
    blobs.there = {part_name(source.id, at): packed.squeeze(one) for at, one in enumerate(ones)}
    blobs.there[head_name(source.id)] = packed.seal(packed.pack_head(head))
    with pytest.raises(Damaged):
        await fetch(other, blobs, [source])
    assert not at_all(other, source.id)


# From afar


def test_of_a_large_source_only_what_is_shown_is_read(
    library: Library, other: Library, blobs: Kept, small: None
) -> None:
    source = long(library, passages=200)
    asyncio.run(publish(library, blobs, [source]))
    far = Afar(other.database, lambda: blobs, lambda _: None)
    span = Span(source.id, 1_000, 1_030)
    for _ in range(3):
        assert far.text(span) == library.text(span)
        assert far.locate(span, "a") == library.locate(span, "a")
    assert blobs.read.total() <= 3
    assert far.source(source.id) == library.source(source.id)
    assert far.lacking([source]) == [source], "nothing was written"


def test_what_is_here_is_not_asked_for_and_what_is_nowhere_not_again_and_again(library: Library) -> None:
    def never() -> Blobs:
        raise AssertionError

    source = long(library)
    near = Afar(library.database, never, lambda _: None)
    assert near.text(Span(source.id, 0, 4)) == "word"
    assert near.locate(Span(source.id, 0, 4), "a").line == 1
    blobs = Kept()
    far = Afar(library.database, lambda: blobs, lambda id_: ("markdown", "a\nb é") if id_ == "made" else None)
    for _ in range(3):
        with pytest.raises(StoreError, match="does not hold source"):
            far.text(Span("snone", 0, 4))
        assert far.source("snone") is None
    assert blobs.read.total() == 1
    assert far.text(Span("made", 2, 5)) == "b é"[:3]
    assert far.locate(Span("made", 2, 3), "r").line == 2
    made = far.source("made")
    assert made is not None
    assert (made.chars, made.bytes) == (5, 6)


def test_search_and_passages_are_of_what_the_library_holds(library: Library, other: Library, blobs: Kept) -> None:
    source = long(library)
    asyncio.run(publish(library, blobs, [source]))
    far = Afar(other.database, lambda: blobs, lambda _: None)
    with pytest.raises(StoreError):
        far.search("word", Corpus(sources=(source,)), 3)
