"""A memory in Markdown files under git: what is written, what of edits is taken, and what nobody can break."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import AsyncIterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from swarm.errors import UsageError
from swarm.memory import pages
from swarm.memory.memory import Memory, open_memory
from swarm.memory.mirror import Mirrored, mirror

TODAY = date(2026, 6, 30)
HOSTILE = (
    "# Not a heading",
    "---\ntitle: front matter\n---\nafter",
    "<script>alert(1)</script>\n</details>",
    "```python\nrm -rf /\n```",
    "> quoted\n> twice",
    "- item\n1. item\n2) item",
    "Setext\n======\n\nAnother\n---",
    "[link](javascript:alert(1)) ![x](../../etc/passwd)",
    "| a | b |\n|---|---|",
    "../../../etc/passwd",
    "\x1b[31mred\x1b[0m\x07 \u202e\u2066hidden\ufeff \ud800",
    "    indented\n\tcode",
    "<!-- comment -->\n&lt;b&gt; &amp; \\* \\",
    "- **city**: Rome — `k0123456789abcdef` since ever",
    "~~~\nfence",
    "* * *",
    "a\r\nb\rc\u2028d",
)


@pytest.fixture
async def memory(tmp_path: Path) -> AsyncIterator[Memory]:
    async with open_memory("anna", store=tmp_path / "memory.db") as opened:
        yield opened


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "mirror"


async def sync(memory: Memory, folder: Path) -> Mirrored:
    return await mirror(memory, folder, today=TODAY)


def git(folder: Path, *words: str) -> str:
    return subprocess.run(
        ["git", "-c", "user.name=P", "-c", "user.email=p@localhost", *words],
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    ).stdout


def edit(page: Path, old: str, new: str) -> None:
    text = page.read_text()
    assert old in text
    page.write_text(text.replace(old, new))


async def moved(memory: Memory) -> None:
    """Anna lives in Porto, then in Lisbon."""
    said = {"role": "user", "name": "Anna"}
    await memory.remember(
        [
            said | {"content": "Good morning.", "at": "2026-05-01T10:00"},
            {"role": "assistant", "content": "Good morning, Anna.", "at": "2026-05-01T10:01"},
            said | {"content": "The weather changed.", "at": "2026-05-20T09:00"},
        ]
    )
    for city, when in (("Porto", "2026-05-01"), ("Lisbon", "2026-05-20")):
        await memory.add_fact(f"Anna lives in {city}", subject="Anna", attribute="city", value=city, time=when)


# What is written


async def test_it_holds_blocks_facts_with_their_history_and_messages_by_day(memory: Memory, folder: Path) -> None:
    await moved(memory)
    await memory.write_block("human", "Anna likes short answers.", description="who she is")
    await memory.add_fact("It rained all day.", time="2026-05-02")
    done = await sync(memory, folder)
    assert set(done.written) >= {
        "README.md", "blocks/human.md", "facts/anna.md", "facts/2026-05.md",
        "messages/2026/2026-05-01.md", "messages/2026/2026-05-20.md",
    }  # fmt: skip
    assert (folder / "blocks/human.md").read_text() == "# human\n\nAnna likes short answers.\n"
    current, _, before = (folder / "facts/anna.md").read_text().partition(pages.HISTORY)
    assert "- **city**: Lisbon — `k" in current
    assert "since 2026-05-20" in current
    assert "Porto" not in current
    assert "~~**city**: Porto~~" in before
    assert "until 2026-05-20" in before
    first = (folder / "messages/2026/2026-05-01.md").read_text()
    assert "> Good morning.\n" in first
    assert "weather" not in first
    index = (folder / "README.md").read_text()
    assert "[human](blocks/human.md): who she is" in index
    assert "[Anna](facts/anna.md)" in index
    assert git(folder, "status", "--porcelain") == ""


async def test_a_fact_leads_to_the_message_that_it_rests_on(memory: Memory, folder: Path) -> None:
    await moved(memory)
    message = next(memory.messages())
    await memory.add_fact("She is polite.", subject="Anna", time="2026-05-02", source=message.id)
    await sync(memory, folder)
    page = (folder / "facts/anna.md").read_text()
    shown = pages.shown_id(message.id)
    assert f"[said by Anna](../messages/2026/2026-05-01.md#{shown})" in page
    assert f'<a id="{shown}"></a>' in (folder / "messages/2026/2026-05-01.md").read_text()


async def test_messages_that_nobody_dated_stand_by_number(memory: Memory, folder: Path) -> None:
    await memory.remember([{"role": "user", "content": f"Message {n}"} for n in range(3)])
    await sync(memory, folder)
    text = (folder / "messages/0000001-0000500.md").read_text()
    assert [f"Message {n}" in text for n in range(4)] == [True, True, True, False]


async def test_an_index_that_does_not_name_all_days_says_where_the_others_are(
    memory: Memory, folder: Path
) -> None:
    days = [f"2026-{month:02}-{day:02}" for month in range(1, 6) for day in range(1, 11)]
    await memory.remember([{"role": "user", "content": f"On {day}.", "at": day} for day in days])
    await sync(memory, folder)
    index = (folder / "README.md").read_text()
    assert "- earlier ones in [messages](messages/)\n" in index
    assert f"[{days[-1]}]" in index
    assert f"[{days[0]}]" not in index
    assert "50 messages and 0 facts since the last one" in git(folder, "log", "-1", "--format=%b")


async def test_nothing_is_written_and_committed_where_nothing_changed(memory: Memory, folder: Path) -> None:
    await moved(memory)
    await sync(memory, folder)
    before = git(folder, "rev-parse", "HEAD")
    stamps = {path: path.stat().st_mtime_ns for path in folder.rglob("*.md")}
    done = await sync(memory, folder)
    assert (done.written, done.removed, done.commit, done.edits) == ((), (), None, None)
    assert git(folder, "rev-parse", "HEAD") == before
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*.md")} == stamps


async def test_only_pages_that_changed_are_written(memory: Memory, folder: Path) -> None:
    await moved(memory)
    await memory.add_fact("Ben plays chess", subject="Ben", attribute="plays", value="chess")
    await sync(memory, folder)
    await memory.remember([{"role": "user", "content": "Later.", "at": "2026-06-01T10:00"}])
    done = await sync(memory, folder)
    assert set(done.written) == {"README.md", "messages/2026/2026-06-01.md"}
    await memory.add_fact("x", subject="Anna", attribute="city", value="Rome", time="2026-06-10")
    done = await sync(memory, folder)
    assert set(done.written) - {"README.md"} == {"facts/anna.md"}


async def test_the_same_memory_makes_the_same_files_at_once_or_bit_by_bit(memory: Memory, tmp_path: Path) -> None:
    for day in range(1, 9):
        said = [
            {"role": "user", "content": f"On day {day} word {n}", "at": f"2026-05-0{day % 3 + 1}"}
            for n in range(3)
        ]
        await memory.remember(said)
        await memory.add_fact(f"f{day}", subject="Anna", attribute="city", value=f"v{day}", time=f"2026-05-0{day}")
        added = await memory.add_fact(f"sentence {day}", subject="Ben" if day % 2 else None, time="2026-05-01")
        if day % 3 == 0:
            await memory.retire(added.id, "wrong")
        await sync(memory, tmp_path / "bit by bit")
    await sync(memory, tmp_path / "at once")
    assert _files(tmp_path / "at once") == _files(tmp_path / "bit by bit")


async def test_what_was_forgotten_or_dropped_goes_from_the_pages(memory: Memory, folder: Path) -> None:
    await moved(memory)
    await memory.write_block("human", "x")
    await sync(memory, folder)
    await memory.forget(list(memory.messages())[-1].id)
    await memory.drop_block("human")
    done = await sync(memory, folder)
    assert set(done.removed) == {"blocks/human.md", "messages/2026/2026-05-20.md"}
    assert "weather" not in "".join(_files(folder).values())
    assert git(folder, "status", "--porcelain") == ""


async def test_a_long_day_has_several_pages(memory: Memory, folder: Path) -> None:
    said = [{"role": "user", "content": f"{n} " + "word " * 3_900, "at": "2026-05-01"} for n in range(50)]
    await memory.remember(said[:30])
    await sync(memory, folder)
    await memory.remember(said[30:])
    await sync(memory, folder)
    days = sorted(path.name for path in (folder / "messages/2026").iterdir())
    assert days == ["2026-05-01-2.md", "2026-05-01-3.md", "2026-05-01.md"]
    text = "".join(_files(folder).values())
    assert all(f"> {n} word" in text for n in range(50))


async def test_of_a_huge_message_the_beginning_is_shown(memory: Memory, folder: Path) -> None:
    await memory.remember([{"role": "user", "content": "word " * 400_000, "at": "2026-05-01"}])
    await sync(memory, folder)
    page = folder / "messages/2026/2026-05-01.md"
    assert page.stat().st_size < 50_000
    assert "1,980,000 more characters are in the memory" in page.read_text()


# What a person edits


async def test_a_block_that_was_edited_is_rewritten(memory: Memory, folder: Path) -> None:
    await memory.write_block("human", "Likes tea.", limit_tokens=50)
    await sync(memory, folder)
    edit(folder / "blocks/human.md", "Likes tea.", "Likes tea.\n\n- and coffee")
    done = await sync(memory, folder)
    assert memory.blocks["human"].text == "Likes tea.\n\n- and coffee"
    assert memory.blocks["human"].limit_tokens == 50
    assert done.taken == ("blocks/human.md: the block human was rewritten",)


async def test_a_new_file_is_a_new_block(memory: Memory, folder: Path) -> None:
    await sync(memory, folder)
    (folder / "blocks").mkdir()
    (folder / "blocks/plans.md").write_text("Go to Rome.")
    await sync(memory, folder)
    assert memory.blocks["plans"].text == "Go to Rome."
    assert (await sync(memory, folder)).commit is None


async def test_a_value_that_was_changed_takes_the_place_of_the_one_before(memory: Memory, folder: Path) -> None:
    await moved(memory)
    await sync(memory, folder)
    edit(folder / "facts/anna.md", "- **city**: Lisbon", "- **city**: Rome (near the *station*)")
    done = await sync(memory, folder)
    versions = memory.history("Anna", "city")
    assert [fact.value for fact in versions] == ["Porto", "Lisbon", "Rome (near the *station*)"]
    assert versions[-1].at == "2026-06-30"
    assert versions[-1].now
    assert versions[-1].origin == "hand"
    assert len(done.taken) == 1
    assert "Lisbon" in done.taken[0]
    assert (await sync(memory, folder)).commit is None


async def test_a_line_that_was_removed_is_retired_and_one_that_was_written_is_added(
    memory: Memory, folder: Path
) -> None:
    await moved(memory)
    kept = await memory.add_fact("She swims.", subject="Anna")
    gone = await memory.add_fact("She smokes.", subject="Anna")
    await sync(memory, folder)
    page = folder / "facts/anna.md"
    lines = [line for line in page.read_text().split("\n") if "smokes" not in line]
    at = next(n for n, line in enumerate(lines) if "swims" in line)
    page.write_text("\n".join([*lines[:at], "- **pet**: a dog", "She sings.", *lines[at:]]))
    done = await sync(memory, folder)
    assert len(done.taken) == 3
    assert memory.fact(gone.id).state == "retired"  # type: ignore[union-attr]
    assert memory.fact(kept.id).now  # type: ignore[union-attr]
    assert memory.history("Anna", "pet")[0].value == "a dog"
    assert any(fact.text == "She sings." and fact.subject == "Anna" for fact in memory.facts("sings"))
    assert "removed by hand" in page.read_text().partition(pages.HISTORY)[2]
    assert (await sync(memory, folder)).commit is None


async def test_a_sentence_that_was_rewritten_replaces_the_one_before(memory: Memory, folder: Path) -> None:
    old = await memory.add_fact("It rained.", time="2026-05-02")
    await sync(memory, folder)
    edit(folder / "facts/2026-05.md", "It rained.", "It snowed.")
    await sync(memory, folder)
    assert not memory.fact(old.id).now  # type: ignore[union-attr]
    assert [fact.text for fact in memory.facts("snowed")] == ["It snowed."]
    page = (folder / "facts/2026-05.md").read_text()
    assert "~~It rained.~~" in page


async def test_where_the_memory_changed_meanwhile_it_stays_and_the_edit_is_told_and_kept(
    memory: Memory, folder: Path
) -> None:
    await moved(memory)
    await memory.write_block("human", "first")
    await sync(memory, folder)
    await memory.write_block("human", "second")
    await memory.add_fact("x", subject="Anna", attribute="city", value="Oslo", time="2026-06-20")
    edit(folder / "blocks/human.md", "first", "mine")
    edit(folder / "facts/anna.md", "**city**: Lisbon", "**city**: Rome")
    done = await sync(memory, folder)
    assert memory.blocks["human"].text == "second"
    assert [fact.value for fact in memory.facts("Anna city") if fact.attribute == "city"] == ["Oslo"]
    assert done.taken == ()
    assert any("rewritten meanwhile" in line for line in done.told)
    assert any("Lisbon" in line and "Oslo" in line and "Rome" in line for line in done.told)
    assert (folder / "blocks/human.md").read_text() == "# human\n\nsecond\n"
    assert done.edits is not None
    assert done.edits[:12] in done.told[-1]
    assert "mine" in git(folder, "show", f"{done.edits}:blocks/human.md")
    assert "Rome" in git(folder, "show", f"{done.edits}:facts/anna.md")


async def test_an_edit_of_a_person_who_commits_it_themselves_is_read_all_the_same(
    memory: Memory, folder: Path
) -> None:
    await memory.write_block("human", "first")
    await sync(memory, folder)
    edit(folder / "blocks/human.md", "first", "mine")
    git(folder, "commit", "-qam", "my own commit")
    await sync(memory, folder)
    assert memory.blocks["human"].text == "mine"
    assert "my own commit" in git(folder, "log", "--format=%s")


async def test_a_sync_that_was_cut_short_takes_nothing_twice(
    memory: Memory, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await moved(memory)
    await sync(memory, folder)
    edit(folder / "facts/anna.md", "- **city**: Lisbon", "- **pet**: a dog\n- She sings.\n- **city**: Rome")
    from swarm.memory.checkout import Checkout

    async def cut(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Checkout, "commit", cut)
    with pytest.raises(KeyboardInterrupt):
        await sync(memory, folder)
    monkeypatch.undo()
    done = await sync(memory, folder)
    assert (done.taken, done.told) == ((), ())
    assert [fact.value for fact in memory.history("Anna", "city")] == ["Porto", "Lisbon", "Rome"]
    assert len([fact for fact in memory.facts("Anna", 100) if fact.text == "She sings."]) == 1


@pytest.mark.parametrize("first", [True, False])
async def test_a_process_that_died_before_the_commit_leaves_nothing_that_looks_like_an_edit(
    memory: Memory, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, first: bool
) -> None:
    from swarm.memory.checkout import Checkout

    await moved(memory)
    if not first:
        await sync(memory, folder)
        await memory.remember([{"role": "user", "content": "Later.", "at": "2026-05-20"}])
        await memory.add_fact("x", subject="Anna", attribute="city", value="Rome", time="2026-06-01")
        await memory.write_block("human", "x")
    commit = Checkout.commit

    async def dies(self: Checkout, message: str, paths: Any, state: Any = None) -> Any:
        if state is not None:
            raise KeyboardInterrupt
        return await commit(self, message, paths)

    monkeypatch.setattr(Checkout, "commit", dies)
    with pytest.raises(KeyboardInterrupt):
        await sync(memory, folder)
    monkeypatch.undo()
    done = await sync(memory, folder)
    assert (done.taken, done.told, done.edits) == ((), (), None)
    await sync(memory, tmp_path / "fresh")
    assert _files(folder) == _files(tmp_path / "fresh")
    assert (await sync(memory, folder)).commit is None


async def test_two_at_once_take_turns(memory: Memory, folder: Path) -> None:
    await moved(memory)
    one, other = await asyncio.gather(sync(memory, folder), sync(memory, folder))
    assert sorted([one.commit is None, other.commit is None]) == [False, True]


@pytest.mark.parametrize(
    ("path", "text", "told"),
    [
        ("blocks/Näme.md", "x", "small letters"),
        ("blocks/long.md", "word " * 600, "500 tokens"),
        ("facts/other.md", "# Anna\n- She swims.", "call the file anna.md"),
        ("messages/2026/mine.md", "x", "no page of the mirror"),
        ("facts/deep/anna.md", "x", "no page of the mirror"),
    ],
)
async def test_a_file_that_cannot_be_taken_is_told_and_left_alone(
    memory: Memory, folder: Path, path: str, text: str, told: str
) -> None:
    await moved(memory)
    await sync(memory, folder)
    (folder / path).parent.mkdir(parents=True, exist_ok=True)
    (folder / path).write_text(text)
    done = await sync(memory, folder)
    assert any(told in line for line in done.told), done.told
    assert (folder / path).read_text() == text
    await memory.forget(next(memory.messages()).id)  # all pages are made anew
    await sync(memory, folder)
    assert (folder / path).read_text() == text


async def test_pages_of_what_was_said_are_not_edited(memory: Memory, folder: Path) -> None:
    await moved(memory)
    await sync(memory, folder)
    page = folder / "messages/2026/2026-05-01.md"
    before = page.read_text()
    edit(page, "Good morning.", "Good night.")
    (folder / "facts/anna.md").unlink()
    done = await sync(memory, folder)
    assert page.read_text() == before
    assert (folder / "facts/anna.md").exists()
    assert any("what was said" in line for line in done.told)
    assert any("was removed and is written again" in line for line in done.told)
    assert memory.facts("city")[0].now


async def test_files_of_others_are_never_touched(memory: Memory, folder: Path) -> None:
    await moved(memory)
    await sync(memory, folder)
    (folder / "notes.txt").write_text("mine")
    (folder / "messages/2026/photo.png").write_bytes(b"x")
    git(folder, "add", "notes.txt")
    await memory.remember([{"role": "user", "content": "More.", "at": "2026-06-01"}])
    done = await sync(memory, folder)
    assert "notes.txt" not in git(folder, "show", "--name-only", "--format=", str(done.commit))
    assert git(folder, "status", "--porcelain").splitlines() == ["A  notes.txt", "?? messages/2026/photo.png"]


# The folder


@pytest.mark.parametrize("holds", ["a.txt", ".hidden", "blocks"])
async def test_a_folder_that_holds_other_things_is_refused(memory: Memory, folder: Path, holds: str) -> None:
    folder.mkdir()
    (folder / holds).mkdir()
    with pytest.raises(UsageError, match="holds other things"):
        await sync(memory, folder)
    assert [path.name for path in folder.iterdir()] == [holds]


async def test_a_repository_of_somebody_else_is_refused(memory: Memory, folder: Path) -> None:
    folder.mkdir()
    git(folder, "init", "-q")
    (folder / "code.py").write_text("x")
    with pytest.raises(UsageError, match="holds other things"):
        await sync(memory, folder)


async def test_a_mirror_of_another_memory_is_refused(memory: Memory, folder: Path, tmp_path: Path) -> None:
    await sync(memory, folder)
    async with open_memory("ben", store=tmp_path / "memory.db") as other:
        with pytest.raises(UsageError, match="mirrors the memory 'anna'"):
            await mirror(other, folder)


async def test_no_link_is_followed(memory: Memory, folder: Path, tmp_path: Path) -> None:
    await memory.write_block("human", "x")
    await sync(memory, folder)
    secret = tmp_path / "secret.txt"
    secret.write_text("secret words")
    (folder / "blocks/human.md").unlink()
    (folder / "blocks/human.md").symlink_to(secret)
    (folder / "blocks/stolen.md").symlink_to(secret)
    done = await sync(memory, folder)
    assert "secret" not in str(memory.blocks)
    assert any("link" in line for line in done.told)
    assert secret.read_text() == "secret words"
    assert (folder / "blocks/human.md").read_text() == "# human\n\nx\n"
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (folder / "facts").symlink_to(elsewhere)
    await memory.add_fact("x", subject="Anna")
    with pytest.raises(UsageError, match="a link"):
        await sync(memory, folder)
    assert not list(elsewhere.iterdir())


async def test_no_hook_and_no_filter_of_the_folder_is_run(memory: Memory, folder: Path, tmp_path: Path) -> None:
    await memory.write_block("human", "x")
    await sync(memory, folder)
    ran = tmp_path / "ran"
    hooks = folder / ".git/hooks"
    hooks.mkdir(exist_ok=True)
    for name in ("pre-commit", "post-commit", "reference-transaction", "post-index-change"):
        (hooks / name).write_text(f"#!/bin/sh\ntouch {ran}\n")
        (hooks / name).chmod(0o755)
    git(folder, "config", "filter.evil.clean", f"touch {ran}; cat")
    git(folder, "config", "core.fsmonitor", f"touch {ran}")
    ran.unlink(missing_ok=True)  # the hooks run for the git of this test
    (folder / ".gitattributes").write_text("* filter=evil\n")
    edit(folder / "blocks/human.md", "x", "y")
    await sync(memory, folder)
    assert memory.blocks["human"].text == "y"
    assert not ran.exists()


# Hostile text


def _files(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): path.read_text() for path in sorted(folder.rglob("*.md")) if path.is_file()
    }


words = st.one_of(st.sampled_from(HOSTILE), st.text(max_size=60))
"""What may be said: text of any kind, and text that means harm."""


def _outline(page: str) -> list[str]:
    """What a page is made of, and no words that were said."""
    return [token.type for token in MarkdownIt("commonmark").enable("table").parse(page)]


@settings(max_examples=300, deadline=None)
@given(words, words, words)
def test_no_text_changes_the_outline_of_a_page_of_messages(text: str, who: str, when: str) -> None:
    said = pages.Said(id="t0123456789abcdef", who=who or "x", when=when, text=text)
    page = pages.messages_head("2026-05-01") + pages.message_section(said)
    tokens = MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(page)
    assert [token.content for token in tokens if token.type == "html_block"] == []
    kinds = {token.type for token in tokens if token.level > 0}
    assert kinds <= {"inline", "paragraph_open", "paragraph_close"}
    inner = [child.type for token in tokens for child in token.children or ()]
    assert inner.count("html_inline") == 2, "the anchor alone"
    assert set(inner) <= {
        "text",
        "softbreak",
        "html_inline",
        "strong_open",
        "strong_close",
        "code_inline",
        "text_special",
    }
    quoted = [token for token in tokens if token.type == "inline" and token.level == 2]
    shown = " ".join(
        "".join(" " if child.type == "softbreak" else child.content for child in token.children or ())
        for token in quoted
    )
    assert shown.split() == pages.visible(text).split()
    assert not any(sign in page for sign in "\x1b\x07\u202e\u2066\ufeff\r")


@settings(max_examples=300, deadline=None)
@given(words, words, words, words)
def test_a_line_of_facts_is_read_back_as_it_was_written(attribute: str, value: str, who: str, said: str) -> None:
    attribute, value = (" ".join(pages.visible(one).split()) for one in (attribute, value))
    known = pages.Known(
        id="k" + "0123456789abcdef" * 2,
        attribute=attribute or None,
        value=value or "x",
        at=who,
        who=who,
        said=said,
    )
    page = pages.facts_page(
        who or "x", [known], [([pages.Known(id="k" + "f" * 32, attribute=None, value=said or "x")], 1)]
    )
    (line,) = pages.fact_lines(page)
    assert (line.id, line.head) == (pages.shown_id(known.id), known.head)
    if attribute and not attribute.startswith("**"):
        assert (line.attribute, line.value) == (attribute, value or "x")
    elif not attribute:
        assert line.value == (value or "x")
    assert len(pages.ids_in(page)) == 2


@settings(max_examples=300, deadline=None)
@given(words)
def test_no_name_leads_out_of_the_folder(name: str) -> None:
    stem = pages.stem_of(name)
    assert stem
    assert set(stem) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")
    assert not stem.startswith("-")
    assert len(stem) < 80


def test_names_that_mean_something_else_are_told_apart() -> None:
    names = ["Anna", "anna b", "anna c", "Änna", "", "..", "con", "2026-05", "README", "a" * 300, "a" * 301]
    assert len({pages.block_stem(name) for name in names}) == len(names)
    assert {pages.block_stem(name) for name in ("human", "to-do")} == {"human", "to-do"}
    names.remove("..")  # of nothing but signs, as a subject it is none
    assert len({pages.stem_of(name) for name in names}) == len(names)
    assert pages.stem_of("Anna") == "anna"
    assert not {"con", "2026-05", "readme"} & {pages.stem_of(name) for name in names}


@settings(
    max_examples=10,
    deadline=None,
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@example([("x", "# Not a heading", "    indented\n\tcode"), ("y", "a", " \n\n  b \n")])
@given(st.lists(st.tuples(words, words, words), min_size=1, max_size=4))
async def test_hostile_memories_stay_in_the_folder_and_are_read_back_unchanged(
    tmp_path_factory: pytest.TempPathFactory, told: list[tuple[str, str, str]]
) -> None:
    place = tmp_path_factory.mktemp("hostile")
    async with open_memory("anna", store=place / "memory.db") as memory:
        for one, two, three in told:
            await memory.remember(
                [{"role": "user", "name": two or "x", "content": one or "x", "at": "2026-05-01"}]
            )
            if one.strip():
                await memory.add_fact(one, subject=two, attribute=three, value=three, time="2026-05-01")
            name = " ".join(pages.visible(two).split())[:90]
            if name and name.isprintable():
                await memory.write_block(name, three)
        before = [fact.id for fact in memory.facts(limit=100)], dict(memory.blocks)
        await mirror(memory, place / "mirror", today=TODAY)
        done = await mirror(memory, place / "mirror", today=TODAY)
        assert (done.taken, done.told, done.commit) == ((), (), None)
        for page in (place / "mirror").rglob("*.md"):
            page.write_text(page.read_text() + "\n\n")  # a change that says nothing
        done = await mirror(memory, place / "mirror", today=TODAY)
        assert (done.taken, done.told) == ((), ())
        assert ([fact.id for fact in memory.facts(limit=100)], dict(memory.blocks)) == before
    assert sorted(path.name for path in place.iterdir() if not path.name.startswith("memory.db")) == ["mirror"]
    names = {path.name for path in (place / "mirror").iterdir()}
    assert names <= {".git", ".mirror.json", "README.md", "blocks", "facts", "messages"}
