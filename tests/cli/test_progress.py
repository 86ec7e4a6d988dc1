"""What a person sees while a run goes on."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from swarm import events
from swarm.cli.progress import Lines, Live, Silent, Tally, costs, progress, waiting
from swarm.source import Corpus, Source
from swarm.task import Report, Slice, Usage


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def slice_(number: int) -> Slice:
    return Slice(id=f"s{number}", question="q", spans=(), tokens=1)


def finished(number: int) -> events.SliceFinished:
    return events.SliceFinished(slice=slice_(number), report=Report(slice=f"s{number}", question="q"))


def corpus() -> events.CorpusReady:
    source = Source(id="a", path="a.txt", media="text", chars=1_000, bytes=1_000)
    return events.CorpusReady(corpus=Corpus(sources=(source,)))


def test_slices_are_ready_running_done_or_failed_and_add_up() -> None:
    tally = Tally(clock=Clock())
    told = [
        corpus(),
        events.PhaseChanged(phase="dispatch"),
        events.SlicesPlanned(slices=5, round=1),
        events.SliceStarted(slice=slice_(1)),
        events.SliceStarted(slice=slice_(2)),
        events.SliceStarted(slice=slice_(3)),
        finished(1),
        events.SliceFailed(slice=slice_(2), reason="it broke"),
    ]
    for event in told:
        tally.tell(event)
    assert (tally.total, tally.ready, len(tally.running), tally.done, tally.failed) == (5, 2, 1, 1, 1)
    assert progress(tally) == ["1 of 5 slices done", "2 ready", "1 running", "1 failed"]
    tally.tell(events.SliceSplit(slice=slice_(3), into=2))
    assert (tally.total, tally.ready, len(tally.running)) == (6, 4, 0)
    assert tally.ready + len(tally.running) + tally.done + tally.failed == tally.total


def test_a_slice_that_is_read_closer_is_done_and_its_halves_come_to_it() -> None:
    tally = Tally(clock=Clock())
    tally.tell(events.SlicesPlanned(slices=1, round=1))
    tally.tell(events.SliceStarted(slice=slice_(1)))
    tally.tell(finished(1))
    tally.tell(events.SliceSplit(slice=slice_(1), into=2))
    assert (tally.total, tally.done, tally.ready) == (3, 1, 2)


def test_slices_that_were_done_before_a_run_went_on_count_as_done_but_not_as_pace() -> None:
    clock = Clock()
    tally = Tally(clock=clock)
    tally.tell(events.Resumed(done=1_000, slices=1_010))
    assert (tally.done, tally.ready) == (1_000, 10)
    tally.tell(events.SliceStarted(slice=slice_(0)))
    assert tally.seconds_left is None
    clock.now += 10
    for number in range(5):
        tally.tell(finished(number))
    assert tally.seconds_left == pytest.approx(10.0)


def test_spending_is_shown_once_there_is_some() -> None:
    clock = Clock()
    tally = Tally(clock=clock)
    clock.now += 3
    assert costs(tally) == ["3.0 s"]
    tally.tell(events.Spent(usage=Usage(calls=2, input_tokens=31_000, output_tokens=200, cost_usd=0.042)))
    assert costs(tally) == ["31.2k tokens", "$0.0420", "3.0 s"]
    assert waiting(tally) == []


def test_without_a_terminal_a_line_comes_now_and_then(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    lines = Lines(clock)
    with lines:
        lines.tell(corpus())
        lines.tell(events.PhaseChanged(phase="dispatch"))
        lines.tell(events.SlicesPlanned(slices=40, round=1))
        for number in range(40):
            clock.now += 1
            lines.tell(finished(number))
        lines.tell(events.SliceFailed(slice=slice_(99), reason="an \x1b[31modd\nreason"))
    out, err = capsys.readouterr()
    assert out == ""
    said = err.splitlines()
    assert len(said) == 5
    assert said[0].startswith("swarm: reading · 10 of 40 slices done · 30 ready · ")
    assert said[-1] == "swarm: a slice failed: an odd reason"
    assert "\x1b" not in err


def test_what_a_person_asked_is_told_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    with Lines(clock) as lines:
        lines.tell(events.PhaseChanged(phase="dispatch"))
        lines.tell(events.SlicesPlanned(slices=3, round=1))
        lines.tell(events.SliceStarted(slice=slice_(1)))
        lines.tell(events.Paused())
        clock.now += 10
        lines.tell(events.SliceDropped(slice=slice_(1), reason="cancelled by a person"))
        lines.tell(events.Steered(instruction="1"))
        lines.tell(events.WentOn())
        clock.now += 10
        lines.tell(finished(2))
    said = capsys.readouterr().err.splitlines()
    assert said[0] == "swarm: paused: calls in flight finish, and nothing new is begun"
    assert said[1] == "swarm: a slice was left alone: cancelled by a person"
    assert said[2].startswith("swarm: paused · 0 of 3 slices done · ")
    assert said[3:5] == ["swarm: an instruction came: what begins from now on goes by it", "swarm: going on"]
    assert said[5].startswith("swarm: reading · 1 of 3 slices done · ")


def test_a_run_that_is_over_at_once_says_nothing_on_the_way(capsys: pytest.CaptureFixture[str]) -> None:
    with Lines(Clock()) as lines:
        for event in (corpus(), events.SlicesPlanned(slices=1, round=1), finished(1)):
            lines.tell(event)
    with Silent() as silent:
        silent.tell(corpus())
    assert capsys.readouterr() == ("", "")


def test_in_a_terminal_two_lines_fit_any_width_and_are_gone_at_the_end() -> None:
    for width in (40, 80, 120):
        screen = io.StringIO()
        console = Console(file=screen, force_terminal=True, width=width, highlight=False, markup=False)
        live = Live(console, Clock())
        for event in (corpus(), events.PhaseChanged(phase="dispatch"), events.SlicesPlanned(slices=9, round=1)):
            live.tell(event)
        with console.capture() as shown:
            console.print(live._render())
        lines = shown.get().splitlines()
        assert len(lines) == 2
        assert "reading" in lines[0]
        with live:
            live.note("something to keep [bold]")
        assert "something to keep [bold]" in screen.getvalue()
        assert screen.getvalue().count("\x1b[?25h") == 1, "the cursor is there again"


def test_what_is_written_while_the_display_is_paused_stays() -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=80, height=20)
    live = Live(console)
    with live, live.paused():
        console.print("go on?")
    written = console.file.getvalue()  # type: ignore[attr-defined]
    after = written.partition("go on?")[2]
    assert "\x1b[1A" not in after.partition("starting")[0], "the cursor goes up, and wipes the line"
