"""The page of a graph in a browser, where there is one: it shows its nodes, and text from a source stays text."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from swarm.graph.graph import SharedGraph
from swarm.graph.identity import finding_id
from swarm.graph.page import write_page
from swarm.source import Source, Span
from swarm.task import Finding, Report

BROWSER = shutil.which("chromium")
pytestmark = [pytest.mark.soak, pytest.mark.skipif(BROWSER is None, reason="there is no chromium on this machine")]

HOSTILE = "</script><script>document.title='taken'</script><img src=x onerror=\"document.title='taken'\">"


@pytest.fixture
def page(build: Callable[..., SharedGraph], tmp_path: Path) -> Path:
    claims = [
        HOSTILE,
        "The mill has 12 wheels.",
        "The mill has 13 wheels.",
        *(f"House {n} stood." for n in range(200)),
    ]
    findings = []
    for n, claim in enumerate(claims):
        value = re.findall("has ([0-9]+)", claim)
        fields = {"subject": "mill", "attribute": "wheels", "value": value[0]} if value else {}
        findings.append(
            Finding(
                id=finding_id(claim, **fields), claim=claim, evidence=(Span("sa", n, n + 9),),
                relevance=1 - n / 1_000, **fields,
            )
        )  # fmt: skip
    source = Source(id="sa", path=HOSTILE, media="text", chars=900, bytes=900)
    path = tmp_path / "page.html"
    with path.open("w", encoding="utf-8") as out:
        write_page(
            build([source, Report(slice="p", question=HOSTILE, findings=tuple(findings))]),
            lambda span: (f"{HOSTILE} at {span.start}", "a.md:1"),
            out,
        )
    return path


def shown(page: Path, tmp_path: Path, fragment: str = "") -> str:
    """What is in the document after the script has run, without the script and the style."""
    assert BROWSER is not None
    done = subprocess.run(
        [
            BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
            "--disable-background-networking", "--disable-component-update", "--disable-sync",
            f"--user-data-dir={tmp_path / 'profile'}", "--virtual-time-budget=5000", "--dump-dom",
            f"{page.as_uri()}#{fragment}",
        ],
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    return re.sub(r"<(style|script)>.*?</\1>", "", done.stdout, flags=re.DOTALL)


def test_the_start_shows_what_is_in_dispute_and_what_is_most_relevant(page: Path, tmp_path: Path) -> None:
    start = shown(page, tmp_path)
    assert "Open contradictions" in start
    assert start.count("The mill has 12 wheels.") >= 3  # in the list, among the contradictions, and as relevant
    assert "House 3 stood." in start
    assert 3 < start.count('role="option"') < 60  # of 203 findings only the rows in sight


def test_an_address_opens_its_node_with_its_evidence_and_its_edges(page: Path, tmp_path: Path) -> None:
    one, other = (finding_id(f"The mill has {n} wheels.", "mill", "wheels", str(n)) for n in (12, 13))
    opened = shown(page, tmp_path, one)
    main = opened[opened.index("<main") :]
    assert re.search("<h2[^>]*>The mill has 12 wheels.</h2>", main)
    assert re.search("<blockquote[^>]*>&lt;/script&gt;.* at 1</blockquote>", main)
    assert f'href="#{other}"' in main
    assert "Contradicts" in main


def test_text_of_a_source_stays_text(page: Path, tmp_path: Path) -> None:
    for fragment in ("", finding_id(HOSTILE), "sa", HOSTILE):
        document = shown(page, tmp_path, fragment)
        assert "<img" not in document
        assert "<script" not in document
        assert "<title>taken" not in document
        assert "document.title='taken'" in document
