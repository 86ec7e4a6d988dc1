"""From paths to a corpus in the library: read once, found again unopened, and all that was left out listed."""

from __future__ import annotations

import asyncio
import gzip
import io
import os
import random
import sys
from pathlib import Path

import docx
import pytest

from swarm.errors import SourceError
from swarm.source import Span
from swarm.sources import original, reading
from swarm.sources.gather import gather
from swarm.store import intake

WORDS = [f"word{n}" for n in range(500)]


def prose(chars: int, seed: int = 0) -> str:
    pick = random.Random(seed)
    text = ""
    while len(text) < chars:
        text += " ".join(pick.choices(WORDS, k=40)).capitalize() + ".\n\n"
    return text


def docx_bytes(*paragraphs: str) -> bytes:
    document = docx.Document()
    for paragraph in paragraphs:
        document.add_paragraph(paragraph)
    stream = io.BytesIO()
    document.save(stream)
    return stream.getvalue()


@pytest.fixture
def opened(monkeypatch):
    """The files that are opened."""
    found: list[str] = []

    def open_regular(path: str, root: str = ""):
        found.append(Path(path).name)
        return original.open_regular(path, root)

    monkeypatch.setattr(reading, "open_regular", open_regular)
    return found


TEXTS = {
    "a.txt": "First.\r\n\r\nSecond, with \ttabs.\rOld Mac.\n",
    "b.md": "# Title\n\nBody – “quoted”.\n",
    "c.csv": 'x,y\n"1\n2",3\n',
    "d.json": '{"a": [1, 2, {"b": "caf\\u00e9"}]}',
    "e.jsonl": '{"a": 1}\n{"a": 2}\n',
    "f.py": "def f():\n    return 1\n",
    "g.yaml": "a:\n  - b\n",
    "Makefile": "all:\n\techo x\n",
}


async def test_the_text_of_a_source_is_exactly_the_files(library, write):
    for name, text in TEXTS.items():
        write(name, text)
    corpus = await gather(["."], library)
    assert [source.path for source in corpus.sources] == sorted(TEXTS)
    assert corpus.skipped == ()
    for source in corpus.sources:
        data = Path(source.path).read_bytes()
        text = data.decode()
        assert library.text(Span(source.id, 0, source.chars)) == text
        assert source.chars == len(text)
        assert source.bytes == len(data)
    media = {source.path: source.media for source in corpus.sources}
    assert media == {
        "a.txt": "text", "b.md": "markdown", "c.csv": "csv", "d.json": "json", "e.jsonl": "jsonl", "f.py": "code",
        "g.yaml": "text", "Makefile": "code",
    }  # fmt: skip


async def test_passages_tile_every_source_and_the_first_has_the_strongest_cut(library, write):
    for seed in range(5):
        write(f"{seed}.md", f"# Book {seed}\n\n" + prose(20_000, seed))
    corpus = await gather(["."], library)
    passages = list(library.passages(corpus))
    for source in corpus.sources:
        own = [passage for passage in passages if passage.span.source == source.id]
        ends = [0, *(passage.span.end for passage in own)]
        assert [passage.span.start for passage in own] == ends[:-1]
        assert ends[-1] == source.chars
        assert [passage.cut for passage in own].count(9) == 1 == [passage.cut for passage in own].index(9) + 1
    assert [passage.id for passage in passages] == sorted(passage.id for passage in passages)


async def test_a_second_run_opens_no_unchanged_file(library, write, opened):
    write("a.txt", "one\n")
    write("b.txt", "two\n")
    write("c.bin", b"\0\1\2")
    first = await gather(["."], library)
    assert opened == ["a.txt", "b.txt", "c.bin"]
    opened.clear()
    told = []
    second = await gather(["."], library, on_source=told.append)
    assert opened == []
    assert second == first
    assert [(event.path, event.fresh) for event in told] == [("a.txt", False), ("b.txt", False)]


async def test_a_changed_file_is_read_again(library, write, opened):
    write("a.txt", "one\n", hours_ago=2)
    write("b.txt", "two\n")
    await gather(["."], library)
    opened.clear()
    write("a.txt", "uno\n")
    corpus = await gather(["."], library)
    assert opened == ["a.txt"]
    assert library.text(Span(corpus.sources[0].id, 0, 99)) == "uno\n"


async def test_a_file_that_was_just_written_is_not_trusted_to_be_settled(library, write, opened):
    write("a.txt", "one\n", hours_ago=0)
    await gather(["."], library)
    opened.clear()
    corpus = await gather(["."], library)
    assert opened == ["a.txt"]
    assert len(corpus.sources) == 1


async def test_a_renamed_or_copied_file_is_not_read_into_the_store_again(library, write, folder):
    path = write("a.txt", prose(5_000))
    first = await gather(["a.txt"], library)
    path.rename(folder / "renamed.txt")
    told = []
    second = await gather(["."], library, on_source=told.append)
    assert second.sources[0].id == first.sources[0].id
    assert [(event.path, event.fresh) for event in told] == [("renamed.txt", False)]
    assert next(library.passages(second)).context == "renamed"


async def test_each_file_that_is_no_source_says_why(library, write, folder):
    write("a.txt", "text\n")
    write("b.txt", "text\n")
    write("binary.dat", b"\x89PNG\r\n\0\0")
    write("blank.txt", " \n\n ")
    write("broken.docx", b"PK\3\4 but not really")
    write("broken.pdf", b"%PDF-1.7 but not really")
    write("empty.txt", "")
    write("sheet.xlsx", b"PK\3\4")
    write("copy.docx", docx_bytes("Some words."))
    write("same.docx", (folder / "copy.docx").read_bytes())
    write("text.gz", gzip.compress(b"text"))
    (folder / "link").symlink_to("nowhere")
    corpus = await gather(["."], library)
    assert [source.path for source in corpus.sources] == ["a.txt", "copy.docx"]
    reasons = {skip.source: skip.reason for skip in corpus.skipped}
    assert reasons == {
        "b.txt": "duplicate of a.txt",
        "binary.dat": "binary",
        "blank.txt": "empty: nothing but white space",
        "broken.docx": "a corrupt DOCX",
        "broken.pdf": "a corrupt PDF",
        "empty.txt": "empty",
        "link": "a broken link",
        "same.docx": "duplicate of copy.docx",
        "sheet.xlsx": "an Excel workbook, which is not supported: save it as text, HTML, PDF, DOCX or CSV",
        "text.gz": "binary",
    }
    duplicate = next(skip for skip in corpus.skipped if skip.source == "b.txt")
    assert (duplicate.chars, duplicate.bytes) == (5, 5)
    assert corpus.chars == sum(source.chars for source in corpus.sources) + 5 + corpus.sources[1].chars
    assert await gather(["."], library) == corpus


async def test_a_duplicate_becomes_a_source_when_the_first_is_gone(library, write, folder):
    write("a.txt", "text\n")
    write("b.md", "text\n")
    await gather(["."], library)
    (folder / "a.txt").unlink()
    corpus = await gather(["."], library)
    assert [(source.path, source.media) for source in corpus.sources] == [("b.md", "markdown")]


async def test_a_name_that_is_no_utf8_is_read_and_remembered(library, folder, write, opened):
    write(os.fsdecode(b"caf\xe9.txt"), "coffee\n")
    (source,) = (await gather(["."], library)).sources
    assert source.path == "caf\\xe9.txt"
    opened.clear()
    await gather(["."], library)
    assert opened == []


async def test_a_missing_path_is_told_before_anything_is_read(library, write, opened):
    write("a.txt", "text\n")
    with pytest.raises(SourceError, match="missing does not exist"):
        await gather([".", "missing"], library)
    assert opened == []


async def test_nothing_to_read_is_one_line_with_the_reasons(library, write):
    write(".gitignore", "*.log\n")
    write("a.log", "x")
    write("b.bin", b"\0")
    with pytest.raises(SourceError) as caught:
        await gather(["."], library)
    assert str(caught.value) == (
        "nothing to read in . (b.bin: binary; 1 left out by .gitignore): name other files or folders"
    )


async def test_an_empty_folder_is_one_line(library, folder):
    with pytest.raises(SourceError, match=r"^nothing to read in \. \(no files\): name other files or folders$"):
        await gather(["."], library)


async def test_standard_input_is_a_source(library, folder, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b'{"a": 1}\n{"a": 2}\n')))
    corpus = await gather(["-"], library)
    (source,) = corpus.sources
    assert (source.path, source.media, source.chars) == ("-", "jsonl", 18)
    assert str(library.locate(Span(source.id, 9, 10), "-")) == "-:2"


async def test_a_pipe_on_standard_input_can_be_waited_for_and_given_up(library, folder, monkeypatch):
    ours, theirs = os.pipe()
    with os.fdopen(ours, "r") as stream, os.fdopen(theirs, "wb") as writer:
        monkeypatch.setattr(sys, "stdin", stream)
        waiting = asyncio.create_task(gather(["-"], library))
        done, _ = await asyncio.wait([waiting], timeout=0.05)
        assert not done
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        writer.write(b"late")


async def test_another_encoding_is_text_all_the_same(library, write):
    write("a.txt", "Où est passée la belle époque ? Les élèves français étaient très fâchés.".encode("cp1252"))
    write("b.txt", "Привет, мир. Все счастливые семьи похожи друг на друга.".encode("utf-16"))
    corpus = await gather(["."], library)
    texts = [library.text(Span(source.id, 0, source.chars)) for source in corpus.sources]
    assert [text[:6] for text in texts] == ["Où est", "Привет"]


async def test_html_leads_back_to_the_line_of_the_original(library, write):
    page = "<html>\n<body>\n<p>One\n<p>Two\nthree</body>\n</html>\n"
    write("a.html", page)
    (source,) = (await gather(["."], library)).sources
    text = library.text(Span(source.id, 0, source.chars))
    for word, line in (("One", 3), ("Two", 4), ("three", 5)):
        at = text.index(word)
        assert str(library.locate(Span(source.id, at, at + 1), "a.html")) == f"a.html:{line}"


@pytest.fixture
def between(monkeypatch):
    """Have something done to a large file between the first look at it and the reading."""
    monkeypatch.setattr(original, "_KEPT", 1_000)
    monkeypatch.setattr(original, "_PIECE", 1_000)
    look = original.Survey.encoding

    def between(change, times: int) -> None:
        left = [change] * times

        def encoding(self):
            if self.head.startswith(b"Word") and left:
                left.pop()()
            return look(self)

        monkeypatch.setattr(original.Survey, "encoding", encoding)

    return between


async def test_a_file_that_keeps_changing_is_tried_again_and_then_skipped(library, write, between):
    path = write("a.txt", prose(30_000))
    write("b.txt", "unchanged\n")
    seeds = iter(range(1, 9))
    between(lambda: path.write_text(prose(30_000, next(seeds))), times=2)
    corpus = await gather(["."], library)
    assert [source.path for source in corpus.sources] == ["b.txt"]
    assert [(skip.source, skip.reason) for skip in corpus.skipped] == [("a.txt", "it changed while it was read")]
    assert library.database.read("SELECT count(*) FROM sources") == [(1,)]


async def test_a_file_that_changes_once_is_read_as_it_is_then_though_only_its_bytes_tell(library, write, between):
    path = write("a.txt", prose(30_000))
    before = path.stat()

    def change():
        path.write_text(prose(30_000, seed=7)[: before.st_size])
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))

    between(change, times=1)
    (source,) = (await gather(["."], library)).sources
    assert library.text(Span(source.id, 0, source.chars)) == path.read_text()


async def test_a_file_that_only_grows_is_read_as_far_as_it_was_seen(library, write, between):
    path = write("a.txt", prose(30_000))
    text = path.read_text()

    def grow():
        with path.open("a") as file:
            file.write("more")

    between(grow, times=9)
    (source,) = (await gather(["."], library)).sources
    assert library.text(Span(source.id, 0, 99_999)) == text


async def test_cancelling_leaves_nothing_half_read_and_the_next_run_goes_on(library, write, monkeypatch):
    for seed in range(6):
        write(f"{seed}.txt", prose(60_000, seed))
    monkeypatch.setattr(intake, "BATCH_CHARS", 20_000)
    monkeypatch.setattr(reading, "_STEP_SECONDS", 0)  # tell of each source at once
    task: asyncio.Task

    def cancel(event):
        if event.path == "2.txt":
            task.cancel()

    task = asyncio.create_task(gather(["."], library, on_source=cancel))
    with pytest.raises(asyncio.CancelledError):
        await task
    complete = library.database.read("SELECT count(*) FROM sources WHERE complete = 1")[0][0]
    assert 3 <= complete < 6
    corpus = await gather(["."], library)
    assert len(corpus.sources) == 6
    assert library.database.read("SELECT count(*) FROM sources WHERE complete = 0") == [(0,)]
    for table in ("blocks", "passages"):
        orphans = f"SELECT count(*) FROM {table} WHERE source NOT IN (SELECT num FROM sources)"
        assert library.database.read(orphans) == [(0,)]
    indexed = library.database.read("SELECT count(*) FROM passage_index_docsize")[0][0]
    assert indexed == len(list(library.passages(corpus)))


async def test_gathers_at_the_same_time_take_turns(library, write):
    for name in "abcdefgh":
        write(f"{name}/x.txt", prose(30_000, seed=ord(name)))
    found = await asyncio.gather(*(gather([name], library) for name in "abcdefgh"))
    for corpus in found:
        text = "".join(passage.text for passage in library.with_text(library.passages(corpus)))
        assert text == Path(corpus.sources[0].path).read_bytes().decode()


async def test_a_full_disk_is_one_clear_line(library, write, monkeypatch):
    import apsw

    from swarm.errors import StoreError

    write("a.txt", "x\n")

    def write_rows(self, connection):
        raise apsw.FullError("database or disk is full")

    monkeypatch.setattr(intake.Batch, "write", write_rows)
    with pytest.raises(StoreError, match="free some disk"):
        await gather(["."], library)
    monkeypatch.undo()


async def test_memory_does_not_grow_with_a_file(tmp_path, library, write, monkeypatch):
    import tracemalloc

    monkeypatch.setattr(original, "_KEPT", 1 << 18)
    monkeypatch.setattr(original, "_PIECE", 1 << 16)
    monkeypatch.setattr(intake, "BATCH_CHARS", 100_000)
    write("lines.txt", prose(200_000) * 20)
    write("one-line.txt", ("word " * 40_000) * 20)
    await gather(["one-line.txt"], library)  # what is loaded once
    peaks = []
    for name in ("lines.txt", "one-line.txt"):
        (tmp_path / "corpus" / name).write_bytes(b"x" + (tmp_path / "corpus" / name).read_bytes())
        tracemalloc.start()
        await gather([name], library)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert max(peaks) < 12_000_000, peaks


async def test_hundreds_of_small_files_are_found_again_unopened(library, write, opened):
    for number in range(300):
        write(f"{number % 7}/{number}.txt", f"text number {number}\n")
    assert len((await gather(["."], library)).sources) == 300
    opened.clear()
    assert len((await gather(["."], library)).sources) == 300
    assert opened == []
