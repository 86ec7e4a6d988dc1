"""Markdown and plain text are cut where their authors cut them."""

from __future__ import annotations

from swarm.sources.passages import drafts
from swarm.sources.prose import markdown, text

BOOK = """\
---
author: A. Writer
---

# The Book

A preface.

## One

First paragraph,
on two lines.

Second paragraph.

* * *

After the break.

Setext Two
----------

- an item
- another
  with a line
  - nested

```python
# not a heading

- not an item
```
### Deep #
| a | b |
|---|---|
| 1 | 2 |
"""


def test_markdown_is_cut_at_headings_paragraphs_items_and_breaks_but_not_in_fences():
    units = list(markdown([BOOK]))
    found = [(unit.cut, unit.context, unit.text.strip()) for unit in units]
    assert found == [
        (1, "", "---\nauthor: A. Writer\n---"),
        (8, "The Book", "# The Book"),
        (1, "The Book", "A preface."),
        (7, "The Book > One", "## One"),
        (1, "The Book > One", "First paragraph,\non two lines."),
        (1, "The Book > One", "Second paragraph."),
        (3, "The Book > One", "* * *"),
        (1, "The Book > One", "After the break."),
        (7, "The Book > Setext Two", "Setext Two\n----------"),
        (2, "The Book > Setext Two", "- an item"),
        (2, "The Book > Setext Two", "- another\n  with a line"),
        (1, "The Book > Setext Two", "- nested"),
        (1, "The Book > Setext Two", "```python\n# not a heading\n\n- not an item\n```"),
        (6, "The Book > Setext Two > Deep", "### Deep #"),
        (1, "The Book > Setext Two > Deep", "| a | b |\n|---|---|\n| 1 | 2 |"),
    ]


def test_small_paragraphs_of_one_section_share_a_passage_and_sections_do_not():
    made = list(drafts(markdown([BOOK])))
    assert [draft.context for draft in made] == [
        "", "The Book", "The Book > One", "The Book > One", "The Book > Setext Two", "The Book > Setext Two > Deep"
    ]  # fmt: skip
    assert made[2].text.startswith("## One\n\nFirst")
    assert made[2].text.endswith("Second paragraph.\n\n")


def test_headings_with_nothing_between_them_go_with_what_follows():
    (made,) = drafts(markdown(["# Title\n\n## Author\n\n## Year\n\nIt begins.\n"]))
    assert (made.cut, made.context) == (8, "Title > Year")


def test_plain_text_knows_paragraphs_underlined_titles_and_chapters():
    story = (
        "A Guide\n=======\n\nWords.\n\nPart\n~~~~\n\nMore.\n\n"
        "CHAPTER XII. The Return\n\nHe came back.\n\nPart of the way he walked.\n\nEpilogue\n\nThe end.\n"
    )
    found = [(unit.cut, unit.context, unit.text.strip()) for unit in text([story])]
    assert found == [
        (8, "A Guide", "A Guide\n======="),
        (1, "A Guide", "Words."),
        (6, "A Guide > Part", "Part\n~~~~"),
        (1, "A Guide > Part", "More."),
        (6, "A Guide > CHAPTER XII. The Return", "CHAPTER XII. The Return"),
        (1, "A Guide > CHAPTER XII. The Return", "He came back."),
        (1, "A Guide > CHAPTER XII. The Return", "Part of the way he walked."),
        (6, "A Guide > Epilogue", "Epilogue"),
        (1, "A Guide > Epilogue", "The end."),
    ]


def test_a_long_paragraph_is_split_after_sentences():
    story = "Mr. Smith said nothing at all to anybody who asked him about it. " * 60
    made = list(drafts(text([story])))
    assert len(made) > 3
    assert all(draft.text.endswith("it. ") for draft in made)
    assert [draft.cut for draft in made] == [1] + [0] * (len(made) - 1)


def test_a_log_is_split_after_lines():
    log = "".join(f"2026-01-01 00:00:{n:02} INFO a. b. c. message number {n}\n" for n in range(60))
    assert all(draft.text.endswith("\n") and draft.text.startswith("2026") for draft in drafts(text([log])))
