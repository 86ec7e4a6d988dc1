"""Conversations in files: every format in which chats are kept, and mistakes that name their place."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from swarm.errors import SourceError
from swarm.memory.conversations import of_text, read_conversation
from swarm.memory.messages import Message


def read(folder: Path, name: str, value: Any) -> list[Message]:
    file = folder / name
    file.write_text(value if isinstance(value, str) else json.dumps(value))
    return list(read_conversation(file))


def told(messages: list[Message]) -> list[tuple[str, str | None, str, str | None]]:
    return [(one.role, one.name, one.text, one.at) for one in messages]


TURNS = [
    {"role": "user", "content": "Hello", "name": "Anna", "at": "2026-05-01T10:00"},
    {"role": "assistant", "content": [{"type": "text", "text": "Hello, Anna"}]},
]
EXPECTED = [("user", "Anna", "Hello", "2026-05-01T10:00"), ("assistant", None, "Hello, Anna", None)]
ENDLESS = {
    "current_node": "a",
    "mapping": {"a": {"message": {"author": {"role": "user"}, "content": {"parts": ["x"]}, "create_time": 1e300}}},
}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("a.jsonl", "\n".join(json.dumps(turn) for turn in TURNS)),
        ("a.jsonl", json.dumps(TURNS[0]) + "\n\n" + json.dumps({"messages": TURNS[1:]})),
        ("a.json", TURNS),
        ("a.json", {"messages": TURNS}),
        ("a.json", [{"messages": TURNS[:1]}, {"messages": TURNS[1:]}]),
    ],
)
def test_a_list_of_messages_is_read_however_it_is_wrapped(tmp_path: Path, name: str, value: Any) -> None:
    assert told(read(tmp_path, name, value)) == EXPECTED


def test_an_export_of_chatgpt_is_read_along_the_branch_that_was_shown_last(tmp_path: Path) -> None:
    def node(id_: str, parent: str | None, role: str, text: str, at: float) -> dict[str, Any]:
        message = {
            "author": {"role": role},
            "create_time": at,
            "content": {"content_type": "text", "parts": [text]},
        }
        return {"id": id_, "parent": parent, "message": message}

    later = {
        "title": "two", "create_time": 1_780_000_000.0, "current_node": "c",
        "mapping": {
            "r": {"id": "r", "parent": None, "message": None},
            "a": node("a", "r", "user", "Second question", 1_780_000_000),
            "b": node("b", "a", "assistant", "A reply that was thrown away", 1_780_000_001),
            "c": node("c", "a", "assistant", "The reply that stayed", 1_780_000_002),
        },
    }  # fmt: skip
    earlier = later | {
        "create_time": 1_770_000_000.0,
        "current_node": "a",
        "mapping": {"a": node("a", "gone", "user", "First question", 1_770_000_000)},
    }
    found = told(read(tmp_path, "conversations.json", [later, earlier]))
    assert [text for _, _, text, _ in found] == ["First question", "Second question", "The reply that stayed"]
    assert found[0][3] == "2026-02-02T02:40:00+00:00"


def test_code_that_was_run_in_chatgpt_is_read_too(tmp_path: Path) -> None:
    content = {"content_type": "code", "language": "python", "text": "print(6 * 7)"}
    message = {"author": {"role": "assistant"}, "content": content}
    tree = {"current_node": "a", "mapping": {"a": {"parent": None, "message": message}}}
    assert [one.text for one in read(tmp_path, "conversations.json", [tree])] == ["print(6 * 7)"]


def test_a_tree_that_goes_in_a_circle_ends(tmp_path: Path) -> None:
    message = {"author": {"role": "user"}, "content": {"parts": ["x"]}}
    tree = {"current_node": "a", "mapping": {"a": {"parent": "b", "message": message}, "b": {"parent": "a"}}}
    assert len(read(tmp_path, "conversations.json", [tree])) == 1


def test_seconds_and_milliseconds_are_times(tmp_path: Path) -> None:
    turns = [{"role": "user", "content": "x", "timestamp": at} for at in (1_777_000_000, 1_777_000_000_000)]
    assert {one.at for one in read(tmp_path, "a.json", turns)} == {"2026-04-24T03:06:40+00:00"}


def test_an_export_of_claude_is_read(tmp_path: Path) -> None:
    value = [
        {
            "name": "Chat",
            "created_at": "2026-01-02T00:00:00Z",
            "chat_messages": [
                {"sender": "human", "text": "Hello", "created_at": "2026-01-02T00:00:00Z"},
                {"sender": "assistant", "text": "Hi", "created_at": "2026-01-02T00:00:01Z"},
            ],
        }
    ]
    assert [(one.role, one.text) for one in read(tmp_path, "a.json", value)] == [
        ("user", "Hello"),
        ("assistant", "Hi"),
    ]


def test_sessions_of_locomo_come_in_order_with_their_dates(tmp_path: Path) -> None:
    conversation = {
        "speaker_a": "Ann", "speaker_b": "Ben",
        "session_10_date_time": "2:00 pm on 3 June, 2023",
        "session_10": [{"speaker": "Ben", "dia_id": "D10:1", "text": "Later"}],
        "session_2_date_time": "1:56 pm on 8 May, 2023",
        "session_2": [{"speaker": "Ann", "dia_id": "D2:1", "text": "Hey"}],
    }  # fmt: skip
    assert told(read(tmp_path, "a.json", [{"sample_id": "c", "conversation": conversation}])) == [
        ("user", "Ann", "Hey", "1:56 pm on 8 May, 2023"),
        ("user", "Ben", "Later", "2:00 pm on 3 June, 2023"),
    ]
    turns = {"turns": [{"speaker": "Ann", "text": "Hey", "at": "2023-05-08"}], "questions": [{"question": "?"}]}
    assert told(read(tmp_path, "b.json", turns)) == [("user", "Ann", "Hey", "2023-05-08")]


def test_plain_text_is_one_message_and_standard_input_is_what_it_looks_like(tmp_path: Path) -> None:
    assert told(read(tmp_path, "a.txt", "Just a note.")) == [("user", None, "Just a note.", None)]
    assert read(tmp_path, "b.txt", " \n") == []
    assert told(list(of_text("[not json] but a note", "x"))) == [("user", None, "[not json] but a note", None)]
    assert told(list(of_text("\n".join(map(json.dumps, TURNS)), "x"))) == EXPECTED
    assert told(list(of_text(json.dumps(TURNS), "x"))) == EXPECTED


@pytest.mark.parametrize(
    ("name", "text", "complaint"),
    [
        ("a.jsonl", '{"role": "user", "content": "x"}\nnonsense', r"a\.jsonl:2 is not JSON"),
        ("a.jsonl", '{"content": "x"}', r"a\.jsonl:1 is no message: it needs a role"),
        ("a.json", '[{"role": "user", "content": "x"}, 3]', "message 2 is no message"),
        ("a.json", '{"role": "user"}', "it needs a role"),
        ("a.json", "{", "is not JSON"),
        ("a.json", '[{"role": "user", "content": "x", "at": "someday"}]', "time cannot be read"),
        ("a.json", '[{"role": "user", "content": "x", "at": NaN}]', r"a\.json, message 1: .* time cannot be read"),
        ("a.jsonl", '{"role": "user", "content": "x", "at": 1e300}', r"a\.jsonl:1: .* time cannot be read"),
        ("a.json", json.dumps([ENDLESS]), r"conversation 1: .* time cannot be read"),
        ("a.json", "[" * 100_000, "is not JSON"),
        ("a.jsonl", "[" * 100_000, r"a\.jsonl:1 is not JSON"),
        ("a.json", '{"conversation": {"speaker_a": "x"}}', "no session"),
        ("none.json", None, "cannot be read"),
        ("a.txt", b"\xff\xfe\x00", "not UTF-8"),
    ],
)
def test_a_mistake_names_its_place(tmp_path: Path, name: str, text: Any, complaint: str) -> None:
    file = tmp_path / name
    if isinstance(text, bytes):
        file.write_bytes(text)
    elif text is not None:
        file.write_text(text)
    with pytest.raises(SourceError, match=complaint) as caught:
        list(read_conversation(file))
    assert "\n" not in str(caught.value)
