"""A simulated provider does what it is set to do, to both SDKs, and the same each time."""

import json
from collections import Counter
from statistics import median

import pytest

import swarm.testing
from swarm.errors import PromptTooLong, RateLimited, Unavailable
from swarm.prompts.replies import ReadReply
from swarm.testing.faults import Arrival, faults_by
from swarm.testing.latency import Delays
from swarm.testing.simulated import Simulated, errors, simulated

MANY = 4_000


def arrivals(attempt: int = 0):
    return [Arrival(key=f"request {number}", attempt=attempt, number=number, body=b"") for number in range(MANY)]


def test_the_name_of_the_function_is_not_taken_by_the_module():
    assert swarm.testing.simulated is simulated


async def test_it_answers_every_format_and_reads_as_well_as_it_is_set_to(wire, connect, read):
    with simulated(ability=swarm.testing.Ability(fabricates=1.0)) as provider:
        completion = await connect(wire, provider).call(read(), max_output=500)
        quotes = [finding.quote for finding in ReadReply.model_validate_json(completion.text).findings]
        assert quotes == ["Ida Lewis kept the lighthouse for 61 years.", "The lighthouse was built in 1878."]
        assert completion.usage.input_tokens > 0


async def test_a_prompt_past_its_window_is_refused(wire, connect, read):
    with simulated(window=600) as provider, pytest.raises(PromptTooLong):
        await connect(wire, provider).call(read(), max_output=500)


async def test_past_its_rates_a_request_is_refused_for_now(wire, connect, read):
    with simulated(rates=swarm.testing.Allowance(requests=1)) as provider:
        model = connect(wire, provider)
        await model.call(read(), max_output=500)
        with pytest.raises(RateLimited):
            await model.call(read(), max_output=500)


async def test_the_errors_that_are_set_reach_the_client(wire, connect, read):
    for name, error in (("529", Unavailable), ("429", RateLimited), ("cut", Unavailable)):
        with simulated(errors={name: 1.0}) as provider, pytest.raises(error):
            await connect(wire, provider).call(read(), max_output=500)


async def test_a_mind_of_the_users_own_answers_each_time_it_is_asked(wire, connect, read):
    heard = []

    def mind(text, schema):
        heard.append(text)
        return {"findings": [], "summary": f"asked {len(heard)} times", "open_questions": []}

    with simulated(mind=mind) as provider:
        model = connect(wire, provider)
        said = [json.loads((await model.call(read(), max_output=500)).text)["summary"] for _ in range(2)]
    assert said == ["asked 1 times", "asked 2 times"]
    assert "Who kept the lighthouse?" in heard[0]
    assert "Ida Lewis kept the lighthouse" in heard[0]


async def test_a_mind_that_does_not_know_says_so_to_the_client(connect, read):
    def mind(text, schema):
        raise LookupError("nothing comes to it")

    with simulated(mind=mind) as provider, pytest.raises(Exception, match="nothing comes to it"):
        await connect("chat", provider).call(read(), max_output=500)


async def test_a_second_provider_with_the_same_seed_says_and_does_the_same(connect, read):
    async def session(seed: int):
        outcomes = []
        ability = swarm.testing.Ability(recall=0.5, fabricates=0.3)
        with simulated(errors={"529": 0.3, "invalid": 0.2}, ability=ability, seed=seed) as provider:
            model = connect("messages", provider)
            for number in range(12):
                text = "".join(f"Ida {number} kept lighthouse {lamp}.\n" for lamp in range(6))
                try:
                    outcomes.append((await model.call(read(text), max_output=900)).text)
                except Unavailable as error:
                    outcomes.append(str(error))
        return outcomes

    assert await session(1) == await session(1) != await session(2)


def test_errors_come_at_their_shares_and_a_second_try_is_another_throw():
    kinds = errors()
    plan = faults_by([(kinds["529"], 0.1), (kinds["cut"], 0.02), (kinds["429"], 0.0)], seed=5)
    met = Counter(id(plan(arrival)) for arrival in arrivals())
    assert 0.085 < met[id(kinds["529"])] / MANY < 0.115
    assert 0.013 < met[id(kinds["cut"])] / MANY < 0.027
    assert met[id(kinds["429"])] == 0
    again = [plan(one) is plan(other) for one, other in zip(arrivals(), arrivals(1), strict=True)]
    assert not all(again)


def test_delays_are_log_normal_about_their_median_and_repeat():
    latency = Delays(median_seconds=2.0, sigma=0.5).latency(seed=3)
    seconds = sorted(latency(arrival) for arrival in arrivals())
    assert 1.9 < median(seconds) < 2.1
    assert 0.008 < sum(each > 2.0 * 3.2 for each in seconds) / MANY < 0.013, (
        "one in a hundred takes 3.2 times as long"
    )
    assert seconds == sorted(Delays(median_seconds=2.0, sigma=0.5).latency(seed=3)(one) for one in arrivals())
    assert seconds != sorted(Delays(median_seconds=2.0, sigma=0.5).latency(seed=4)(one) for one in arrivals())


def test_without_a_sigma_every_call_takes_the_same():
    assert {Delays(median_seconds=2.0).latency()(one) for one in arrivals()} == {2.0}


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"errors": {"teapot": 0.1}}, "no error is called 'teapot': there are 429, 500, 529"),
        ({"errors": {"529": 1.5}}, "the share of 529 is 1.5"),
        ({"errors": {"529": 0.6, "500": 0.6}}, "come to more than 1"),
    ],
)
def test_settings_that_make_no_sense_are_refused(wrong, said):
    with pytest.raises(ValueError, match=said):
        Simulated(**wrong)


def test_a_delay_below_nothing_is_refused():
    with pytest.raises(ValueError, match="sigma is -1"):
        Delays(sigma=-1)
