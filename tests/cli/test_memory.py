"""`swarm memory`: a conversation remembered, looked at, edited and forgotten from the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

TURNS = (
    {"role": "user", "name": "Anna", "content": "I live in Porto.", "at": "2026-05-01T10:00"},
    {"role": "assistant", "content": "Noted. \x1b[31mRed.", "at": "2026-05-01T10:01"},
    {"role": "user", "name": "Anna", "content": "I moved to Lisbon.", "at": "2026-06-01T10:00"},
)


@pytest.fixture(autouse=True)
def conversation(tmp_path: Path) -> Path:
    file = tmp_path / "chat.jsonl"
    file.write_text("\n".join(json.dumps(turn) for turn in TURNS))
    return file


def test_what_was_remembered_is_viewed_searched_and_listed(swarm) -> None:
    assert swarm("memory", "anna", "remember", "chat.jsonl").stdout == "3 messages remembered, 0 known already\n"
    assert json.loads(swarm("memory", "anna", "remember", "chat.jsonl", "--json").stdout)["known"] == 3
    seen = swarm("memory", "anna", "view", "Where does Anna live?", "--tokens", "400").stdout
    assert seen.startswith('<memory run="memory anna"')
    assert "I moved to Lisbon." in seen
    assert "\x1b" not in seen
    document = json.loads(swarm("memory", "anna", "view", "Anna", "--json").stdout)
    assert document["tokens"] <= 2_000
    assert "Lisbon" in swarm("memory", "anna", "search", "Lisbon", "--limit", "1").stdout
    found = json.loads(swarm("memory", "anna", "search", "live", "--until", "2026-05-02", "--json").stdout)[
        "found"
    ]
    assert all(one["message"]["at"] < "2026-05-02" for one in found)
    assert swarm("memory", "anna", "messages", "--last", "1").stdout.rstrip().endswith("Anna: I moved to Lisbon.")
    assert swarm("memory", "anna").stdout.startswith("anna: 3 messages of")
    assert json.loads(swarm("memory", "anna", "status", "--json").stdout)["messages"] == 3


def test_text_and_standard_input_are_one_message(process, tmp_path: Path) -> None:
    done = process("memory", "anna", "remember", "-", "--name", "Anna", "--at", "2026-05-01", stdin="I like tea.")
    assert done.returncode == 0, done.stderr
    (message,) = json.loads(process("memory", "anna", "messages", "--json").stdout)["messages"]
    assert (message["name"], message["text"], message["at"]) == ("Anna", "I like tea.", "2026-05-01")
    (tmp_path / "note.md").write_text("Remember the milk.")
    assert process("memory", "anna", "remember", "note.md", "--role", "assistant").returncode == 0
    assert "assistant: Remember the milk." in process("memory", "anna", "messages").stdout


def test_facts_are_added_listed_with_their_history_and_retired(swarm) -> None:
    for city, when in (("Porto", "2026-05-01"), ("Lisbon", "2026-06-01")):
        options = ("--subject", "Anna", "--attribute", "city", "--value", city, "--since", when)
        assert swarm("memory", "anna", "fact", f"Anna lives in {city}", *options).returncode == 0
    (now,) = json.loads(swarm("memory", "anna", "facts", "--json").stdout)["facts"]
    assert now["value"] == "Lisbon"
    versions = swarm("memory", "anna", "history", "Anna", "city").stdout.splitlines()
    assert [line.endswith("before") for line in versions] == [True, False]
    assert versions[1].endswith("now")
    assert swarm("memory", "anna", "history", now["id"][:12]).stdout.splitlines() == versions
    assert "retired (wrong)" in swarm("memory", "anna", "retire", now["id"], "wrong").stdout
    assert swarm("memory", "anna", "facts").stdout == "no facts\n", "what was before holds no longer either"


def test_blocks_are_written_shown_and_dropped(swarm, tmp_path: Path) -> None:
    assert (
        swarm("memory", "anna", "block", "human", "--set", "Likes tea.", "--limit", "9").stdout == "Likes tea.\n"
    )
    (tmp_path / "b.txt").write_text("Likes coffee.")
    assert swarm("memory", "anna", "block", "human", "--file", "b.txt").stdout == "Likes coffee.\n"
    assert swarm("memory", "anna", "block", "human").stdout == "Likes coffee.\n"
    assert "human  at most 9 tokens, pinned  Likes coffee." in swarm("memory", "anna", "blocks").stdout
    assert swarm("memory", "anna", "block", "human", "--description", "who").returncode == 0
    (block,) = json.loads(swarm("memory", "anna", "blocks", "--json").stdout)["blocks"]
    assert (block["text"], block["description"]) == ("Likes coffee.", "who")
    assert swarm("memory", "anna", "block", "human", "--drop").returncode == 0
    assert swarm("memory", "anna", "blocks").stdout == "no blocks\n"


def test_it_forgets_flushes_dreams_and_mirrors(swarm, tmp_path: Path) -> None:
    swarm("memory", "anna", "remember", "chat.jsonl")
    (first, *_) = json.loads(swarm("memory", "anna", "messages", "--json").stdout)["messages"]
    assert "is forgotten" in swarm("memory", "anna", "forget", first["id"][:12]).stdout
    assert "Porto" not in swarm("memory", "anna", "messages").stdout
    assert json.loads(swarm("memory", "anna", "flush", "--json").stdout)["complete"]
    assert "nothing to read" in swarm("memory", "anna", "flush").stdout
    assert swarm("memory", "anna", "dream").stdout == "0 facts merged, 0 episodes written\n"
    done = swarm("memory", "anna", "mirror", "notes")
    assert "pages changed" in done.stdout
    assert (tmp_path / "notes/README.md").exists()
    assert swarm("memory", "anna", "mirror", "notes").stdout == "nothing has changed\n"
    (tmp_path / "notes/blocks").mkdir()
    (tmp_path / "notes/blocks/plan.md").write_text("Go.")
    assert "taken: blocks/plan.md: the block plan was added" in swarm("memory", "anna", "mirror", "notes").stdout
    assert json.loads(swarm("memory", "anna", "mirror", "notes", "--json").stdout)["commit"] is None


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["anna", "nonsense"], "no such command 'nonsense'"),
        (["anna", "view"], "missing argument 'ABOUT'"),
        (["anna", "view", "x", "--tokens", "3"], "tokens"),
        (["anna", "remember", "none.json"], "cannot be read"),
        (["anna", "history", "x"], "has no fact 'x'"),
        (["anna", "block", "x"], "no block 'x'"),
        (["anna", "block", "x", "--set", "a", "--drop"], "give one of them"),
        (["anna", "block", "x", "--file", "none"], "cannot be read"),
        (["anna", "block", "x", "--set", "word " * 600], "500 tokens"),
        (["anna", "forget", "zz"], "zz"),
        (["anna", "forget"], "--all"),
        (["anna", "forget", "zz", "--all"], "--all"),
        (["anna", "mirror", "."], "holds other things"),
        (["", "remember", "chat.jsonl"], "name"),
        (["ana"], "there is no memory 'ana' in .swarm/swarm.db (it holds anna)"),
        (["ana", "facts"], "there is no memory 'ana'"),
        (["ana", "mirror", "notes"], "there is no memory 'ana'"),
        (["anna", "search", "x", "--since", "someday"], "someday"),
        (["anna", "flush", "--model", "nonsense"], "nonsense"),
    ],
)
def test_a_mistake_is_one_line(swarm, arguments: list[str], complaint: str) -> None:
    swarm("memory", "anna", "remember", "chat.jsonl")
    done = swarm("memory", *arguments)
    assert done.returncode == 2, done.stdout
    assert complaint in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert swarm("memory").stdout == "anna\n", "a name with a typo makes no memory"


def test_memories_are_listed_and_one_is_forgotten_as_a_whole(swarm, tmp_path: Path) -> None:
    assert swarm("memory").stdout == "no memory yet\n"
    assert swarm("memory", "anna", "facts").returncode == 2
    assert not (tmp_path / ".swarm").exists(), "who only looks makes no store"
    for name in ("anna", "ben"):
        swarm("memory", name, "remember", "chat.jsonl")
    assert swarm("memory").stdout == "anna\nben\n"
    assert swarm("memory", "anna", "forget", "--all").stdout == "anna is forgotten\n"
    assert swarm("memory").stdout == "ben\n"
    assert "Porto" in swarm("memory", "ben", "messages").stdout


def test_a_memory_is_looked_at_while_another_process_holds_its_store(swarm, process) -> None:
    from swarm.store.shared import shared_store

    swarm("memory", "anna", "remember", "chat.jsonl")
    words = (["status"], ["messages"], ["view", "Lisbon"], ["search", "Lisbon"], ["facts"], ["blocks"])
    with shared_store(".swarm/swarm.db"):
        done = process("memory", "anna", "remember", "chat.jsonl")
        assert (done.returncode, "in use by another process" in done.stderr) == (2, True)
        told = [swarm("memory", "anna", *word) for word in words]
    assert [one.returncode for one in told] == [0] * len(words), [one.stderr for one in told]
    assert "Anna, location: Lisbon" in told[4].stdout


def test_times_are_listed_in_one_form_however_they_were_said(swarm, tmp_path: Path) -> None:
    turn = {"role": "user", "name": "Caroline", "content": "Hey Mel!", "at": "1:56 pm on 8 May, 2023"}
    (tmp_path / "talk.jsonl").write_text(json.dumps(turn))
    swarm("memory", "talk", "remember", "talk.jsonl")
    assert "  2023-05-08 13:56  Caroline: Hey Mel!" in swarm("memory", "talk", "messages").stdout


def test_standard_input_is_read_before_the_store_is_taken(process, tmp_path: Path) -> None:
    import subprocess
    import sys

    program = [str(Path(sys.executable).parent / "swarm"), "memory", "anna"]
    with subprocess.Popen([*program, "remember", "-"], stdin=subprocess.PIPE, cwd=tmp_path) as waits:
        assert waits.stdin is not None
        assert process("memory", "anna", "remember", "chat.jsonl").returncode == 0
        waits.stdin.write(b"And I like tea.")
        waits.stdin.close()
        assert waits.wait(30) == 0
    assert "I like tea" in process("memory", "anna", "messages").stdout


def test_whoever_interrupts_it_is_told_that_nothing_is_lost(swarm, monkeypatch: pytest.MonkeyPatch) -> None:
    from swarm.memory.memory import Memory

    async def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Memory, "remember", interrupted)
    done = swarm("memory", "anna", "remember", "chat.jsonl")
    assert (done.returncode, done.stderr) == (130, "swarm: interrupted; what was finished is kept\n")
