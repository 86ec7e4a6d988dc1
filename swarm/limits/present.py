"""Who shares a state, and who does so no longer: each holder beats with whatever it asks.

A holder that has not beaten for a while is gone once the server has no connection of its any more, which it knows
at once where a process ends; and in any case after a minute. While nobody beats at all, as when the server is
away, no time passes for anybody. Holders are named `MACHINE#NUMBER`.
"""

from __future__ import annotations

from swarm.store.shares import Facts, State

FRESH_SECONDS = 5.0
"""Since its last beat was sent, in which a holder may take it that it is not gone."""
GONE_SECONDS = 8.0
LOST_SECONDS = 60.0
_QUIET_SECONDS = 3.0
_EACH_SECONDS = 0.005  # of the server's time for one exchange, and some more
TICK_SECONDS = 0.25


def beat(state: State, holder: str, facts: Facts) -> set[str]:
    """Note that a holder is there. Those that are gone, and were not before."""
    beats: dict[str, float] = state.setdefault("beats", {})
    if (quiet := facts.now - state.get("at", facts.now)) > _QUIET_SECONDS:
        for name in beats:
            beats[name] += quiet
    state["at"] = beats[holder] = facts.now
    late = {name: facts.now - at for name, at in beats.items() if facts.now - at > GONE_SECONDS}
    if not late:
        return set()
    unanswered = facts.gone({machine(name) for name in late})
    gone = {name for name, seconds in late.items() if seconds > LOST_SECONDS or machine(name) in unanswered}
    for name in gone:
        del beats[name]
    return gone


def leave(state: State, holder: str) -> None:
    """A holder shares in this no more."""
    state.get("beats", {}).pop(holder, None)


def tick(state: State) -> float:
    """Seconds between two exchanges of one holder: the more there are, the longer."""
    return max(TICK_SECONDS, len(state["beats"]) * _EACH_SECONDS)


def machine(holder: str) -> str:
    return holder.rpartition("#")[0]
