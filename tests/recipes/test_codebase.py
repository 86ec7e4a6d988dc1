"""The recipe that works on a code base: with a scripted model, real git and real commands."""

from __future__ import annotations

from pathlib import Path

import pytest

from swarm import Swarm, replay
from swarm.errors import SwarmError
from swarm.prompts.acting import ActPrompt
from swarm.prompts.typed import AssessPrompt, OutlinePrompt, WorkPrompt
from swarm.recipe import find, load
from tests.recipes.crew import CHECK, Calls, Crew, content, done, git, order, outline, subjects, write

WRITERS = {"edit_file", "write_file", "remove_file"}
XML = """\
cd words && echo '<testsuite>' > "../$1"
for word in first second third; do
  echo "<testcase name='$word'>" >> "../$1"
  grep -q right $word || echo "<failure message='$word is not right'/>" >> "../$1"
  echo '</testcase>' >> "../$1"
done
echo '</testsuite>' >> "../$1"
! grep -q failure "../$1"
"""


@pytest.fixture
def crew(tmp_path: Path) -> Crew:
    return Crew(tmp_path)


def writes(text: str = "right\n") -> object:
    """A worker that writes the file that its objective ends with."""

    def works(prompt: ActPrompt) -> Calls:
        path = prompt.base.objective.rpartition(" ")[2]  # type: ignore[attr-defined]
        return done(f"Wrote {path}\nConcerns: none") if prompt.turns else [write(path, text)]

    return works


def once(*orders: dict[str, object]) -> object:
    return lambda prompt: outline(*(() if prompt.base.standings else orders))


async def test_planners_workers_and_a_judge_bring_a_goal_to_a_branch(crew: Crew) -> None:
    def plans(prompt: ActPrompt) -> Calls:
        if not prompt.turns:
            return [("list_files", {"path": "words"})]
        assert "first" in prompt.turns[0].results[0].text
        if prompt.base.goal:  # type: ignore[attr-defined]
            return outline(order("third", "Write words/third"))
        return outline(order("second", "Write words/second"), order("part", "Write the rest", kind="plan"))

    def works(prompt: ActPrompt) -> Calls:
        base = prompt.base
        assert isinstance(base, WorkPrompt)
        path = base.objective.rpartition(" ")[2]
        if not prompt.turns:
            bad = path.endswith("second") and not base.wrong
            return [write(path, "wrong\n" if bad else "right\n")]
        return done(f"Wrote {path}\nDeviations: none")

    def judges(prompt: ActPrompt) -> Calls:
        if prompt.turns:
            assert prompt.turns[0].results[0].text.startswith("exit 0")
            return [("report", {"verdict": "done", "reason": "the check passes", "missing": []})]
        return [("run_command", {"command": CHECK})]

    crew.plans, crew.works, crew.judges = plans, works, judges
    answer = await crew.run("codebase", goal="Write all words")
    assert answer.complete
    assert sorted(subjects(crew.repository)) == ["Begin", "Wrote words/second", "Wrote words/third"]
    assert content(crew.repository, "words/second") == "right"
    assert not (crew.repository / "words/second").exists(), "the user's checkout is not touched"
    assert git(crew.repository, "status", "--porcelain") == ""
    assert "2 changes landed on green:" in answer.text
    assert "Wrote words/third [part/third; $0.0000, 2 calls" in answer.text
    told = [prompt.base.wrong for prompt in crew.asks(WorkPrompt)]  # type: ignore[attr-defined]
    assert sum("a word is wrong" in one for one in told) == 1
    again = await replay(answer.run_id, crew.folder / "swarm.db")
    assert (again.graph, again.complete) == (answer.graph, True)
    assert "part/third: Wrote words/third" in again.text.splitlines(), "what `swarm show` tells"
    for prompt in crew.asked:
        names = {one.name for one in prompt.tools}
        assert bool(names & WRITERS) == isinstance(prompt.base, WorkPrompt), "planners and judges never code"


async def test_of_issues_the_planner_is_told_the_titles_and_the_worker_reads_the_whole(crew: Crew) -> None:
    issues = crew.folder / "issues.md"
    issues.write_text(
        "# Issues\n\n## A word is missing\nIt is words/second.\n\n## Another is\nIt is words/third.\n"
    )

    def works(prompt: ActPrompt) -> Calls:
        number = prompt.base.objective[-1]  # type: ignore[attr-defined]
        if not prompt.turns:
            return [("read_issue", {"number": number})]
        path = prompt.turns[0].results[0].text.rpartition(" ")[2].rstrip(".")
        return done(f"Wrote {path}") if len(prompt.turns) > 1 else [write(path, "right\n")]

    crew.plans = once(order("issue 1", "Resolve issue 1"), order("issue 2", "Resolve issue 2"))  # type: ignore[assignment]
    crew.works = works
    answer = await crew.run("codebase", issues=issues)
    assert sorted(subjects(crew.repository)) == ["Begin", "Wrote words/second", "Wrote words/third"]
    assert "[issue 2; " in answer.text
    (prompt,) = [one for one in crew.asks(OutlinePrompt) if not one.base.standings]  # type: ignore[attr-defined]
    assert "- 2: Another is" in prompt.question
    assert "It is words/third" not in prompt.question


async def test_a_specification_is_material(crew: Crew) -> None:
    spec = crew.folder / "spec.md"
    spec.write_text("# Words\n\nThe second word has to be right.\n")

    def plans(prompt: ActPrompt) -> Calls:
        if not prompt.turns:
            return [("search_sources", {"words": "second"})]
        assert "has to be right" in prompt.turns[0].results[0].text
        return outline(order("second", "Write words/second"))

    crew.plans, crew.works = plans, writes()  # type: ignore[assignment]
    await crew.run("codebase", spec=spec)
    assert content(crew.repository, "words/second") == "right"


async def test_work_lands_on_a_red_branch_where_nothing_breaks_that_passed(crew: Crew) -> None:
    (crew.repository / "check.sh").write_text(XML)
    git(crew.repository, "commit", "-qam", "Tests")

    def works(prompt: ActPrompt) -> Calls:
        base = prompt.base
        assert isinstance(base, WorkPrompt)
        path = base.objective.rpartition(" ")[2]
        if prompt.turns:
            return done(f"Wrote {path}")
        breaks = [write("words/first", "broken\n")] if path.endswith("third") and not base.wrong else []
        mends = [write("words/first", "right\n")] if base.wrong else []
        return [write(path, "right\n"), *breaks, *mends]

    def plans(prompt: ActPrompt) -> Calls:
        names = ("second",) if not prompt.base.standings else ("third",)  # type: ignore[attr-defined]
        return outline(*(order(name, f"Write words/{name}") for name in names))

    crew.plans, crew.works = plans, works
    answer = await crew.run("codebase", check="sh check.sh {report}", allow_red=True)
    assert answer.complete
    assert subjects(crew.repository)[2:] == ["Wrote words/second", "Wrote words/third"]
    assert content(crew.repository, "words/first") == "right"
    (asked,) = crew.asks(AssessPrompt)
    assert "the check fails" in asked.base.checks[0], "the opinion that it is done counts for nothing"  # type: ignore[attr-defined]


async def test_tests_that_are_there_can_be_kept(crew: Crew) -> None:
    def works(prompt: ActPrompt) -> Calls:
        base = prompt.base
        assert isinstance(base, WorkPrompt)
        if prompt.turns:
            return done("Wrote a test")
        cheat = [("run_command", {"command": "cp words/first tests/test_first"})] if not base.wrong else []
        return [write("tests/test_second", "second is right\n"), *cheat]

    crew.plans, crew.works = once(order("tests", "Write a test")), works  # type: ignore[assignment]
    await crew.run("codebase", goal="Test it", keep_tests=True)
    assert content(crew.repository, "tests/test_first") == "first is right"
    assert content(crew.repository, "tests/test_second") == "second is right"
    assert any("tests/test_first" in one.base.wrong for one in crew.asks(WorkPrompt))  # type: ignore[attr-defined]


async def test_where_tests_are_kept_nothing_new_decides_how_they_run(crew: Crew) -> None:
    cheats = ("conftest.py", "words/conftest.py", "pytest.ini")

    def works(prompt: ActPrompt) -> Calls:
        if prompt.turns:
            return done("Wrote a test")
        planted = [] if prompt.base.wrong else [write(path, "all pass\n") for path in cheats]  # type: ignore[attr-defined]
        return [write("tests/test_second", "second is right\n"), *planted]

    crew.plans, crew.works = once(order("tests", "Write a test")), works  # type: ignore[assignment]
    await crew.run("codebase", goal="Test it", keep_tests=True)
    changed = git(crew.repository, "diff", "--name-only", "main", "green")
    assert changed.splitlines() == ["tests/test_second"]


async def test_what_reviewers_find_is_mended(crew: Crew) -> None:
    def works(prompt: ActPrompt) -> Calls:
        base = prompt.base
        assert isinstance(base, WorkPrompt)
        if not base.objective.startswith("Review"):
            return writes("right, and long\n" if "second" in base.objective else "right\n")(prompt)  # type: ignore[operator]
        if not prompt.turns:
            commit = base.objective.partition("git show ")[2].partition("`")[0]
            return [("run_command", {"command": f"git show {commit}"})]
        assert "+right, and long" in prompt.turns[0].results[0].text
        found = {"name": "too long", "objective": "Write words/third", "sources": []}
        return done("It is too long", proposed=[found])

    crew.plans, crew.works = once(order("second", "Write words/second")), works  # type: ignore[assignment]
    answer = await crew.run("codebase", goal="Write it", reviewers=1)
    assert subjects(crew.repository) == ["Begin", "Wrote words/second", "Wrote words/third"]
    assert "[too long (from review 1 by reviewer: second); " in answer.text


async def test_what_is_not_done_is_told_with_the_reason(crew: Crew) -> None:
    crew.plans = once(order("second", "Write words/second"))  # type: ignore[assignment]
    crew.works = writes("wrong\n")  # type: ignore[assignment]
    crew.judges = lambda prompt: [("report", {"verdict": "stop", "reason": "no way", "missing": []})]
    answer = await crew.run("codebase", goal="Write it")
    assert not answer.complete
    assert "0 changes landed on green." in answer.text
    assert "- second: no result that passes its check" in answer.text
    assert "a word is wrong" in answer.text


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({}, "nothing is asked for"),
        ({"goal": "x", "check": "false"}, "the check `false` does not pass on green before any work (exit 1"),
        ({"goal": "x", "check": "./nowhere"}, "the check `./nowhere` cannot be run"),
        ({"allow_red": True, "check": "make test"}, "put {report} where"),
        ({"goal": "x", "reviewers": 4}, "--reviewers 4"),
        ({"issues": "nothing.md"}, "cannot be read"),
        ({"issues": "empty.md"}, "no open issue"),
        ({"spec": "empty.md"}, "is empty"),
        ({"goal": "x", "branch": "main"}, "is checked out in"),
    ],
)
async def test_what_cannot_be_worked_is_told_in_one_line(
    crew: Crew, options: dict[str, object], says: str
) -> None:
    (crew.folder / "empty.md").write_text("\n")
    for name in ("issues", "spec"):
        if name in options:
            options = options | {name: crew.folder / str(options[name])}
    assert says in await crew.refuses("codebase", **({"check": CHECK, "unconfined": True} | options))


async def test_a_folder_that_is_no_repository_is_told(crew: Crew) -> None:
    (crew.folder / "plain").mkdir()
    for paths, says in (
        ([str(crew.folder / "plain")], "in no git repository"),
        (["a", "b"], "these are 2"),
        (["x"], "no folder"),
    ):
        assert says in await crew.refuses("codebase", paths, goal="x", check=CHECK, unconfined=True)


async def test_the_tests_that_are_kept_are_those_of_the_checkout_that_was_named(crew: Crew) -> None:
    beside = crew.folder / "beside"
    git(crew.repository, "worktree", "add", "-q", "-b", "other", str(beside))
    (beside / "tests/test_new").write_text("first is right\n")
    git(beside, "add", "-A")
    git(beside, "commit", "-qm", "Another test")
    crew.works = lambda prompt: done("A test") if prompt.turns else [write("tests/test_new", "changed\n")]
    crew.plans = once(order("tests", "Change it"))  # type: ignore[assignment]
    crew.repository = beside
    await crew.run("codebase", goal="Test it", keep_tests=True)
    assert content(beside, "tests/test_new") == "first is right"


@pytest.mark.parametrize("recipe", ["codebase", "feature_list"])
async def test_a_model_that_cannot_work_is_told_before_the_check_is_run(crew: Crew, recipe: str) -> None:
    ran = crew.folder / "ran"
    given = {"goal": "x", "check": f"touch {ran}", "unconfined": True}
    with pytest.raises(SwarmError, match="name a language model"):
        await load(find(recipe)).run(Swarm(store=crew.folder / "swarm.db"), [str(crew.repository)], **given)
    assert not ran.exists()
