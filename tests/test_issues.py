"""What is asked for, read from files."""

from __future__ import annotations

from pathlib import Path

import pytest

from swarm.errors import UsageError
from swarm.issues import goal_of, read_issues

MARKDOWN = """\
# Open issues

## Names are cut
After 8 letters.

```
## this is code
```

### Seen
In the list.

## Dates ##
"""


@pytest.mark.parametrize(
    ("name", "text", "found"),
    [
        ("a.md", MARKDOWN, [("1", "Names are cut"), ("2", "Dates")]),
        ("b.md", "- [ ] Mend it\n  now\n- [x] Was done\n\n1. And this\n", [("1", "Mend it"), ("2", "And this")]),
        ("c.json", '{"all": [{"number": 7, "title": "A"}, {"id": 9, "name": "B"}]}', [("7", "A"), ("9", "B")]),
        ("d.jsonl", '{"title": "A", "state": "closed"}\n\n"B\\nmore"\n', [("1", "B")]),
        ("e.json", '[{"id": 1, "title": "A"}, {"id": 1, "title": "B"}]', [("1", "A"), ("2", "B")]),
    ],
)  # fmt: skip
def test_issues_are_read_as_people_and_trackers_write_them(
    tmp_path: Path, name: str, text: str, found: list[tuple[str, str]]
) -> None:
    (tmp_path / name).write_text(text)
    assert [(one.number, one.title) for one in read_issues(tmp_path / name)] == found


def test_the_whole_of_an_issue_is_kept(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text(MARKDOWN)
    one, _ = read_issues(tmp_path / "a.md")
    assert one.text.startswith("1: Names are cut\n\nAfter 8 letters.")
    assert one.body.endswith("### Seen\nIn the list.")
    assert "## this is code" in one.body


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("a.md", "Only prose.\n", "hold no open issue"),
        ("b.json", "[", "as JSON"),
        ("c.json", "", "hold no open issue"),
        ("d.json", "[3]", "item 1 is neither"),
        ("e.json", '[{"state": "open"}]', "item 1 has no title"),
        ("f.json", "3", "it is no list"),
    ],
)
def test_a_list_that_is_none_is_told_in_one_line(tmp_path: Path, name: str, text: str, says: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(UsageError, match=says) as told:
        read_issues(tmp_path / name)
    assert "\n" not in str(told.value)


def test_a_goal_names_what_is_asked_and_leaves_the_rest_to_be_looked_up(tmp_path: Path) -> None:
    spec, issues = tmp_path / "spec.md", tmp_path / "issues.md"
    spec.write_text("All of it, at length.")
    issues.write_text("\n".join(f"- number {n}" for n in range(50)))
    goal = goal_of("Be quick.", spec, issues)
    assert goal.startswith(
        f"Be quick.\n\nMake what the specification {spec} asks for, all of it.\n\nResolve the 50 "
    )
    assert goal.endswith("- 40: number 39\n- and 10 more")
    assert "at length" not in goal
    assert goal_of(" ") == ""
