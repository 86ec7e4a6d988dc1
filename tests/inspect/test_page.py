"""The page as one document: all of its parts, in one order, under a policy that lets nothing else run."""

from __future__ import annotations

import json
import re
from importlib.resources import files

from swarm.inspect.page.joined import FILE, SERVED, SOURCES, STYLES, TOOLS, VIEWS, document, policy, to_json
from swarm.testing.staged import HOSTILE

PARTS = files("swarm.inspect.page").joinpath("parts")
_DANGEROUS = (
    "innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function", "DOMParser",
    "createContextualFragment", "import(", "@import", "</script", "</style",
)  # fmt: skip


def test_every_part_in_the_folder_is_in_the_page_once() -> None:
    there = sorted(part.name for part in PARTS.iterdir())
    scripts = [f"{name}.js" for name in (*TOOLS, *VIEWS, *SOURCES[SERVED], *SOURCES[FILE])]
    assert there == sorted([*scripts, *(f"{name}.css" for name in STYLES), "page.html"])


def test_a_served_page_asks_its_server_and_a_file_asks_nobody() -> None:
    served, file = "".join(document(None)), "".join(document(['{"a":', "1}"], ["<p>on paper</p>"]))
    assert "connect-src 'self'" in served
    assert "connect-src 'none'" in file
    assert "EventSource" in served
    assert "EventSource" not in file
    assert '<script type="application/json" id="data">{"a":1}</script>' in file
    assert "<p>on paper</p>" in file
    for page in (served, file):
        assert "{{" not in re.sub("<script>.*</script>", "", page, flags=re.DOTALL)
        assert page.count("<script>") == page.count("<style>") == 1
    assert policy(SERVED) in served
    assert policy(FILE) in file


def test_no_part_makes_markup_of_text_or_loads_anything_from_elsewhere() -> None:
    for part in PARTS.iterdir():
        text = part.read_text("utf-8")
        for word in _DANGEROUS:
            allowed = part.name == "page.html" and word.startswith("</")
            assert allowed or word not in text, f"{word} in {part.name}"
        addresses = set(re.findall(r"https?://[^\s'\"]+", text)) - {"http://www.w3.org/2000/svg"}
        assert not addresses, f"{part.name} names {addresses}"
        assert " style=" not in text, f"the policy of the page blocks a style in the markup of {part.name}"


def test_no_text_ends_the_block_that_holds_the_data() -> None:
    texts = [HOSTILE, "</script>", "<!--", "\u2028\u2029", "\ud800 half a character", "]]>&amp;"]
    told = to_json(texts)
    assert json.loads(told) == texts
    assert not re.search("[<>&\u2028\u2029\ud800-\udfff]", told)
    told.encode()
