"""HTML becomes the text that a reader sees, and every piece leads back to its own line."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from swarm.sources.html import page

PAGE = """\
<!DOCTYPE html>
<html><head><title>On Whales</title>
<style>p { color: red }</style>
<script>if (1 < 2) { document.write("<p>no</p>") }</script>
</head>
<body>
<h1>Whales
 &amp; others</h1>
<p>First <b>bold</b> words,
   on    two lines&nbsp;here&#33;</p>
<ul><li>one<li>two</ul>
<pre>
keep   this
  as is
</pre>
<table><tr><th>Name<th>Size</tr>
<tr><td>Blue</td><td>30&nbsp;m</td></tr></table>
<svg><text>hidden</text></svg>
a<br>b
</body></html>
"""


def spans(units):
    """Each marked piece of text with its line."""
    for unit in units:
        ends = [offset for offset, _ in unit.marks[1:]] + [len(unit.text)]
        for (start, line), end in zip(unit.marks, ends, strict=True):
            yield unit.text[start:end].strip(), line


def test_the_text_is_what_a_reader_sees_in_blocks():
    found = [(unit.cut, unit.kind, unit.context, unit.text) for unit in page([PAGE])]
    assert found == [
        (8, "heading", "On Whales", "On Whales\n\n"),
        (8, "heading", "Whales & others", "Whales & others\n\n"),
        (1, "", "Whales & others", "First bold words, on two lines here!\n\n"),
        (2, "", "Whales & others", "one\n"),
        (2, "", "Whales & others", "two\n"),
        (1, "", "Whales & others", "keep   this\n  as is\n\n"),
        (2, "record", "Whales & others", "Name | Size\n"),
        (2, "record", "Whales & others", "Blue | 30 m\n"),
        (1, "", "Whales & others", "a\nb\n\n"),
    ]


def test_every_piece_stands_on_the_line_it_is_marked_with():
    lines = PAGE.splitlines()
    found = list(spans(page([PAGE])))
    assert ("on two lines here!", 10) in found
    for text, line in found:
        for word in text.replace("&", "&amp;").replace("|", "").split():
            assert word.rstrip("!") in lines[line - 1], (word, line)


@given(size=st.integers(1, 40))
def test_the_chunks_that_a_page_comes_in_do_not_matter(size):
    chunks = [PAGE[at : at + size] for at in range(0, len(PAGE), size)]
    assert "".join(unit.text for unit in page(chunks)) == "".join(unit.text for unit in page([PAGE]))


FRAGMENTS = st.sampled_from(
    ["<", ">", "</", "<!", "<![", "<![CDATA[x]]>", "<!-- ", "-->", "<?", "&", "&#", "&#x110000;", "&nbsp", "<p ",
     "<svg>", "</p>", "<td>", "<script>", "</script>", "<textarea>", "=\"'", "<li>", "words ", "\n", "<br/>",
     "<svg/>", "</body>", "<pre>", "\r", "\r\n", "&zwj;"]
)  # fmt: skip


@given(st.lists(FRAGMENTS, max_size=30).map("".join), st.integers(1, 20))
@settings(deadline=None)
def test_no_markup_however_broken_stops_the_reading(text, size):
    units = list(page([text[at : at + size] for at in range(0, len(text), size)]))
    assert all(unit.text for unit in units)
    for unit in units:
        offsets = [offset for offset, _ in unit.marks]
        assert offsets[0] == 0
        assert offsets == sorted(set(offsets))
        assert offsets[-1] < len(unit.text)


def test_text_behind_an_image_that_is_never_closed_is_lost_but_what_follows_the_body_is_not():
    assert [unit.text for unit in page(["<body>a<svg><g>b</body><p>c</p>"])] == ["a\n\n", "c\n\n"]
