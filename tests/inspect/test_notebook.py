"""Things in a notebook: they tell what they are, text in them stays text, and none is longer than it may be."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import lxml.html
import pytest
from markdown_it import MarkdownIt

import swarm
from swarm.display import MOST_BYTES, Card, Displayed, Grid, Line, Lines
from swarm.errors import UsageError
from swarm.history import Shown, runs, show
from swarm.knowledge import Knowledge, open_knowledge
from swarm.source import Corpus, Skip, Source
from swarm.task import Cell, Contradiction, Estimate, Limits, OverLimit, SliceFailure, Usage
from swarm.testing.staged import HOSTILE

MARKDOWN = (
    "# head", "- item", "1. one", "> quote", "`code`", "**bold**", "[x](javascript:1)", "![x](http://a/b.png)",
    "<b>html</b>", "| a | b |", "$x^2$", "https://example.com", "www.example.com", "me@example.com", "~~gone~~",
    "    code", "---", "&amp;", "a\nb", "===", "\\",
)  # fmt: skip


@pytest.fixture
def told(mills: Path) -> Shown:
    return show("last", mills)


@pytest.fixture
def known(mills: Path) -> Iterator[Knowledge]:
    with open_knowledge("staged", mills) as opened:
        yield opened


def seen(value: Any) -> str:
    """What a person reads of it in a notebook; it holds to what all of them promise."""
    for text in (value._repr_html_(), value._repr_markdown_()):
        assert 0 < len(text.encode()) <= MOST_BYTES
    page = lxml.html.fragment_fromstring(value._repr_html_())
    for one in page.iter():
        assert one.tag in ALLOWED, one.tag
        assert set(one.attrib) <= {"style", "class", "dir"}, one.attrib
        assert "url" not in one.get("style", "")
    assert page.get("class") == "tex2jax_ignore mathjax_ignore"
    return " ".join(page.text_content().split())


ALLOWED = set("div b span details summary blockquote ul ol li sup table thead tbody tr th td code".split())


def test_an_answer_shows_what_it_says_and_on_what_it_rests(told: Shown) -> None:
    answer = told.answer
    assert answer is not None
    text = seen(answer)
    page = lxml.html.fragment_fromstring(answer._repr_html_())
    quotes = [one.text_content() for one in page.iter("blockquote")]
    assert quotes == [citation.quote for citation in answer.citations]
    assert [one.find("summary").text_content() for one in page.iter("details")] == list(map(str, answer.citations))
    for number, statement in enumerate(answer.statements, 1):
        assert f"{statement.text}[{number}]" in text
    assert "answered" in text
    assert "cost $0.0595" in text
    assert "read all of 20.8k characters in 2 sources" in text
    assert answer.run_id in text


def test_a_partial_answer_says_why(told: Shown) -> None:
    assert told.answer is not None
    failure = SliceFailure(slice="s1" * 16, spans=(), reason="529: overloaded")
    text = seen(replace(told.answer, status="partial", stopped="cost_usd", failures=(failure,)))
    assert "Answer so far partial: cost_usd" in text
    assert "slice s1s1s1s1s1s1 529: overloaded" in text


def test_a_table_and_what_the_sources_disagree_on_are_shown(told: Shown) -> None:
    assert told.answer is not None
    cells = (
        Cell(item="a.md", question="Who?", text="Ann", citations=(0,)),
        Cell(item="b.md", question="Who?", text=""),
    )
    dispute = Contradiction(claims=("It has 12.", "It has 13."), citations=((0,), (1, 0)), findings=("f1", "f2"))
    text = seen(replace(told.answer, cells=cells, contradictions=(dispute,)))
    assert "a.mdWho?Ann [1]b.mdWho?–" in text.replace(" b.md", "b.md")
    assert "It has 12. ↔ It has 13.[1][2]" in text


def test_a_run_and_its_history_are_shown(told: Shown, mills: Path) -> None:
    (run,) = runs(mills)
    text = seen(run)
    assert "Which mills were rebuilt, and what drove them? answered" in text
    assert "slices 19 of 20" in text
    assert "openai:staged-large, read by openai:staged-small" in text
    assert "Mill 291 was rebuilt in 1733" in seen(told)
    assert "findings: Field required" in seen(told)


def test_what_a_run_knows_is_shown(known: Knowledge) -> None:
    text = seen(known)
    assert "findings 380" in text
    assert text.count("↔") == 6
    assert "Mill 388 was rebuilt in 1744 and driven by a horse." in text
    assert known.fingerprint in text
    best = known.findings(1)[0]
    opened = seen(known.open(best.id))
    assert best.claim in opened
    assert "mills/volume-0002.md:183" in opened


def test_an_estimate_and_a_corpus_are_shown() -> None:
    estimate = Estimate(
        slices=7, likely=Usage(calls=9, input_tokens=90_000, cost_usd=0.5), most=Usage(calls=30, cost_usd=4.0),
        minutes=90.0, limits=Limits(cost_usd=2.0), spent=Usage(), prices=("openai:x $1 / $2",),
        assumptions=("two rounds",), over_limit=OverLimit(limit="cost_usd", share=0.25),
    )  # fmt: skip
    text = seen(estimate)
    assert "stops at cost_usd, with about 25.0 % read" in text
    assert "cost$0.50$2.00" in text
    assert "openai:x $1 / $2" in text
    sources = tuple(Source(id=f"s{n}", path=f"p{n}.md", media="text", chars=n, bytes=n) for n in range(500))
    corpus = Corpus(sources=sources, skipped=(Skip(source="a.png", reason="not text: image/png", bytes=9),))
    assert "and 460 more" in seen(corpus)
    assert "a.png not text: image/png" in seen(corpus)


def test_no_text_of_a_source_or_a_model_is_markup(hostile: Path) -> None:
    told = show("last", hostile)
    with open_knowledge(told.run.id, hostile) as known:
        for one in (told, told.run, told.answer, known, known.open(known.findings(1)[0].id)):
            text = seen(one)
            assert "<script>window.taken=1</script>" in text
            assert "\x1b" not in one._repr_html_() + one._repr_markdown_()
            html = MarkdownIt("commonmark", {"html": True}).render(one._repr_markdown_())
            assert not re.search("<(script|img|a)", html)


@pytest.mark.parametrize("text", [*MARKDOWN, HOSTILE, "\ud800 half", "\u202egnp.exe"])
def test_text_in_markdown_is_text(text: str) -> None:
    class One(
        Displayed, card=lambda _: Card(title=text, tag=text, parts=[Lines(lines=[Line(text=text, quote=text)])])
    ):
        pass

    html = MarkdownIt("gfm-like", {"html": True, "linkify": False}).render(One()._repr_markdown_())
    page = lxml.html.fragment_fromstring(html, create_parent=True)
    assert {one.tag for one in page.iter()} == {"div", "p", "strong"}
    plain = " ".join(re.sub("[\x00-\x1f\u202e]", " ", text).split()).replace("\ud800", "\ufffd")
    assert plain.replace(" ", "") in page.text_content().replace(" ", "").replace("\n", "")


def test_a_card_of_long_lists_is_bounded_and_says_what_is_left() -> None:
    long = "<&>\"' é" * 400
    parts = [
        Lines(heading=long, lines=[Line(text=long, note=long, quote=long)] * 5_000, form="list"),
        Grid(head=[long] * 3, rows=[[long] * 3] * 5_000, total=9_999),
        Lines(lines=[Line(text=long)] * 9),
    ]

    class Long(Displayed, card=lambda _: Card(title=long, tag=long, facts=[(long, long)], parts=parts, foot=long)):
        pass

    text = seen(Long())
    assert re.search(r"and [\d,]+ more", text)
    assert "and 9,99" in text


def test_plain_representations_are_as_they_were(told: Shown, known: Knowledge) -> None:
    assert told.answer is not None
    assert repr(told.answer).startswith("Answer(run_id='staged', status='answered', ")
    assert repr(told.run).startswith("Run(id='staged', ")
    assert repr(known).startswith("<swarm.knowledge.Knowledge object at ")
    assert not hasattr(told.answer, "__dict__")
    assert not [name for name in vars(swarm) if name.startswith("_repr")]


def test_a_page_of_a_graph_is_the_report_of_its_run(known: Knowledge, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"swarm report staged -o .*x\.html"):
        known.save(tmp_path / "x.html")
    assert not list(tmp_path.iterdir())
