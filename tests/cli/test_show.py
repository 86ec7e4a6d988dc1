"""The answer as a person reads it."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from dataclasses import replace

import pytest
from rich.console import Console

from swarm.cli.show import show
from swarm.source import Skip
from swarm.task import Answer, Cell, Citation, Coverage, SliceFailure, Statement

Make = Callable[..., Answer]


def shown(answer: Answer, width: int = 80, *, terminal: bool = False) -> str:
    file = io.StringIO()
    console = Console(
        file=file, width=width, force_terminal=terminal, no_color=True, highlight=False, markup=False, emoji=False
    )
    show(answer, console, resume="swarm resume it")
    return file.getvalue()


def test_the_answer_its_citations_and_what_was_read(answer: Make) -> None:
    assert shown(answer()) == (
        "7.1%\n"
        "\n"
        "Churn rose to 7.1%. [1] The annual plan had ended. [2][1]\n"
        "\n"
        '[1] reports/q3.md:14  "Churn in Q3 rose to 7.1%"\n'
        '[2] plan.pdf:p3  "We withdrew it in July."\n'
        "\n"
        "read 2 sources, 12.0k characters\n"
        "skipped 1 input, 50 characters: copy.md (the same as reports/q3.md)\n"
        "3 calls · 9,500 tokens · $0.0123 · window 7,102 of 8,000 · 1.2 s\n"
    )


def test_copied_sentences_stand_apart_and_are_not_said_twice(answer: Make) -> None:
    quotes = ("Churn in Q3 rose to\n7.1%", "We withdrew it in July.")
    statements = tuple(Statement(text=" ".join(quote.split()), citations=(n,)) for n, quote in enumerate(quotes))
    text = shown(answer(statements=statements, short=None))
    assert text.startswith(
        "- Churn in Q3 rose to 7.1% [1]\n- We withdrew it in July. [2]\n\n[1] reports/q3.md:14\n[2] plan.pdf:p3\n"
    )


def test_a_partial_answer_says_why_and_how_to_go_on(answer: Make) -> None:
    failure = SliceFailure(slice="s", spans=(), reason="the reply is not JSON")
    coverage = replace(answer().coverage, chars_unread=3_000)
    text = shown(answer(status="partial", stopped="tokens", failures=(failure,), coverage=coverage))
    assert "not read: 3,000 characters" in text
    assert "1 slice failed: the reply is not JSON" in text
    assert text.endswith("partial (tokens); go on with: swarm resume it\n")


def test_no_evidence_is_said_and_nothing_else(answer: Make) -> None:
    text = shown(answer(status="no_evidence", text="Nothing answers this.", statements=(), citations=()))
    assert text.startswith("Nothing answers this.\n\nread 2 sources")


def test_a_table_is_shown_by_item_and_cut_when_it_is_long(answer: Make) -> None:
    cells = tuple(
        Cell(item=f"item {n}", question="Who?", text="Anna" if n else "", citations=(0,) if n else ())
        for n in range(100)
    )
    text = shown(answer(cells=cells))
    assert "item 0\n  Who?  -\n\nitem 1\n  Who?  Anna [1]\n" in text
    assert "... and 70 more items" in text


def test_many_skips_are_counted_by_reason(answer: Make) -> None:
    skipped = tuple(Skip(source=f"{n}.bin", reason="binary" if n % 3 else "empty") for n in range(9))
    text = shown(answer(coverage=Coverage(sources=1, chars_total=5, chars_read=5, skipped=skipped)))
    assert "skipped 9 inputs: 6 binary, 3 empty (all in --json)\n" in text


@pytest.mark.parametrize("terminal", [False, True])
def test_text_from_strangers_neither_commands_the_terminal_nor_is_markup(answer: Make, terminal: bool) -> None:
    evil = "\x1b]0;title\x07[bold red]\x1b[2Jx\u202ey[/bold red] :boom: [link=https://e.org]z"
    citation = Citation(source=f"{evil}.txt", source_id="s", start=0, end=9, quote=f"{evil} quoted", line=1)
    coverage = Coverage(sources=1, skipped=(Skip(source=evil, reason=evil),))
    failures = (SliceFailure(slice="s", spans=(), reason=evil),)
    text = shown(
        answer(
            short=evil, statements=(Statement(text=evil, citations=(0,)),), citations=(citation,), stopped=evil,
            coverage=coverage, failures=failures,
        ),
        200, terminal=terminal,
    )  # fmt: skip
    for command in ("\x1b]", "\x1b[2J", "\u202e", "\x07"):
        assert command not in text
    assert text.count("[bold red]xy") == 8
    cells = shown(answer(cells=(Cell(item=evil, question=evil, text=evil),)), 300, terminal=terminal)
    assert cells.count("[bold red]xy[/bold red] :boom:") == 3


def test_in_a_terminal_lines_are_wrapped_and_hang_under_their_number(answer: Make) -> None:
    quote = "a word and " * 30
    citation = Citation(source="a.txt", source_id="s", start=0, end=len(quote), quote=quote, line=1)
    for width in (40, 80, 120, 200):
        text = shown(answer(citations=(citation,) * 2), width, terminal=True)
        lines = re.sub(r"\x1b\[[0-9;]*m", "", text).splitlines()
        assert max(map(len, lines)) <= min(width, 100)
        assert [line[:4] for line in lines if "a word" in line].count("    ") >= 2
