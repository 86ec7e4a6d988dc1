"""Experiments on one file, one after the other, all night: what betters one metric is kept, all else is thrown
away.

After Karpathy's autoresearch (https://github.com/karpathy/autoresearch, MIT): one file to edit, one metric that
the proposer cannot touch, a fixed time for each experiment, a baseline first, keep or discard by git, a ledger
of all that was tried. What is different: a win is replicated before it counts, proposers may work side by side,
and it also runs without a language model: then a built-in proposer turns the constants of the file.
"""

import asyncio
from dataclasses import replace
from math import inf
from pathlib import Path
from typing import Literal

from swarm import Answer, Program, RecipeError, Role, Swarm, Task, recipe
from swarm.equipment import Workspace
from swarm.experiments.lab import BASELINE, EXPERIMENT, Lab, Setup
from swarm.experiments.ledger import Ledger
from swarm.experiments.measure import told_command, yardstick
from swarm.experiments.study import Study, all_but, bundled, copied
from swarm.workspace.opening import find
from swarm.workspace.repository import Repository

INSTRUCTIONS = """\
You are a completely autonomous researcher: you try things out. The one file that you may change is {edit}; read
it, and what it uses, before you change anything. Everything in it is fair game: what it computes, how it learns,
its constants. You cannot change how the metric {name} is measured, nor install anything.

The goal is simple: {name}, {way} is better. Each run has the same time, {seconds:g} seconds, so what you propose
must learn more in it. Look at `experiments` first: what was kept, what failed and what crashed; never propose what
was tried. Make one change with one idea behind it, so that what it brings can be told. It is run after you report,
and kept only if it wins again with other seeds; you do not run it yourself.

All else being equal, simpler is better: a small gain that adds ugly complexity is not worth it, and leaving
something out for an equal result is a great outcome.

Report with the status done, and say in the summary in one line what you changed and why it should help. Never stop
to ask whether you should go on. If you run out of ideas, think harder: read the file again for new angles, combine
what nearly won, try something more radical."""


@recipe
async def autoresearch(
    swarm: Swarm,
    paths: list[str] | None = None,
    edit: str = "train.py",
    command: str = "python evaluate.py",
    metric: str = r"val_loss: (\S+)",
    better: Literal["min", "max"] = "min",
    seconds: float = 2.0,
    experiments: int | None = None,
    proposers: int = 1,
    replicates: int = 2,
    branch: str = "autoresearch",
    out: Path | None = None,
    instructions: str = "",
    readable: list[str] | None = None,
    network: bool = False,
    unconfined: bool = False,
) -> Answer:
    """Better one metric by experiments on one file, kept or discarded by git.

    PATH is the folder of a git repository. Your checkout of it is not touched: what is kept is on a branch.
    Without a path a small training task that comes with Swarm is copied to ./autoresearch, and is worked on
    there. The same command goes on with what was stopped; a higher number of experiments adds to what is there.

    Args:
        edit: The one file that may be changed, by its path in the repository.
        command: What prints the metric. It finds EXPERIMENT_SECONDS and EXPERIMENT_SEED in its environment.
        metric: A regular expression whose one group is the metric; its last match counts.
        better: Whether less or more is better.
        seconds: The time of one run. One that takes more than twice as long, and 15 seconds, is ended.
        experiments: How many to make in all; without it, until a limit is reached or you stop it.
        proposers: Experiments side by side.
        replicates: Runs with other seeds that a win has to stand before it counts.
        branch: Where what is kept goes.
        out: The folder for results.tsv and progress.svg; beside the repository without it.
        instructions: What else a language model is told.
        readable: A path outside of the repository that the command may read; may be repeated.
        network: Let the command reach the network.
        unconfined: Run the command without a sandbox where bubblewrap is not there.
    """
    if swarm.joining or swarm._engine != "local":
        raise RecipeError("experiments and their ledger are on one machine: run it without --engine")
    repository = await asyncio.to_thread(_repository, paths)
    yard = yardstick(metric, better)
    if not 0 < seconds < inf or replicates < 0 or proposers < 1 or (experiments is not None and experiments < 1):
        raise RecipeError("--seconds, --proposers and --experiments are above 0, and --replicates not below")
    workspace = Workspace(
        repository=str(repository),
        branch=branch,
        protected=all_but(edit),
        readable=tuple(readable or ()),
        network=network,
        unconfined=unconfined,
    )
    facts = {
        "edit": edit,
        "command": told_command(command),
        "metric": metric,
        "better": better,
        "seconds": seconds,
    }
    facts |= {"repository": str(repository), "branch": branch, "replicates": replicates, "proposers": proposers}
    found = await find(workspace)

    async def read(commit: str) -> str | None:
        said = await found.git.run("cat-file", "blob", f"{commit}:{edit}")
        return said.out.decode("utf-8", "replace") if said.code == 0 else None

    if await read(await found.begins(workspace.base)) is None:
        raise RecipeError(f"--edit {edit}: no such file is committed: name it by its path in the repository")
    study = Study(out or repository.with_name(f"{repository.name}-results"), facts, yard)
    await _held_against(study.ledger, found)

    task = Task(questions=(f"Experiments on {edit}: {yard.name}, {better}",), paths=(), mode="work")
    answer: Answer | None = None
    while (at := study.next(experiments)) is not None:
        alone = swarm._reader.selective  # it reads and cannot propose: the built-in proposer does
        setup = Setup(
            edit=edit,
            command=command,
            yard=yard,
            seconds=seconds,
            replicates=replicates,
            proposers=proposers,
            begin=at.begin,
            last=at.last,
            repairs=0 if alone else 2,
        )
        lab = Lab(setup, study.ledger, read, study.picture, print)
        role = Role(
            name=EXPERIMENT, workspace="write", trial=lab.trial, tries=8, view_tokens=3_000, may_fail=not alone
        )
        if alone:
            role = replace(role, code=lab.propose)
        else:
            way = "lower" if better == "min" else "higher"
            told = INSTRUCTIONS.format(edit=edit, name=yard.name, way=way, seconds=seconds)
            tools = (
                "list_files",
                "read_file",
                "search_files",
                "edit_file",
                "write_file",
                "changes",
                "search_graph",
            )
            role = replace(role, instructions=f"{told}\n\n{instructions}".strip(), tools=(*tools, lab.tool()))
        baseline = Role(name=BASELINE, workspace="read", code=lab.baseline)
        plan = Program(
            orders=lab.orders, follow=lab.follow, roles=(baseline, role), answer=lab.account, workspace=workspace
        )
        answer = await swarm.run(task, run_id=at.run, plan=plan)
        if not answer.complete:
            return replace(answer, text=lab.account(), short=None, statements=(), citations=())
        study.over()
    return answer or await swarm.run(task, run_id=study.last_run)


def _repository(paths: list[str] | None) -> Path:
    """The folder to work on; that of the example, copied where it is not there yet, where none is named."""
    if not paths:
        copied(bundled(), Path("autoresearch"))
        return Path("autoresearch").resolve()
    if len(paths) > 1:
        raise RecipeError(f"one repository at a time, and these are {len(paths)}: {' '.join(paths)}")
    folder = Path(paths[0])
    if not folder.is_dir():
        raise RecipeError(f"{folder} is no folder: name that of a git repository")
    return folder.resolve()


async def _held_against(ledger: Ledger, repository: Repository) -> None:
    """See what of the ledger is on the branch: what was about to land when a process died, and what a person took
    back since."""
    for row in ledger.unsettled():
        if await repository.has(row.commit):
            ledger.confirm(row.number)
        else:
            ledger.drop(row.number)
    for row in ledger:
        if row.status == "keep" and not await repository.has(row.commit):
            ledger.put(replace(row, status="discard", description=f"{row.description} (taken back)"))
