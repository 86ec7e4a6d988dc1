"""A run as one HTML file: all of it is there or told to be left out, nothing in it acts, the same run makes it
the same. What it looks like in a browser is shown in `tests/inspect/browser`."""

from __future__ import annotations

import asyncio
import io
import json
import re
import zlib
from base64 import b64decode, b64encode
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import lxml.html
import pytest

from swarm.errors import StoreError
from swarm.graph.disputes import disputed
from swarm.history import show
from swarm.inspect.look import Look
from swarm.inspect.opened import open_run
from swarm.inspect.report import texts, write
from swarm.inspect.report.markup import Markup, element, joined, shown
from swarm.inspect.report.write import Written, write_report
from swarm.source import Span
from swarm.testing.staged import HOSTILE, Script, Stage, staged

VISIBLE = HOSTILE.replace("\x1b", "\u241b").replace("\x07", "\u2407")
"""The hostile text as people see it: with symbols in the place of what no one sees."""


@dataclass
class Report:
    """A file taken apart as a browser would: `head` and `lists` are its data, unpacked."""

    data: bytes
    told: Written

    def __post_init__(self) -> None:
        self.page = lxml.html.document_fromstring(self.data.decode())
        self.head: dict[str, Any] = json.loads(self.page.get_element_by_id("data").text)
        blocks = {one.get("id"): one.text or "" for one in self.page.find_class("block")}
        self.lists: dict[str, list[Any]] = {
            name: [
                row
                for number, rows in places
                for row in _checked(json.loads(zlib.decompress(b64decode(blocks[f"block-{number}"]))), rows)
            ]
            for name, places in self.head["lists"].items()
        }
        self.paper = self.page.get_element_by_id("paper")

    def text(self, source: int, start: int, end: int) -> str | None:
        """What the file has of a stretch of a source, where it has all of it."""
        found, at = "", start
        for begin, stop, _, block, place in self.lists["sources"][source][5]:
            if begin <= at < min(stop, end):
                first = sum(rows for _, rows in self.head["lists"]["texts"][:block])
                words = self.lists["texts"][first + place]
                found, at = found + words[at - begin : end - begin], stop
        return found if at >= end else None


def _checked(rows: list[Any], many: int) -> list[Any]:
    assert len(rows) == many
    return rows


def inside(node: Any, path: str) -> list[Any]:
    """The elements below a node by an XPath."""
    found: list[Any] = node.xpath(f".//{path}")
    return found


def report(store: Path, **more: Any) -> Report:
    with open_run("last", store) as opened:
        out = io.BytesIO()
        told = write_report(opened, out, **more)
    assert told.bytes == len(out.getvalue())
    return Report(out.getvalue(), told)


@pytest.fixture(scope="module")
def of_mills(mills: Path) -> Report:
    return report(mills)


@pytest.fixture(scope="module")
def of_hostile(hostile: Path) -> Report:
    return report(hostile)


@pytest.fixture
def tight(monkeypatch: pytest.MonkeyPatch) -> None:
    """Room for very little."""
    monkeypatch.setattr(write, "_LEAST", 20_000)
    monkeypatch.setattr(write, "_FIXED", 0)


# What is in it


def test_the_answer_is_written_out_with_every_sentence_and_every_citation(of_mills: Report, mills: Path) -> None:
    answer = show("last", mills).answer
    assert answer is not None
    told = of_mills.paper.text_content()
    for statement in answer.statements:
        assert statement.text in told
        for number in statement.citations:
            assert inside(of_mills.paper, f'a[@href="#cite-{number + 1}"]')
    for number, citation in enumerate(answer.citations, 1):
        (item,) = inside(of_mills.paper, f'li[@id="cite-{number}"]')
        assert item.find("cite").text_content() == str(citation)
        assert item.find("blockquote").text_content() == citation.quote


def test_the_figures_are_those_of_the_run(of_mills: Report, mills: Path) -> None:
    run = show("last", mills).run
    told = {one.find("dt").text: one.find("dd").text_content() for one in inside(of_mills.paper, "dl/div")}
    assert told["Calls"] == f"{run.usage.calls:,}"
    assert told["Tokens"].startswith(f"{run.usage.input_tokens:,} in")
    assert told["Cost"] == "$0.0595"
    assert told["Slices"] == f"{run.slices_done} done, 1 failed, 0 left"
    assert told["Read"] == "19,830 of 20,848 characters (95%)"
    assert told["Contradictions"] == "16"
    plots = inside(of_mills.paper, 'figure/svg[@role="img"]')
    captions = [one.text_content() for one in inside(of_mills.paper, "figcaption")]
    assert [one.get("aria-label") for one in plots] == captions
    assert [one.split(" ")[0] for one in captions] == ["Who", "Dollars", "How"]
    assert len(inside(of_mills.paper, 'svg[@class="strip"]')) == 2


def test_every_finding_is_there_with_the_words_that_it_rests_on(of_mills: Report, mills: Path) -> None:
    rows = {row[0]: row for row in of_mills.lists["findings"]}
    with open_run("last", mills) as opened:
        best = opened.graph.best(10_000)
        assert set(rows) == {finding.id for finding in best}
        for finding in best:
            _, text, relevance, fields, evidence, total, leader, slices, about, _ = rows[finding.id]
            assert (text, relevance) == (finding.claim, finding.relevance)
            assert fields[:3] == [finding.subject, finding.attribute, finding.value]
            assert (total, leader, len(about) > 0) == (len(finding.evidence), -1, True)
            assert [len(of_mills.lists["slices"]) > place >= 0 for place in slices] == [True]
            for (number, start, end, line), span in zip(evidence, finding.evidence, strict=True):
                source = of_mills.lists["sources"][number]
                assert Span(source[0], start, end) == span
                assert f"{source[1]}:{line}" == opened.place(span)
                assert of_mills.text(number, start, end) == opened.library.text(span)
        order = [row[2] for row in of_mills.lists["findings"]]
        assert order == sorted(order, reverse=True)
        pairs = {frozenset((one.one.id, one.other.id)) for one in disputed(opened.graph)}
    ids = [row[0] for row in of_mills.lists["findings"]]
    told = [frozenset((ids[one], ids[other])) for later, one, other in of_mills.lists["disputes"] if not later]
    assert len(told) == 16
    assert set(told) == pairs


def test_the_tree_leads_from_its_root_to_every_finding(of_mills: Report) -> None:
    groups = of_mills.lists["tree"]
    reached: list[int] = []
    waiting = [0]
    while waiting:
        id_, text, level, children, leaves, _ = groups[waiting.pop()]
        assert bool(text) != id_.startswith("group:")
        assert leaves == (level == 1)
        (reached if leaves else waiting).extend(children)
    assert sorted(reached) == list(range(380))
    summaries = {row[0]: row for row in of_mills.lists["nodes"] if row[1] == "summary"}
    assert {group[0] for group in groups if not group[0].startswith("group:")} == set(summaries)
    assert all(one["rests_on"] for summary in summaries.values() for one in summary[3]["statements"])


def test_all_of_the_work_is_there(of_mills: Report, mills: Path) -> None:
    with open_run("last", mills) as opened:
        look = Look(opened)
        followed = look.fresh()
        assert [row[0] for row in of_mills.lists["slices"]] == list(followed.plan.slices)
        assert [row[0] for row in of_mills.lists["calls"]] == [key.hex() for key in followed.calls.keys]
    assert len(of_mills.lists["details"]) == 20
    assert all(detail["spans"] for detail in of_mills.lists["details"])
    assert len(of_mills.lists["bars"]) == 22
    assert len(of_mills.lists["replies"]) == 23
    assert [row[7]["read"] for row in of_mills.lists["sources"]] == [9_351, 10_479]
    assert sum(call[9] for call in of_mills.lists["calls"]) == pytest.approx(
        of_mills.lists["cost"][0]["total"]["cost_usd"]
    )


# What it may do


def test_the_policy_lets_its_own_script_and_style_run_and_nothing_load(of_mills: Report) -> None:
    (policy,) = inside(of_mills.page, 'meta[@http-equiv="Content-Security-Policy"]')
    rules = dict(rule.strip().split(" ", 1) for rule in policy.get("content").split(";"))
    scripts = [one for one in of_mills.page.iter("script") if one.get("type") is None]
    styles = list(of_mills.page.iter("style"))
    assert len(scripts) == len(styles) == 1
    assert rules["script-src"] == hashed(scripts[0].text)
    assert rules["style-src"] == hashed(styles[0].text)
    assert rules["default-src"] == rules["connect-src"] == rules["base-uri"] == rules["form-action"] == "'none'"
    assert (rules["require-trusted-types-for"], rules["trusted-types"]) == ("'script'", "'none'")


def hashed(text: str) -> str:
    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"


def test_nothing_is_named_that_could_be_loaded(of_hostile: Report) -> None:
    for one in of_hostile.page.iter():
        assert not {"src", "style", "action", "srcset", "formaction", "data"} & set(one.attrib), one.tag
        assert not [name for name in one.attrib if name.startswith("on")], one.tag
        address = one.get("href") or "#"
        assert address.startswith("#") or (one.tag == "link" and address.startswith("data:")), address


def test_hostile_text_is_text_wherever_it_stands(of_hostile: Report, of_mills: Report) -> None:
    """The same elements as of a run without it."""
    tags = {one.tag for one in of_mills.page.iter()}
    assert {one.tag for one in of_hostile.page.iter()} <= tags
    assert not {one.tag for one in of_hostile.page.iter()} & {"img", "iframe", "object", "embed", "form", "base"}
    types = [one.get("type") for one in of_hostile.page.iter("script")]
    assert types.count(None) == 1
    assert set(types) == {None, "application/json"}
    article = of_hostile.data.decode().split('<article id="paper">')[1].split("</article>")[0]
    assert "<script" not in article
    assert article.count("&lt;script&gt;") > 50
    told = of_hostile.paper.text_content()
    assert VISIBLE in told
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f]", told)
    assert all(HOSTILE in row[1] for row in of_hostile.lists["findings"])
    assert all(HOSTILE in row[1] for row in of_hostile.lists["sources"])


@pytest.mark.parametrize("text", ["</script>", "<!--<script>", "]]>", "a\u2028b", "\ud800", "{{data}}{{script}}"])
def test_a_title_is_text(mills: Path, text: str) -> None:
    made = report(mills, title=text)
    assert made.paper.find(".//h1").text_content() == shown(text)
    assert made.head["title"] == text


def test_markup_takes_nothing_but_text() -> None:
    made = element("p", {"class": '"><b>', "id": None}, "<i>", None, [Markup("<b>1</b>"), "&"])
    assert made == '<p class="&quot;&gt;&lt;b&gt;">&lt;i&gt;<b>1</b>&amp;</p>'
    assert joined("\x1b[31m\u202e\ud800") == "\u241b[31m\ufffd\ufffd"


# What is left out


@pytest.mark.usefixtures("tight")
def test_what_does_not_fit_is_left_out_by_relevance_and_told(mills: Path) -> None:
    made = report(mills, most_mb=0.03)
    rows = made.lists["findings"]
    assert 0 < len(rows) < 200
    (line,) = [one for one in made.told.left_out if "findings of little relevance" in one]
    assert line.startswith(f"{380 - len(rows)} findings")
    assert made.head["overview"]["file"]["left_out"] == list(made.told.left_out)
    assert line in made.paper.text_content()
    with open_run("last", mills) as opened:
        must = {row.id for one in disputed(opened.graph) for row in (one.one, one.other)}
        answer = show("last", mills).answer
        assert answer is not None
        must |= {finding.id for finding in opened.graph.best(6)}
        ids = {row[0] for row in rows}
        assert must <= ids, "what is in dispute and what the answer rests on is never left out"
        others = [finding for finding in opened.graph.best(1_000) if finding.id not in must]
        kept = [finding.relevance for finding in others if finding.id in ids]
        lost = [finding.relevance for finding in others if finding.id not in ids]
    assert min(kept, default=1.0) >= max(lost)
    assert len(made.data) < len(report(mills).data)


@pytest.mark.usefixtures("tight")
def test_a_finding_has_its_words_also_where_its_source_does_not_fit(mills: Path) -> None:
    made = report(mills, most_mb=0.03)
    for row in made.lists["findings"]:
        for place, (number, start, end, _) in enumerate(row[4]):
            quote = row[9][place] if row[9] else made.text(number, start, end)
            assert quote == row[1]


def test_sources_that_do_not_fit_are_there_in_whole_lines_around_the_quotes(
    mills: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(texts.Texts, "keep_whole", lambda *_: False)
    monkeypatch.setattr(texts, "_AROUND", 60)
    made = report(mills)
    assert any(line.endswith("but for what stands around quotes") for line in made.told.left_out)
    with open_run("last", mills) as opened:
        for row in made.lists["findings"]:
            for number, start, end, _ in row[4]:
                assert made.text(number, start, end) == row[1]
        for id_, path, _, chars, whole, pieces, *_ in made.lists["sources"]:
            assert not whole
            ends = [0, *(end for _, end, *_ in pieces)]
            assert all(begin >= end for (begin, *_), end in zip(pieces, ends, strict=False)), "they do not overlap"
            for number, (begin, end, line, *_) in enumerate(pieces):
                kept = Span(id_, begin, end)
                assert str(opened.library.locate(kept, path)) == f"{path}:{line}"
                assert begin == 0 or opened.library.text(Span(id_, begin - 1, begin)) == "\n" or number
                assert end <= chars


def test_a_run_whose_texts_are_elsewhere_has_a_report(mills: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: object) -> str:
        raise StoreError("no such source")

    with open_run("last", mills) as opened:
        monkeypatch.setattr(type(opened.library), "text", away)
        monkeypatch.setattr(type(opened.library), "locate", away)
        out = io.BytesIO()
        told = write_report(opened, out)
    made = Report(out.getvalue(), told)
    assert len(made.lists["findings"]) == 380
    assert made.lists["texts"] == []
    assert {row[9] if row[9] == 0 else row[9][0] for row in made.lists["findings"]} <= {0, None}
    assert "the text of 2 sources that are cited" in made.told.left_out


# Whole or not


def test_the_same_run_makes_the_same_file(mills: Path, of_mills: Report) -> None:
    assert report(mills).data == of_mills.data


async def test_a_run_that_goes_on_has_a_report_as_of_its_last_record(tmp_path: Path) -> None:
    path = tmp_path / "runs.db"
    async with Stage(path, Script(findings=100, left=2)) as stage:
        await stage.open()
        await stage.work(3)
        await stage.begin_call(4)
        one, other = report(path), report(path)
    assert one.data == other.data
    assert one.head["overview"]["status"] == "running"
    assert one.head["overview"]["live"] is False
    assert one.head["overview"]["now"] == one.head["overview"]["last"]
    assert "The run came to no answer yet." in one.paper.text_content()


def test_a_run_that_has_read_nothing_yet_has_a_report(tmp_path: Path) -> None:
    asyncio.run(staged(tmp_path / "runs.db", Script(findings=0, failing=0), over=False))
    made = report(tmp_path / "runs.db")
    assert made.lists["findings"] == made.lists["tree"] == []
    assert "Which mills were rebuilt" in made.paper.text_content()


async def test_why_something_failed_is_told_without_secrets(tmp_path: Path) -> None:
    secret = "sk-abcdefghijklmnop"
    async with Stage(tmp_path / "runs.db", Script(findings=40, failing=0)) as stage:
        await stage.open()
        await stage.work(1)
        await stage.fail(1, f"401: no such key {secret}", stage.now)
        await stage.end(stopped=f"the provider said {secret}")
    made = report(tmp_path / "runs.db")
    assert "no such key [redacted]" in made.paper.text_content()
    assert secret.encode() not in made.data
    assert secret not in json.dumps(made.lists)
