"""Bodies: read within bounds, parsed once, and sent on as they came."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarm.serve.body import TELLING, Body, Gone, read
from swarm.serve.events import MOST_BYTES, Cut, event_of
from swarm.serve.request import Wrong

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
NAMES = st.text(max_size=8).filter(lambda name: name.casefold() not in TELLING)
OBJECTS = st.dictionaries(NAMES | st.sampled_from(["model", "stream"]), JSON, max_size=6)


def pieces(*bodies: bytes, then: dict[str, Any] | None = None) -> Callable[[], Awaitable[dict[str, Any]]]:
    """A client that sends these, and then that, or nothing any more."""
    messages = [{"type": "http.request", "body": body, "more_body": True} for body in bodies]

    async def receive() -> dict[str, Any]:
        if messages:
            return messages.pop(0)
        if then is None:
            await asyncio.Event().wait()
        return then or {}

    return receive


async def test_a_body_that_grows_too_large_is_read_no_further() -> None:
    with pytest.raises(Wrong) as caught:
        await read(pieces(b"x" * 60, b"x" * 60), 100, None)
    assert caught.value.status == 413
    with pytest.raises(Wrong):
        await read(pieces(), 100, "101")


async def test_a_client_that_stops_sending_is_not_waited_for() -> None:
    with pytest.raises(Wrong) as caught:
        await read(pieces(b"{"), 100, None, wait_seconds=0.01)
    assert caught.value.status == 408


async def test_a_client_that_drips_is_not_waited_for_either() -> None:
    async def receive() -> dict[str, Any]:
        await asyncio.sleep(0.004)
        return {"type": "http.request", "body": b" ", "more_body": True}

    with pytest.raises(Wrong, match="in time"):
        await read(receive, 10**6, None, wait_seconds=0.05)


async def test_a_client_that_leaves_is_gone() -> None:
    with pytest.raises(Gone):
        await read(pieces(b"{", then={"type": "http.disconnect"}), 100, None)


@given(OBJECTS, st.sampled_from([None, 1, 2]), st.booleans())
def test_a_body_is_understood_as_json_is(value: dict[str, Any], indent: int | None, ascii_only: bool) -> None:
    text = json.dumps(value, indent=indent, ensure_ascii=ascii_only)
    raw = text.encode("utf-8", "surrogatepass")
    try:
        raw.decode()
    except UnicodeDecodeError:
        return
    assert Body(raw).data == value


@given(
    OBJECTS, st.sampled_from([None, 2]), st.booleans(), st.dictionaries(st.text(max_size=5), st.text(), max_size=2)
)
def test_what_is_sent_on_differs_in_the_fields_that_are_to_differ(
    value: dict[str, Any], indent: int | None, ascii_only: bool, changes: dict[str, Any]
) -> None:
    raw = json.dumps(value, indent=indent, ensure_ascii=ascii_only).encode("utf-8", "replace")
    body = Body(raw)
    made = body.having({**changes, "model": "that"})
    assert json.loads(made) == body.data | changes | {"model": "that"}
    assert body.having({}) is body.raw
    assert body.having({"model": None}) == raw


def test_all_that_is_not_changed_stays_byte_for_byte() -> None:
    raw = b'{ "a" : 1.0e0,\n"model":"x"  ,"b":"\\u0041" }'
    assert Body(raw).having({"model": "y"}) == raw.replace(b'"x"', b'"y"')
    assert Body(raw).having({"new": [1]}) == b'{"new":[1],' + raw[1:]
    assert Body(b"{}").having({"model": "y"}) == b'{"model":"y"}'


@given(st.binary(max_size=200))
def test_no_body_breaks_it(raw: bytes) -> None:
    with suppress(Wrong):  # and nothing else
        assert isinstance(Body(raw).data, dict)


STREAM = (
    b'event: a\ndata: {"x": 1}\n\n: a comment\n\ndata: [DONE]\r\n\r\ndata: one\ndata: two\n\nevent: last\ndata: {}'
)


@given(st.lists(st.integers(1, 30), max_size=30))
def test_events_are_cut_the_same_however_they_arrive(sizes: list[int]) -> None:
    cut, found, at = Cut(), [], 0
    for size in [*sizes, len(STREAM)]:
        found += cut.feed(STREAM[at : at + size])
        at += size
    assert b"".join(found) + cut.rest() == STREAM
    assert [(event_of(raw).name, event_of(raw).data) for raw in found] == [
        ("a", {"x": 1}),
        (":", ""),
        ("", "[DONE]"),
        ("", "one\ntwo"),
    ]


def test_an_event_without_end_is_refused() -> None:
    cut = Cut()
    assert cut.feed(b"x" * MOST_BYTES) == []
    with pytest.raises(ValueError, match="more than"):
        cut.feed(b"x")
