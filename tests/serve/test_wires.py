"""Each wire reads its bodies without loss, builds others, and writes replies that its vendor's SDK understands."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import anthropic.types
import openai.types.chat
import openai.types.responses
import pytest

from swarm.serve.events import event_of, written
from swarm.serve.request import Citation, Event, Part, Request, Turn, Used, WireName, Wrong
from swarm.serve.wire import WIRES

USED = Used(input_tokens=10, output_tokens=4, cached_tokens=2)
CITED = Citation(
    start=9,
    end=12,
    quote="It is so.",
    turn=1,
    part=0,
    quote_start=5,
    quote_end=14,
    title="message 2",
    url="swarm:x",
)
BODIES: dict[WireName, dict[str, Any]] = {
    "chat": {
        "model": "m",
        "tide": "low",
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "developer", "content": [{"type": "text", "text": "Be kind."}]},
            {"role": "user", "content": "One?", "name": "anna"},
            {"role": "assistant", "content": None, "tool_calls": [
                {"id": "c1", "type": "function", "function": {"name": "look", "arguments": "{}"}}]},
            {"role": "tool", "tool_call_id": "c1", "content": "seen"},
            {"role": "user", "content": [
                {"type": "image_url", "image_url": {"url": "data:x"}}, {"type": "text", "text": "Two?"}]},
        ],
        "tools": [{"type": "function", "function": {"name": "look", "parameters": {}}}],
        "max_tokens": 7,
    },
    "responses": {
        "model": "m",
        "tide": "low",
        "instructions": "Be brief.",
        "input": [
            {"role": "developer", "content": "Be kind."},
            {"role": "user", "content": "One?"},
            {"type": "reasoning", "id": "r1", "summary": [], "encrypted_content": "abc"},
            {"type": "function_call", "call_id": "c1", "name": "look", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "c1", "output": "seen"},
            {"role": "user", "content": [
                {"type": "input_image", "image_url": "data:x"}, {"type": "input_text", "text": "Two?"}]},
        ],
        "tools": [{"type": "function", "name": "look", "parameters": {}}],
        "max_output_tokens": 7,
    },
    "messages": {
        "model": "m",
        "tide": "low",
        "system": [{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}},
                   {"type": "text", "text": "Be kind."}],
        "messages": [
            {"role": "user", "content": "One?"},
            {"role": "assistant", "content": [
                {"type": "thinking", "thinking": "hm", "signature": "s"},
                {"type": "tool_use", "id": "c1", "name": "look", "input": {}}]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c1", "content": "seen"}]},
            {"role": "user", "content": [
                {"type": "image", "source": {"type": "url", "url": "x"}}, {"type": "text", "text": "Two?"}]},
        ],
        "tools": [{"name": "look", "input_schema": {}}],
        "max_tokens": 7,
    },
}  # fmt: skip
NAMES: list[WireName] = ["chat", "responses", "messages"]


def request_of(name: WireName) -> Request:
    return WIRES[name].parse(BODIES[name], len)


@pytest.mark.parametrize("name", NAMES)
def test_a_request_is_read_alike_from_every_wire(name: WireName) -> None:
    request = request_of(name)
    assert (request.wire, request.model, request.max_output, request.stream) == (name, "m", 7, False)
    assert request.system.split() == ["Be", "brief.", "Be", "kind."]
    parts = [(turn.role, part.kind, part.call) for turn in request.turns for part in turn.parts]
    assert [one for one in parts if one[1] != "other"] == [
        ("user", "text", ""),
        ("assistant", "call", "c1"),
        ("user" if name == "messages" else "tool", "result", "c1"),
        ("user", "text", ""),
    ]
    assert request.question is not None
    assert request.question.text == "Two?"
    assert request.tools_tokens > 0
    assert request.fixed_tokens > 0


@pytest.mark.parametrize("name", NAMES)
def test_a_path_leads_to_the_text_of_its_part(name: WireName) -> None:
    request = request_of(name)
    for turn in request.turns:
        for part in turn.parts:
            found: Any = request.body
            for step in part.path:
                found = found[step]
            if part.kind in ("text", "result"):
                assert found == part.text


@pytest.mark.parametrize("name", NAMES)
def test_a_body_is_built_again_as_it_was(name: WireName) -> None:
    request = request_of(name)
    assert WIRES[name].rebuilt(request) == BODIES[name]


@pytest.mark.parametrize("name", NAMES)
def test_a_body_with_other_turns_keeps_all_else(name: WireName) -> None:
    request = request_of(name)
    wire = WIRES[name]
    last = request.turns[-1]
    changed = replace(last, raw=None, parts=(last.parts[0], Part(text="Three?")))
    made = wire.rebuilt(
        request, turns=[Turn.said("user", "A note."), changed], more="And this.", changes={"tide": None, "n": 2}
    )
    assert "tide" not in made
    assert made["n"] == 2
    assert made["tools"] == BODIES[name]["tools"]
    again = wire.parse(made, len)
    assert "And this." in again.system
    assert "Be brief." in again.system
    assert [turn.text for turn in again.turns] == ["A note.", "Three?"]
    assert again.turns[-1].parts[0].raw == last.parts[0].raw
    assert wire.parse(wire.rebuilt(request, system="Only this."), len).system == "Only this."


def replied(name: WireName) -> list[Event]:
    writing = WIRES[name].writing(replace(request_of(name), body={"stream_options": {"include_usage": True}}))
    events = [*writing.alive(), *writing.begin(), *writing.text("Is it so [1]."), *writing.cite([CITED])]
    return [*events, *writing.text(" It is."), *writing.alive(), *writing.end(USED, "end")]


@pytest.mark.parametrize("name", NAMES)
def test_what_is_written_is_read_as_it_was_written(name: WireName) -> None:
    reading = WIRES[name].reading()
    reading.add(Used(input_tokens=100, output_tokens=5))
    deltas, added = [], []
    for event in (event_of(written(one)) for one in replied(name)):
        delta = reading.take(event)
        if delta is not None:
            deltas.append(delta.text)
            if len(deltas) == 1:
                added = reading.cite(delta.place, [CITED])
        reading.amended(event)
    assert "".join(deltas) == "Is it so [1]. It is."
    assert (reading.used, reading.stop, len(added)) == (USED, "end", 1)


def test_responses_are_numbered_on_after_an_annotation_and_told_it_at_the_end() -> None:
    reading = WIRES["responses"].reading()
    writing = WIRES["responses"].writing(request_of("responses"))
    sent: list[Event] = []
    for event in [*writing.begin(), *writing.text("Is it so [1]."), *writing.end(USED, "end")]:
        delta = reading.take(event)
        sent.append(reading.amended(event))
        sent += reading.cite(delta.place, [CITED]) if delta else []
    assert [event.data["sequence_number"] for event in sent] == list(range(len(sent)))
    final = openai.types.responses.Response.model_validate(sent[-1].data["response"])
    assert final.output[0].content[0].annotations[0].url == "swarm:x"


@pytest.mark.parametrize("name", NAMES)
def test_a_whole_reply_is_what_its_vendor_describes(name: WireName) -> None:
    kinds = {
        "chat": openai.types.chat.ChatCompletion,
        "responses": openai.types.responses.Response,
        "messages": anthropic.types.Message,
    }
    wire = WIRES[name]
    body = wire.whole(request_of(name), "Is it so [1].", [CITED], USED, "end")
    kinds[name].model_validate(body, strict=False)
    assert wire.read_whole(body) == ("Is it so [1].", USED, "end")
    more = wire.cited_whole(body, lambda text: [CITED] if text == "Is it so [1]." else [], Used(input_tokens=100))
    assert wire.read_whole(more)[1].input_tokens == 110
    assert json.dumps(more).count("It is so.") == 2


def test_each_text_of_a_reply_in_one_piece_has_citations_of_its_own() -> None:
    """Where a mark stands counts from the beginning of its own text."""

    def cite(text: str) -> list[Citation]:
        return [replace(CITED, start=at, end=at + 3) for at in [text.find("[1]")] if at >= 0]

    choices = [{"index": at, "message": {"content": f"{' ' * at}So [1]."}} for at in range(3)]
    body = WIRES["chat"].cited_whole({"choices": choices}, cite, Used())
    found = [one["message"]["annotations"][0]["url_citation"]["start_index"] for one in body["choices"]]
    assert found == [3, 4, 5]
    blocks = [{"type": "text", "text": "I look."}, {"type": "tool_use"}, {"type": "text", "text": "So [1]."}]
    body = WIRES["messages"].cited_whole({"content": blocks}, cite, Used())
    assert [len(block.get("citations", ())) for block in body["content"]] == [0, 0, 1]
    parts = [{"type": "output_text", "text": text, "annotations": []} for text in ("None.", "A [1].")]
    items = [{"type": "reasoning"}, {"type": "message", "content": parts}]
    body = WIRES["responses"].cited_whole({"output": items}, cite, Used())
    assert [len(part["annotations"]) for part in body["output"][1]["content"]] == [0, 1]
    assert body["output"][1]["content"][1]["annotations"][0]["start_index"] == 2


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("text", ["", "Hello.", "\ud800 half"])
def test_texts_of_any_kind_are_counted_and_kept(name: WireName, text: str) -> None:
    field = "input" if name == "responses" else "messages"
    request = WIRES[name].parse({"model": "m", field: [{"role": "user", "content": text}]}, len)
    assert request.turns[0].text == text


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("content", [None, 5, {}, [None], [{}], [{"type": "text"}], [{"type": "text", "text": 5}]])
def test_content_of_no_known_shape_breaks_nothing(name: WireName, content: Any) -> None:
    field = "input" if name == "responses" else "messages"
    for role in ("user", "assistant", "tool", "system", None, 5):
        message = {"role": role, "content": content, "tool_calls": content if isinstance(content, list) else None}
        request = WIRES[name].parse({"model": "m", field: [message]}, len)
        assert WIRES[name].rebuilt(request)[field] == [message]


@pytest.mark.parametrize("name", NAMES)
def test_an_error_says_what_and_is_of_the_vendors_shape(name: WireName) -> None:
    body = WIRES[name].error(Wrong(429, "slow down", code="rate", param="n"))
    assert body["error"]["message"] == "slow down"
    assert body["error"]["type"] == "rate_limit_error"
