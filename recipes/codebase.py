"""A specification or a list of issues in, a branch with passing tests out: planners that never code, workers that
own one slice each, and a judge who took no part.

After Cursor's long-running agents: "Scaling long-running autonomous coding"
(https://cursor.com/blog/scaling-agents) and "Towards self-driving codebases"
(https://cursor.com/blog/self-driving-codebases). From there are the planners that hand parts to planners of
their own and do no work, the workers that know nothing of one another and each work in a copy of the repository,
the handoff that holds "not just what was done, but important notes, concerns, deviations, findings, thoughts,
and feedback", the judge, the fresh starts against drift, and that nobody integrates. Here the check decides what
lands, one commit for a slice.
"""

import fnmatch
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path, PurePosixPath

from swarm import Answer, Program, RecipeError, Role, Swarm, Task, recipe, reviewed, tool
from swarm.coordinator.work.fit import fit_to_work
from swarm.equipment import Tool, ToolFailed, Workspace
from swarm.issues import Issue, goal_of, read_issues
from swarm.reviewing import REVIEWER
from swarm.workspace.account import account_of, check_at_tip, in_lines, place_of, said
from swarm.workspace.opening import find
from swarm.workspace.suite import Ratchet, Suite

READING = ("list_files", "read_file", "search_files", "search_graph", "open_finding")
WRITING = (*READING, "edit_file", "write_file", "remove_file", "run_command", "changes")
MATERIAL = ("search_sources", "open_source")

PLANNER = """\
You plan the work on a code base and do none of it: your tools read. Look at the code before you plan, and at what
has landed when you are asked again.

- A slice is one change that can land by itself and leaves the check `{check}` as good as it found it: the code,
  its tests, what is said of it. Its objective names the files and functions, what they are to do, and the test
  that shows it. Slices that are worked at the same time touch different files where that can be had.
- What several slices need is a slice of its own, and they need it.
- A part with an inside that you cannot see to the end of is of kind "plan": its planner looks closer.
- What workers hand back reaches you as what is known, and what they propose as a reason to ask you. Take their
  concerns and deviations seriously: the plan is what is wrong more often than they are.{issues}"""

ISSUES = """
- `list_issues` and `read_issue` show what is to be resolved. Mostly one issue is one slice, called after it
  ("issue 12"); several that are one change are one slice, and a large one is of kind "plan". The objective tells
  the worker to read the issue with `read_issue`, and what you found out about it beside."""

WORKER = """\
You own one slice of a code base. You work in a checkout of your own, which nobody else sees; others work on other
slices at the same time, and you need not know of them.

- Look first: at what your slice touches, at its tests, at how things are done there. Then make the whole change,
  its tests included. No stub, no half of it, nothing switched off.
- Run the tests that your slice touches before you report; the check is `{check}`. It is run again on your work,
  upon all that has landed meanwhile: what it turns down comes back to a fresh colleague, with what it said.
- Stay inside your slice. What else ought to be done goes into `proposed`; where your slice turns out to be
  several, report "too_large" and propose them.
- You commit nothing: what stands in your checkout when you report "done" becomes one commit. Leave nothing there
  that does not belong to it.

Your report is the handoff to your planner, who sees nothing else of you. `summary` is one line, and the subject of
the commit. `result` has these parts, each in a line or a few, without those that have nothing to say:
Work: what you changed, where, and how you know that it works.
Notes: what whoever works there next should know.
Concerns: what may go wrong, and what you are not sure of.
Deviations: where you did otherwise than you were asked, and why.
Feedback: what of your order was wrong, missing or in the way.
`findings` are facts about the code base that others need, and each concern and deviation that your planner has to
know of, with the words of a file that you read or of your result. `decisions` are conventions that all who come
later are to go by."""

JUDGE = """\
Look at the code itself: you have a checkout of what has landed, and can run commands there, `{check}` for one.
What was asked for is reached when it is there and works, and not when its slices are done. Look for what nobody
planned: what was asked and has no slice, parts that do not fit one another, what was left for later. Change
nothing."""

LENSES = (
    ("reviewer", ""),
    ("tester", "You look at the tests above all: would they fail if the work were wrong? Which case has none?"),
    ("simplifier", "You look at what is too much above all: what exists already, what nobody uses."),
)

TESTS = ("test_*", "*_test.*", "*.test.*", "*.spec.*", "*Test.*", "conftest.py", "pytest.ini", "tox.ini")
STEERING = ("conftest.py", "pytest.ini", ".pytest.ini", "tox.ini")
"""What decides how tests run, wherever it stands: a new one could make each of them pass."""
FOLDERS = {"test", "tests", "spec", "__tests__", "testdata"}


@recipe
async def codebase(
    swarm: Swarm,
    paths: list[str] | None = None,
    *,
    check: str,
    goal: str = "",
    spec: Path | None = None,
    issues: Path | None = None,
    done_when: str = "",
    remote: str = "",
    branch: str = "green",
    protect: list[str] | None = None,
    keep_tests: bool = False,
    allow_red: bool = False,
    reviewers: int = 0,
    readable: list[str] | None = None,
    network: bool = False,
    unconfined: bool = False,
) -> Answer:
    """Work on a code base until a goal is reached, on a branch where the check passes. Needs a language model.

    PATH is the folder of a git repository. Your checkout of it is not touched: what lands is on a branch.

    Args:
        check: The command that decides what lands: it has to exit with 0 on exactly that.
        goal: What is to be done.
        spec: A file that says what is to be made.
        issues: A list of what is to be resolved, as Markdown, JSON or JSON lines.
        done_when: How anyone can tell that it is done.
        remote: In place of PATH: the address of a repository that all machines reach, where work lands.
        branch: Where work lands; it begins at HEAD.
        protect: What nobody may change, a pattern as in a .gitignore; may be repeated.
        keep_tests: Nobody may change the tests that are there, nor add a conftest.py or the like; new tests may be
            added.
        allow_red: The check may fail at first: work lands where no test fails that passed, by a report as JUnit
            writes it (pytest, or a command with {report} for its file).
        reviewers: How many look at each change that landed, up to 3; what they find is mended.
        readable: A path outside of the repository that commands may read; may be repeated.
        network: Let commands reach the network.
        unconfined: Run commands without a sandbox where bubblewrap is not there.
    """
    asked = goal_of(goal, None if swarm.joining else spec, issues)
    asked = asked or (f"Make the check `{check}` pass." if allow_red else "")
    if not asked and not swarm.joining:
        raise RecipeError("nothing is asked for: say it with --goal, or give a file with --spec or --issues")
    if not 0 <= reviewers <= len(LENSES):
        raise RecipeError(
            f"--reviewers {reviewers}: there are 0 to {len(LENSES)}, each with an eye on something else"
        )
    workspace = Workspace(
        **place_of(paths, remote),
        branch=branch,
        check=check.replace("{report}", "report.xml"),
        protected=(".git*", *(protect or ())),
        readable=tuple(readable or ()),
        network=network,
        unconfined=unconfined,
    )
    ratchet = Ratchet(Suite(command=_reported(check), bounds=workspace.check_bounds)) if allow_red else None
    if keep_tests:
        workspace = replace(workspace, protected=(*workspace.protected, *STEERING, *await _tests(workspace)))
    material = (str(spec),) if spec is not None else ()
    task = Task(questions=(asked,), paths=material, mode="work", done_when=done_when)
    if not swarm.joining:
        fit_to_work(task, None, swarm._model, swarm._reader)  # the check may take minutes
        ran = await check_at_tip(workspace)
        if not ran.ok and not allow_red:
            raise RecipeError(
                f"the check `{check}` does not pass on {branch} before any work ({said(ran)}): mend that first, "
                "or give --allow-red"
            )
    listed = read_issues(issues) if issues is not None else ()
    more = (*_issue_tools(listed), *(MATERIAL if spec is not None else ()))
    told = PLANNER.format(check=check, issues=ISSUES if listed else "")
    program = Program(
        planner=Role(name="planner", instructions=told, tools=(*READING, *more), workspace="read", steps=60),
        roles=(
            Role(
                instructions=WORKER.format(check=check),
                tools=(*WRITING, *more),
                workspace="write",
                trial=ratchet,
                tries=6,
                steps=120,
            ),
        ),
        judge=Role(
            name="judge",
            instructions=JUDGE.format(check=check),
            tools=(*READING, "run_command", *more),
            workspace="read",
            steps=60,
        ),
        answer=in_lines,
        workspace=workspace,
    )
    if not (goal or spec or issues):  # then the check is the goal, and no opinion

        async def passes(_results: object) -> str | None:
            ran = await check_at_tip(workspace)
            return None if ran.ok else f"the check fails: {ran.ended or ran.output[-2_000:]}"

        program = replace(program, check=passes)
    if reviewers:
        eyes = [
            replace(REVIEWER, name=name, instructions=f"{REVIEWER.instructions}\n\n{eye}".strip())
            for name, eye in LENSES[:reviewers]
        ]
        program = reviewed(program, *eyes)
    answer = await swarm.run(task, plan=program)
    text = await account_of(answer, workspace)
    return replace(answer, text=text, short=None, statements=(), citations=())


def _reported(check: str) -> str:
    """The check as a command that writes a report, test by test."""
    plain = check.replace("{", "{{").replace("}", "}}")
    if "{report}" in check:
        return plain.replace("{{report}}", "{report}")
    if "pytest" not in check:
        raise RecipeError(
            f"--allow-red compares test by test, and `{check}` writes no report: put {{report}} where it takes "
            "the file of a JUnit report"
        )
    return f"{plain} --continue-on-collection-errors -o junit_family=xunit1 --junitxml={{report}}"


def _issue_tools(listed: tuple[Issue, ...]) -> tuple[Tool, ...]:
    by_number = {one.number: one for one in listed}

    def list_issues(first: int = 1) -> str:
        """List the issues that are to be resolved, 100 at a time.

        Args:
            first: the place in the list to begin at
        """
        shown = listed[max(0, first - 1) :][:100]
        return "\n".join(f"{one.number}: {one.title}" for one in shown) or f"there are only {len(listed)}"

    def read_issue(number: str) -> str:
        """Read one issue, as it was written.

        Args:
            number: its number, as it is listed
        """
        found = by_number.get(number.strip().lstrip("#"))
        if found is None:
            raise ToolFailed(f"there is no issue {number[:40]!r}: list_issues shows them")
        return found.text

    return (tool(list_issues, changes=False), tool(read_issue, changes=False)) if listed else ()


async def _tests(workspace: Workspace) -> list[str]:
    """The tests that were there before any work, each as a pattern for itself."""
    repository = await find(workspace)
    head = await repository.named("HEAD")
    begun = await repository.git.run("merge-base", head, repository.ref)
    commit = begun.line if begun.code == 0 else head
    found = await repository.git.out("ls-tree", "-r", "-z", "--name-only", commit)
    return ["/" + "".join(f"\\{c}" if c in "*?[]!#\\ " else c for c in path) for path in _tests_among(found)]


def _tests_among(listing: bytes) -> Iterable[str]:
    for path in filter(None, listing.decode("utf-8", "surrogateescape").split("\0")):
        *folders, name = PurePosixPath(path).parts
        if FOLDERS & set(folders) or any(fnmatch.fnmatch(name, pattern) for pattern in TESTS):
            yield path
