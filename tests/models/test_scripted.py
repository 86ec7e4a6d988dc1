"""The model for users' own tests does what its docstring says."""

import pytest

from swarm.errors import PromptTooLong, Unavailable
from swarm.models.base import Price
from swarm.models.scripted import Scripted
from swarm.prompts.replies import ReadReply

REPLY = {"findings": []}


async def test_one_reply_for_each_kind_of_prompt(read, view):
    model = Scripted({"read": REPLY, "answer": lambda prompt: {"answerable": bool(prompt.shown)}})
    assert (await model.call(read("x"), max_output=10)).text == '{"findings": []}'
    assert (await model.call(view("a claim"), max_output=10)).text == '{"answerable": true}'
    assert [prompt.kind for prompt in model.calls] == ["read", "answer"]


async def test_replies_in_order_until_they_are_used_up(read):
    model = Scripted([REPLY, "not json", Unavailable("busy")])
    assert (await model.call(read("x"), max_output=10)).text == '{"findings": []}'
    assert (await model.call(read("x"), max_output=10)).text == "not json"
    with pytest.raises(Unavailable):
        await model.call(read("x"), max_output=10)
    with pytest.raises(LookupError, match="3 replies and this is call 4"):
        await model.call(read("x"), max_output=10)


async def test_a_function_of_the_prompt(read):
    model = Scripted(lambda prompt: ReadReply(findings=[], summary=prompt.question))
    assert "Who kept" in (await model.call(read("x"), max_output=10)).text


async def test_a_kind_that_the_script_does_not_know_is_named(read):
    with pytest.raises(LookupError, match="nothing to say to a read prompt; it knows: answer"):
        await Scripted({"answer": REPLY}).call(read("x"), max_output=10)


async def test_what_does_not_fit_its_window_is_refused(read):
    model = Scripted([REPLY], window=1_000)
    with pytest.raises(PromptTooLong) as caught:
        await model.call(read("word " * 2_000), max_output=10)
    assert caught.value.tokens > caught.value.limit == 1_000


async def test_it_counts_and_costs(read):
    model = Scripted([REPLY], price=Price(input_usd=1.0, output_usd=1.0, cached_usd=1.0))
    usage = (await model.call(read("x"), max_output=10)).usage
    assert usage.input_tokens == model.count(read("x"))
    assert usage.cost_usd == pytest.approx(usage.tokens / 1e6)
