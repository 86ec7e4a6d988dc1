"""What came and what left is counted by content, and can be waited for."""

import threading

import pytest

from swarm.errors import Unavailable
from swarm.testing.faults import Fault
from swarm.testing.tally import Tally


def test_a_repeat_is_a_request_that_had_been_answered_before():
    tally = Tally()
    for key, outcome in (("a", "broken"), ("a", "answered"), ("b", "answered"), ("a", "answered")):
        tally.arrive(key)
        tally.leave(key, outcome)
    assert tally.repeats == 1
    summary = tally.summary()
    assert summary["contents"] == {"a": [3, 2], "b": [1, 1]}
    assert (summary["requests"], summary["replies"], summary["distinct"], summary["in_flight"]) == (4, 3, 2, 0)
    assert summary["outcomes"] == {"broken": 1, "answered": 3}


def test_something_may_be_done_at_the_very_moment_of_a_request():
    tally, seen = Tally(), []
    tally.when(lambda: seen.append(tally.requests), requests=3)
    tally.when(lambda: seen.append(-tally.replies), replies=1)
    for _ in range(5):
        tally.arrive("a")
    tally.leave("a", "answered")
    assert seen == [3, -1]


def test_it_can_be_waited_for_from_another_thread():
    tally = Tally()
    threading.Timer(0.02, lambda: [tally.arrive("a"), tally.leave("a", "answered")]).start()
    tally.wait_for(requests=1, replies=1, seconds=10)
    with pytest.raises(TimeoutError, match="1 requests, 1 replies, 0 in flight"):
        tally.wait_for(requests=2, seconds=0.01)


async def test_the_same_request_has_the_same_name_and_others_have_others(wire, provider, connect, read):
    model = connect(wire, provider)
    for text in ("Ida kept the lighthouse.", "Ida kept the lighthouse.", "Nobody kept the lighthouse."):
        await model.call(read(text), max_output=99)
    provider.tally.wait_for(replies=3, quiet=True)
    assert sorted(provider.tally.completed.values()) == [1, 2]
    assert provider.tally.repeats == 1


async def test_a_reply_that_did_not_leave_whole_is_not_completed(wire, provider, connect, read):
    provider.faults += [Fault(cut=True), Fault(status=500), Fault(text="")]
    model = connect(wire, provider)
    for _ in range(2):
        with pytest.raises(Unavailable):
            await model.call(read(), max_output=99)
    await model.call(read(), max_output=99)
    provider.tally.wait_for(replies=1, quiet=True)
    assert list(provider.tally.received.values()) == [3]
    assert list(provider.tally.completed.values()) == [1]
    assert provider.tally.outcomes == {"broken": 1, "error": 1, "answered": 1}


async def test_what_was_counted_is_forgotten_on_demand(provider, connect, read):
    model = connect("chat", provider)
    await model.call(read(), max_output=99)
    provider.reset()
    assert provider.requests == []
    assert provider.tally.requests == 0
