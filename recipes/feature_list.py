"""A list of testable features first, and then one feature for each fresh worker: only its check may turn one to
passing.

After Anthropic's "Effective harnesses for long-running agents"
(https://www.anthropic.com/engineering/effective-harnesses-for-long-running-agents) and its quickstart
autonomous-coding (https://github.com/anthropics/claude-quickstarts). From there are the initialiser, who
writes the list as JSON before anything is made, an `init.sh` and what the project begins with; that every feature
begins as failing; that a session works at one feature, and begins with the progress notes, the log of git and a
test of what passed before; and the notes for those who come later. Different is who turns a feature to passing:
there the agent edits that one field, here the harness does, after the feature's check passed on exactly what
landed and the checks of all features that passed before did, too.
"""

from dataclasses import replace
from pathlib import Path

from swarm import Answer, Order, Program, RecipeError, Role, Swarm, Task, recipe
from swarm.coordinator.work.fit import fit_to_work
from swarm.equipment import Workspace
from swarm.features import (
    FEATURE,
    FEATURES,
    INITIALISE,
    LIST,
    NOTE,
    PROGRESS,
    SCHEMA,
    TRIES,
    Book,
    by_harness,
    put_list,
    wrong_with,
)
from swarm.issues import goal_of
from swarm.workspace.account import account_of, check_at_tip, in_lines, place_of, said

TOOLS = (
    "list_files", "read_file", "search_files", "edit_file", "write_file", "remove_file", "run_command", "changes",
    "search_sources", "open_source",
)  # fmt: skip

INITIALISER = """\
You are the first of many who work on a project, one after the other, each with a fresh window. You lay the ground.

- Read what is asked for, and what is there. Then write the list of features that it comes to: everything that was
  asked, in the order in which it should be made, what others rest on first. A feature is so small that one
  colleague can make it in one go, and shows from outside: what is done and what is then seen. A real project has
  dozens.
- `check` is a command that exits with 0 when the feature works and with something else when it does not, run from
  the top of the repository, without a shell unless it names one. Write the tests that it runs now, and name them
  in `tests`: nobody may change them later. It fails today, and no half-made feature makes it pass.
- `needs` are the names of the features before it that it cannot be made without; mostly none.
- Write `init.sh`, which makes ready what the checks need and prints what to know, and the files and folders that
  the project begins with. Make no feature. {features} and {progress} are not yours to write.

`result` is the list alone, as JSON."""

WORKER = """\
You are one of many who work on a project, one after the other, each with a fresh window. You make one feature.

- Begin as everyone does: read {progress} and {features}, look at `git log --oneline -20`, run `sh init.sh` where
  there is one, and then the check of a feature or two that pass. Where one of them fails, mend that first.
- Make your feature, whole, and no other. Run its check until it passes, and use what you made as a person would.
- Your feature counts as passing when its check passes on what you leave, upon what has landed meanwhile, and so do
  the checks of all that passed before. Nobody takes your word for it. You may not change {features}, {progress} or
  the tests of features.
- You commit nothing: what stands in your checkout when you report "done" becomes one commit. Leave it as you would
  want to find it.

`summary` is one line, the subject of the commit. `result` tells those who come after you what you made, where,
what to mind, and what you would do next; it goes into {progress}."""


@recipe
async def feature_list(
    swarm: Swarm,
    paths: list[str] | None = None,
    goal: str = "",
    spec: Path | None = None,
    check: str = "",
    at_once: int = 1,
    remote: str = "",
    branch: str = "green",
    protect: list[str] | None = None,
    readable: list[str] | None = None,
    network: bool = False,
    unconfined: bool = False,
) -> Answer:
    """Make what is asked for feature by feature, from a list that is written first. Needs a language model.

    PATH is the folder of a git repository, which may be as good as empty. Your checkout of it is not touched: what
    lands is on a branch. Where the branch has a features.json already, it is gone on with.

    Args:
        goal: What is to be made.
        spec: A file that says what is to be made.
        check: A command that has to pass as well for anything to land, such as a linter.
        at_once: How many features are made side by side.
        remote: In place of PATH: the address of a repository that all machines reach, where work lands.
        branch: Where work lands; it begins at HEAD.
        protect: What nobody may change, a pattern as in a .gitignore; may be repeated.
        readable: A path outside of the repository that commands may read; may be repeated.
        network: Let commands reach the network.
        unconfined: Run commands without a sandbox where bubblewrap is not there.
    """
    asked = goal_of(goal, None if swarm.joining else spec)
    if not asked and not swarm.joining:
        raise RecipeError("nothing is asked for: say it with --goal, or give a file with --spec")
    if at_once < 1:
        raise RecipeError(f"at least one feature at once ({at_once})")
    workspace = Workspace(
        **place_of(paths, remote),
        branch=branch,
        check=check,
        protected=(".git*", *(protect or ())),
        readable=tuple(readable or ()),
        network=network,
        unconfined=unconfined,
    )
    material = (str(spec),) if spec is not None else ()
    task = Task(questions=(asked,), paths=material, mode="work")
    book, there = Book(workspace, at_once), False
    if not swarm.joining:
        fit_to_work(task, None, swarm._model, swarm._reader)  # the check may take minutes
        if check and not (ran := await check_at_tip(workspace)).ok:
            raise RecipeError(f"the check `{check}` does not pass on {branch} before any work ({said(ran)})")
        there = bool(await book.read())
    first = Order(
        name=INITIALISE, objective="Lay the ground, and write the list.", sources=material, role=INITIALISE
    )
    names = {"features": FEATURES, "progress": PROGRESS}
    program = Program(
        orders=lambda: [put_list(())] if there else [first],
        follow=book.follow,
        roles=(
            Role(
                name=INITIALISE,
                instructions=INITIALISER.format(**names),
                schema=SCHEMA,
                check=wrong_with,
                trial=book.prepared,
                tools=TOOLS,
                workspace="write",
                report_tokens=40_000,
                view_tokens=0,
            ),
            Role(name=LIST, code=book.begin, workspace="write", trial=by_harness),
            Role(
                name=FEATURE,
                instructions=WORKER.format(**names),
                tools=TOOLS,
                workspace="write",
                trial=book.trial,
                tries=TRIES + 1,
            ),
            Role(name=NOTE, code=book.note, workspace="write", trial=by_harness, tries=20),
        ),
        check=book.missing,
        answer=in_lines,
        workspace=workspace,
    )
    answer = await swarm.run(task, plan=program)
    features = await book.read()
    passing = [one["name"] for one in features if one["passes"]]
    lines = [f"{len(passing)} of {len(features)} features pass."]
    lines += [f"- {one['name']}: {'passes' if one['passes'] else 'does not pass'}" for one in features]
    text = "\n".join([*lines, "", await account_of(answer, workspace)])
    return replace(answer, text=text, short=None, statements=(), citations=())
