"""What a window holds of what was done: it is noticed when the same comes of the same."""

from __future__ import annotations

from swarm.prompts.replies import ToolCall
from swarm.worker.transcript import Transcript

CALL = ToolCall(name="run_command", arguments='{"command": "pytest"}')


def done(*results: str) -> Transcript:
    transcript = Transcript()
    for text in results:
        transcript.add("", [CALL], [("ref", text, False)], "", 1_000)
    return transcript


def test_a_test_that_fails_in_the_same_way_is_the_same_however_long_it_takes() -> None:
    transcript = done(*(f"exit 1\n1 failed in 0.0{hundredth}s" for hundredth in range(3, 9)))
    assert "(This was done 3 times" in transcript.turns[2].results[0].text
    assert transcript.stuck


def test_other_figures_are_another_outcome() -> None:
    transcript = done(*(f"exit 1\nval_loss 0.0{hundredth}" for hundredth in range(3, 9)))
    assert not any("This was done" in turn.results[0].text for turn in transcript.turns)
    assert not transcript.stuck
