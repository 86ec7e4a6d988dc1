"""What a request may come to is known before it is sent, whatever it says of itself."""

from __future__ import annotations

from typing import Any

import pytest

from swarm.models.base import Price
from swarm.serve.admitted import Bound, bound_of, unanswerable
from swarm.serve.clients import Client
from swarm.serve.request import Used, WireName, Wrong
from swarm.serve.spending import usage_of
from swarm.serve.upstream import Behind, behind
from swarm.serve.wire import WIRES
from swarm.serve.wire.messages import read_whole

PRICE = Price(input_usd=4.0, output_usd=20.0, cached_usd=0.4, written_usd=5.0)
LIMITED = Client(name="anna", digest=b"", cost_usd=1.0)
MESSAGES = [{"role": "user", "content": "Why?"}]


@pytest.fixture(scope="module")
def to() -> Behind:
    made = behind("openai:any", base_url="http://127.0.0.1:9/v1", window=32_768, max_output=8_000)
    made.price = PRICE
    return made


def bound(to: Behind, wire: WireName = "chat", **fields: Any) -> Bound:
    field = "input" if wire == "responses" else "messages"
    return bound_of(WIRES[wire].parse({field: MESSAGES, **fields}, len), to, LIMITED)


def test_several_replies_are_counted_whatever_their_number(to: Behind) -> None:
    assert bound(to, max_tokens=100, n=8).output_tokens == 800
    for n in (8.0, "8", 5_000, 0, -1, True):
        with pytest.raises(Wrong, match=r"^n is"):
            bound(to, max_tokens=100, n=n)


def test_of_two_limits_of_a_reply_the_larger_one_counts(to: Behind) -> None:
    assert bound(to, max_tokens=7_000, max_completion_tokens=10).output_tokens == 7_000
    assert bound(to, max_completion_tokens=10).output_tokens == 10


@pytest.mark.parametrize(
    ("wire", "fields"),
    [
        ("chat", {"service_tier": "priority"}),
        ("chat", {"service_tier": ["priority"]}),
        ("chat", {"models": ["dear"]}),
        ("chat", {"plugins": [{"id": "web"}]}),
        ("chat", {"best_of": 20}),
        ("chat", {"modalities": ["text", "audio"]}),
        ("chat", {"tools": 5}),
        ("chat", {"tools": [{"type": ["function"]}]}),
        ("responses", {"tools": [{"type": "web_search"}]}),
        ("messages", {"speed": "fast"}),
        ("messages", {"speed": {"a": 1}}),
        ("messages", {"fallbacks": "default"}),
        ("messages", {"inference_geo": "us"}),
        ("messages", {"mcp_servers": [{"url": "https://a.example"}]}),
    ],
)
def test_what_no_limit_could_hold_is_refused_to_a_limited_client(
    to: Behind, wire: WireName, fields: dict[str, Any]
) -> None:
    with pytest.raises(Wrong) as refused:
        bound(to, wire, max_tokens=10, **fields)
    assert refused.value.status == 400


def test_what_is_kept_for_an_hour_is_reckoned_at_its_price(to: Behind) -> None:
    block = {"type": "text", "text": "Long.", "cache_control": {"type": "ephemeral", "ttl": "1h"}}
    assert bound(to, "messages", max_tokens=9, system=[block]).price.written_usd == 8.0
    assert bound(to, "messages", max_tokens=9, tools=[block | {"type": "custom"}]).price.written_usd == 8.0
    assert bound(to, "messages", max_tokens=9, cache_control={"type": "ephemeral", "ttl": "1h"}).price != PRICE
    block["cache_control"] = {"type": "ephemeral"}
    assert bound(to, "messages", max_tokens=9, system=[block]).price == PRICE
    used = Used(input_tokens=1_000_000, written_tokens=1_000_000)
    assert usage_of(used, bound(to, "messages", max_tokens=9).price).cost_usd == 5.0


def test_a_conversation_that_the_provider_sums_up_is_reckoned_twice_and_counted_as_billed(to: Behind) -> None:
    edits = {"edits": [{"type": "compact_20260112"}]}
    assert bound(to, "messages", max_tokens=9, context_management=edits).times == 2
    assert bound(to, "responses", context_management=[{"type": "compaction"}]).times == 2
    assert bound(to, "messages", max_tokens=9).times == 1
    steps = [
        {"type": "compaction", "input_tokens": 900, "output_tokens": 50},
        {"type": "message", "input_tokens": 10, "output_tokens": 5},
    ]
    _, used, _ = read_whole({"usage": {"input_tokens": 10, "output_tokens": 5, "iterations": steps}})
    assert (used.input_tokens, used.output_tokens) == (910, 55)


def test_what_the_provider_keeps_is_known_to_be_out_of_sight(to: Behind) -> None:
    assert bound(to, "responses", previous_response_id="resp_1").elsewhere
    assert bound(to, "responses", input=[{"type": "item_reference", "id": "msg_1"}]).elsewhere
    assert not bound(to, "responses").elsewhere


def test_without_a_model_what_cannot_be_done_is_refused_rather_than_left_out() -> None:
    for fields in ({"previous_response_id": "resp_1"}, {"text": {"format": {"type": "json_schema"}}}):
        refused = unanswerable(WIRES["responses"].parse({"input": "Why?", **fields}, len))
        assert refused is not None
        assert refused.status == 400
    form = {"type": "json_object"}
    assert unanswerable(WIRES["chat"].parse({"messages": MESSAGES, "response_format": form}, len)) is not None
    assert unanswerable(WIRES["chat"].parse({"messages": MESSAGES, "stop": ["x"]}, len)) is None
