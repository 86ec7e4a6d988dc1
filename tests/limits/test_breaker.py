"""A provider that is down is asked by one call at a time, less and less often, until it answers."""

from swarm.limits.breaker import FAILURES, Breaker


def opened(now: float = 0.0) -> Breaker:
    breaker = Breaker()
    assert [breaker.failed(now, trial=False) for _ in range(FAILURES)] == [False] * (FAILURES - 1) + [True]
    return breaker


def test_failures_in_a_row_open_it_and_an_answer_between_them_does_not() -> None:
    breaker = Breaker()
    for _ in range(FAILURES - 1):
        breaker.failed(0.0, trial=False)
    breaker.answered()
    breaker.failed(0.0, trial=False)
    assert not breaker.shut(0.0)
    assert opened().shut(0.0)


def test_one_call_tries_and_its_answer_closes_it() -> None:
    breaker = opened()
    later = breaker.opens
    assert not breaker.shut(later)
    assert breaker.leave()
    assert breaker.shut(later), "while one is trying, the others wait"
    breaker.answered()
    assert not breaker.shut(later)
    assert not breaker.leave(), "an ordinary call again"


def test_the_times_between_tries_grow_up_to_a_minute() -> None:
    breaker, gaps = opened(), []
    for _ in range(10):
        now = breaker.opens
        breaker.leave()
        breaker.failed(now, trial=True)
        gaps.append(breaker.opens - now)
    assert gaps[0] < gaps[2] < gaps[4]
    assert 45 <= gaps[-1] <= 75
    assert breaker.down_since == 0.0


def test_a_trial_that_was_cancelled_leaves_its_place_to_another() -> None:
    breaker = opened()
    breaker.leave()
    breaker.abandoned()
    assert not breaker.shut(breaker.opens)


def test_what_was_in_flight_when_it_opened_changes_nothing() -> None:
    breaker = opened()
    opens = breaker.opens
    breaker.failed(0.5, trial=False)
    assert breaker.opens == opens
