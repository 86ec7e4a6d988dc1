"""The next model answers where the one before cannot."""

import pytest

from swarm.errors import ModelError, PromptTooLong, RateLimited, Refused, Rejected, Unavailable
from swarm.models.base import Completion, Price
from swarm.models.fallback import Fallback
from swarm.models.scripted import Scripted
from swarm.task import Usage

ONE, TWO = {"findings": [], "summary": "one"}, {"findings": [], "summary": "two"}


def broken(error: Exception, **settings: int) -> Scripted:
    return Scripted(lambda prompt: error, name="first", **settings)


async def test_the_first_that_answers_is_enough(read):
    second = Scripted([TWO])
    completion = await Fallback(Scripted([ONE]), second).call(read("x"), max_output=10)
    assert '"one"' in completion.text
    assert second.calls == []


@pytest.mark.parametrize("error", [Unavailable("down"), RateLimited("slow", 3.0), Refused("no"), Rejected("key")])
async def test_a_failure_is_passed_on_to_the_next(error, read):
    completion = await Fallback(broken(error), Scripted([TWO])).call(read("x"), max_output=10)
    assert '"two"' in completion.text


async def test_a_paid_refusal_is_passed_on_too(read):
    class Declines(Scripted):
        async def call(self, prompt, *, max_output):
            return Completion(text="", refusal="no", usage=Usage(calls=1))

    completion = await Fallback(Declines([]), Scripted([TWO])).call(read("x"), max_output=10)
    assert completion.refusal is None


async def test_the_last_ones_failure_is_the_failure(read):
    with pytest.raises(Rejected, match="second"):
        await Fallback(broken(Unavailable("first")), broken(Rejected("second"))).call(read("x"), max_output=10)


async def test_too_long_goes_on_only_to_a_larger_window(read):
    error = PromptTooLong("too long", tokens=9, limit=5)
    larger = Fallback(broken(error, window=8_000), Scripted([TWO], window=16_000))
    assert '"two"' in (await larger.call(read("x"), max_output=10)).text
    with pytest.raises(PromptTooLong):
        await Fallback(broken(error, window=8_000), Scripted([TWO], window=8_000)).call(read("x"), max_output=10)


async def test_a_bug_is_not_hidden_by_the_next_model(read):
    with pytest.raises(ZeroDivisionError):
        await Fallback(broken(ZeroDivisionError()), Scripted([TWO])).call(read("x"), max_output=10)


def test_what_is_sent_fits_all_and_what_is_reserved_covers_all(read):
    cheap = Price(input_usd=1.0, output_usd=9.0, cached_usd=0.1)
    dear = Price(input_usd=3.0, output_usd=5.0, cached_usd=0.3, known=False)
    one = Scripted([], window=8_000, max_output=900, price=cheap, name="a")
    two = Scripted([], window=9_000, max_output=500, price=dear, name="b")
    model = Fallback(one, two)
    assert (model.name, model.window, model.max_output) == ("a|b", 8_000, 500)
    assert (model.price.input_usd, model.price.output_usd, model.price.known) == (3.0, 9.0, False)
    assert model.count(read("x")) == max(one.count(read("x")), two.count(read("x")))


def test_writing_to_the_dearest_cache_is_covered_too():
    plain = Scripted([], price=Price(input_usd=3.0, output_usd=5.0, cached_usd=0.3), name="a")
    writes = Scripted([], price=Price(input_usd=2.0, output_usd=5.0, cached_usd=0.2, written_usd=4.0), name="b")
    assert Fallback(plain, writes).price.worst(1_000_000, 0) == 4.0
    assert Fallback(plain, plain).price.written_usd is None


def test_the_gate_is_told_who_may_answer(read):
    one, two = Scripted([]), Scripted([])
    model = Fallback(one, two)
    assert model.members == (one, two)
    assert model.remote is False


def test_one_model_is_no_fallback():
    with pytest.raises(ModelError):
        Fallback(Scripted([]))
