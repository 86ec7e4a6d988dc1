"""The JSON for programs."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

from swarm.cli.document import document, dumps
from swarm.source import Span
from swarm.task import Answer, Citation, SliceFailure

Make = Callable[..., Answer]


def test_the_promised_keys_are_there_with_their_types(answer: Make) -> None:
    found = json.loads(dumps(document(answer())))
    promised: dict[str, type | tuple[type, ...]] = {
        "run_id": str, "status": str, "answer": str, "citations": list, "findings": int, "rejected_quotes": int,
        "coverage": dict, "window": dict, "usage": dict, "slices": int, "rounds": int, "elapsed_s": float,
    }  # fmt: skip
    for key, kind in promised.items():
        assert isinstance(found[key], kind), key
    assert set(found["coverage"]) >= {"sources", "chars_total", "chars_read", "chars_skipped", "skipped"}
    assert found["coverage"]["skipped"][0] == {
        "source": "copy.md", "reason": "the same as reports/q3.md", "chars": 50, "bytes": 51,
    }  # fmt: skip
    assert found["window"] == {"limit": 8_000, "peak": 7_102}
    assert found["usage"] == {
        "calls": 3, "input_tokens": 9_000, "output_tokens": 500, "cached_tokens": 100, "cost_usd": 0.0123,
    }  # fmt: skip
    assert (found["complete"], found["stopped"], found["failures"]) == (True, None, [])


def test_a_citation_has_a_line_or_a_page_where_there_is_one(answer: Make) -> None:
    bare = Citation(source="rows.csv", source_id="s3", start=1, end=2, quote="x")
    found = document(answer(citations=(*answer().citations, bare)))["citations"]
    assert [("line" in citation, "page" in citation) for citation in found] == [
        (True, False),
        (False, True),
        (False, False),
    ]
    assert found[0]["quote"] == "Churn in Q3 rose to\n7.1%"


def test_the_guide_names_every_key_and_no_other(answer: Make) -> None:
    guide = (Path(__file__).parents[2] / "docs" / "cli.md").read_text("utf-8")
    table = guide.partition("## The JSON object")[2].partition("\n\n`quote`")[0]
    assert re.findall(r"(?m)^\| `(\w+)` \|", table) == list(document(answer()))
    for part in ("coverage", "window", "usage"):
        (row,) = re.findall(rf"(?m)^\| `{part}` \|.*$", table)
        assert all(f"`{key}`" in row for key in document(answer())[part])


def test_whatever_a_source_holds_the_output_is_one_line_of_ascii(answer: Make) -> None:
    strange = "\ud800 \x1b[2J \u2028 naïve \x9b 日本\n"
    failure = SliceFailure(slice="s", spans=(Span("a", 1, 2),), reason=strange)
    text = dumps(document(answer(text=strange, short=strange, failures=(failure,), status="partial")))
    assert text.isascii()
    assert text.isprintable()
    assert json.loads(text)["answer"] == strange
