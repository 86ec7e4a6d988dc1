"""What a watched run looks like, line by line, without a terminal."""

from __future__ import annotations

import json
import math
import re
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from swarm.cli.watching import draw, told
from swarm.cli.watching.frame import AtWork, Disputes, Frame, Gauge, Head, Places, Row
from swarm.cli.watching.ink import bar, clock, column, curve, fit, plain, spread, stacked, width_of, wrapped
from tests.cli.watching.conftest import LookAt

UNSEEN = re.compile(r"[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


@pytest.fixture
def frame(mills: Path, look_at: LookAt) -> Frame:
    """Of the run of mills that is over; it went on to be watched ten seconds after its end."""
    look = look_at(mills)
    look.next()
    at = look.followed.last + 10
    look.followed.clock = lambda: at
    return look.next()


def texts(value: Any) -> list[str]:
    """All texts in a value made of lists and objects, but for keys, which are not shown."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        return [text for name, one in value.items() if name != "key" for text in texts(one)]
    inside = value if isinstance(value, list | tuple) else ()
    return [text for one in inside for text in texts(one)]


def drawn(name: str, frame: Frame, width: int = 100) -> list[str]:
    (draws,) = [one for panel, _, one in told.PANELS if panel == name]
    return [plain(item.line).rstrip() for item in draws(frame, width)]


def test_a_run_that_is_over_is_told_whole(frame: Frame) -> None:
    assert list(told.picture(frame, 100))[:5] == [
        "✓ answered                                                                                    staged",
        "Which mills were rebuilt, and what drove them?",
        "answer: " + frame.head.answer[:91].rstrip() + "…",
        "██████████████████████████████████████████████████████████✗✗✗✗✗✗  ✓ 9 done  ✗ 1 failed  of 10 slices",
        plain(draw.head(frame, 100)[4]),
    ]
    assert drawn("plan", frame)[0].split() == [
        *"▾ Which mills were rebuilt, and what drove them?".split(), "✗1", "9/10", "$0.0062",
    ]  # fmt: skip
    assert drawn("plan", frame)[1].split() == "✗ mills/volume-0001.md 0–9% failed 2s $0.0006".split()
    assert drawn("places", frame) == ["░░░░░░░░░░░░░░░░░░░░ 0 of 8 places busy", "○ 8 free"]
    assert drawn("failures", frame) == [
        "✗ mills/volume-0001.md 0–9%",
        "    the reply to the read prompt is not valid: findings: Field required",
    ]
    assert drawn("findings", frame)[0].split()[-1] == "ago"
    assert len(drawn("findings", frame)) == 40


def test_a_limit_is_told_with_a_bar_and_none_is_said(frame: Frame) -> None:
    lines = drawn("spent", frame)
    assert re.fullmatch(r"dollars +▍░+ \$0\.0\d+ of \$5\.00 \(1%\)", lines[0])
    assert re.fullmatch(r"tokens +no limit +\d+\.\dk", lines[1])
    gauge = Gauge(name="calls", used=9, limit=10)
    line = draw.spent(replace(frame, gauges=(gauge,)), 80)[0].line
    assert plain(line).endswith("█████████████████████████░░░ 9 of 10 (90%)")
    assert {part for _, part in line} >= {"warn"}, "near a limit it is told by more than a number"
    line = draw.spent(replace(frame, gauges=(replace(gauge, used=10, limit=0),)), 80)[0].line
    assert plain(line).endswith("10 of 0 (100%)")


def test_windows_are_a_curve_with_mean_and_fullest(frame: Frame) -> None:
    lines = drawn("spent", frame)
    at = lines.index("how full windows were")
    assert re.fullmatch(r"[▁▂▃▄▅▆▇█]{13} 64%", lines[at + 1])
    assert lines[at + 2] == "mean 21% · fullest 64% (answer)"
    assert lines[at + 3] == "of 32.8k tokens, 13 calls"


def head(**changes: Any) -> Head:
    values = {
        "run": "r1", "status": "running", "why": "", "phase": "dispatch", "works": True, "asked": "Make it.",
        "of": "",
        "model": "m", "window": 8_000, "host": "h", "session": 2, "begun": 1_000.0, "went": 65.0, "left": 130.0,
        "records": 7, "behind": False, "again": "", "answer": "",
    }  # fmt: skip
    return Head(**(values | changes))


def test_the_head_says_how_far_it_is_and_how_to_go_on(frame: Frame) -> None:
    lines = [plain(line) for line in draw.head(replace(frame, head=head()), 80)]
    assert lines[0].startswith("▶ running · working · about 2 min 10 s left")
    assert "session 2, for 1 min 5 s, begun " in lines[3]
    over = head(
        status="partial", why="the limit of 3 calls", phase="", left=None, again="swarm resume r1 --max-calls 6"
    )
    lines = [plain(line) for line in draw.head(replace(frame, head=over), 80)]
    assert lines[0].startswith("◐ partial · the limit of 3 calls")
    assert lines[1] == "go on with: swarm resume r1 --max-calls 6"
    lines = [plain(line) for line in draw.head(replace(frame, head=head(behind=True)), 80)]
    assert lines[0].startswith("▶ reading its records · 7 so far")


def test_who_is_at_work_is_told_with_since_when_and_the_coordinator_apart(frame: Frame) -> None:
    workers = (
        AtWork(key="", name="coordinator", doing="judges", seconds=3.0, cost_usd=0.0),
        AtWork(key="s1", name="piece 1", doing="work", seconds=130.0, cost_usd=0.1),
    )
    lines = drawn("places", replace(frame, places=Places(busy=5, of=8, workers=workers)), 60)
    assert lines[0] == "████████████▌░░░░░░░ 5 of 8 places busy"
    assert lines[1].split() == ["◆", "coordinator", "judges", "3s"]
    assert lines[2].split() == ["▶", "piece", "1", "work", "2m10s"]
    assert lines[3] == "… and 4 more"
    assert lines[4:] == ["○ 3 free"]


def test_contradictions_are_told_in_pairs_with_when_they_were_looked_for(frame: Frame) -> None:
    assert drawn("disputes", frame) == ["not looked for yet"]
    found = Disputes(pairs=(("It was 1730.", "It was 1740."),), more=True, at=frame.now)
    lines = drawn("disputes", replace(frame, disputes=found))
    assert lines[:2] == ["≠ It was 1730.", "  It was 1740."]
    assert lines[2].startswith("the first of them, as of ")


@pytest.mark.parametrize("width", [1, 7, 24, 40, 80, 200])
def test_no_line_is_wider_than_there_is_room(frame: Frame, width: int) -> None:
    nested = Row(kind="slice", key="x", depth=60, name="深い" * 40, state="running", seconds=1e7, cost_usd=1234.5)
    full = replace(frame, rows=(*frame.rows, nested), instructions=("無" * 300,), head=head(asked="字" * 200))
    for line in draw.head(full, width):
        assert width_of(line) <= max(width, 12), plain(line)
    for _, _, draws in told.PANELS:
        for item in draws(full, width):
            assert width_of(item.line) <= max(width, 36), plain(item.line)


def test_what_a_hostile_run_says_moves_no_cursor_and_is_no_markup(hostile: Path, look_at: LookAt) -> None:
    look = look_at(hostile)
    frame = look.next()
    said = texts(asdict(frame))
    assert not [text for text in said if UNSEEN.search(text)]
    assert any("[red]" in text for text in said), "it is shown as what it is"
    for _, _, draws in told.PANELS:
        assert not [item for item in draws(frame, 100) if UNSEEN.search(plain(item.line))]


def test_the_document_is_json_with_no_limit_as_null(frame: Frame) -> None:
    document = json.loads(json.dumps(told.document(frame), allow_nan=False))
    limits = {gauge["name"]: gauge["limit"] for gauge in document["gauges"]}
    assert limits == {"cost_usd": 5.0, "tokens": None, "calls": 10_000_000.0, "wall_seconds": None}
    assert document["states"] == {"done": 9, "failed": 1}
    assert document["rows"][0]["counts"] == {"done": 9, "failed": 1}
    assert math.isclose(document["head"]["went"], frame.head.went)


def test_one_line_tells_what_a_log_is_to_hold(frame: Frame) -> None:
    assert re.fullmatch(
        r"staged answered · 9 of 10 slices done · 1 failed · 12 calls, \d+\.\dk tokens, \$0\.05\d+",
        told.line(frame),
    )


def test_every_state_has_a_cell_and_a_sign_of_its_own() -> None:
    line = stacked((("done", 10_000), ("failed", 1), ("running", 2), ("ready", 3), ("split", 9)), 12)
    assert plain(line) == "█████████▓✗░"
    assert plain(stacked((), 5)) == "░░░░░"


def test_bars_and_curves_show_what_little_there_is() -> None:
    assert plain(bar(0.0, 8)) == "░░░░░░░░"
    assert plain(bar(0.0001, 8)) == "▏░░░░░░░"
    assert plain(bar(0.5, 8)) == "████░░░░"
    assert plain(bar(7.0, 8)) == "████████"
    assert curve((0.0, 0.5, 0.95, 2.0), 3) == (("▅", "bar"), ("█", "warn"), ("█", "warn"))


def test_lines_are_cut_by_cells_and_say_so() -> None:
    assert fit((("abc", ""), ("defg", "dim")), 5) == (("abc", ""), ("d…", "dim"))
    assert plain(fit((("深い穴", ""),), 5)) == "深い…"
    assert plain(fit((("深い穴", ""),), 4)) in ("深…", "深 …")
    assert fit((("abc", ""),), 0) == ()
    assert plain(spread((("a long beginning", ""),), (("end", ""),), 12)) == "a long…  end"
    assert column("ab", 4, right=True) == "  ab"
    assert column("abcdef", 4) == "abc…"
    assert wrapped("one two three", 9, "  ") == ["  one two", "  three"]
    assert [clock(s) for s in (0.4, 42, 190, 7_500, 356_400)] == ["0s", "42s", "3m10s", "2h05m", "4d03h"]
