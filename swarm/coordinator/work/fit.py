"""Can this be worked at all? Looked at before anything is recorded of a run."""

from __future__ import annotations

import shlex

from swarm.coordinator.work.places import fits as unfit
from swarm.errors import ModelError, UsageError
from swarm.models.base import Model
from swarm.program import Program, Role
from swarm.task import Task
from swarm.worker.form import fits


def fit_to_work(task: Task, program: Program | None, model: Model, reader: Model) -> None:
    """See to it that a task can be worked, with these models and this plan. One that is only read can.

    Raises:
        ModelError: a model that reads and cannot work.
        UsageError: no goal, a check that is no command, a role that makes no sense, or a plan for a task that is
            read.
    """
    if task.mode != "work":
        if program is not None:
            raise UsageError('a plan is for work: give the task mode="work"')
        return
    plans = program is None or program.orders is None
    asks = program is None or any(role.code is None for role in roles_of(program).values() if role != Role())
    for one in (reader, model) if plans else (reader,) if asks else ():
        if one.selective:
            raise ModelError(
                f"the model {one.name} reads and quotes, and cannot work towards a goal: "
                "name a language model with --model"
            )
    if not task.questions or not task.questions[0].strip():
        raise UsageError("the task has no goal: give it one question that says what is to be done")
    try:
        shlex.split(task.check)
    except ValueError as error:
        raise UsageError(f"the check {task.check!r} is no command: {error}") from None
    roles = [*roles_of(program).values(), *((program.planner, program.judge) if program is not None else ())]
    for role in roles:
        fits(role)
        if role.workspace != "none" and (program is None or program.workspace is None):
            raise UsageError(f"role {role.name!r} has a workspace to {role.workspace}, and the program has none")
    if program is not None and program.workspace is not None and (wrong := unfit(program.workspace)) is not None:
        raise UsageError(f"the workspace: {wrong}")


def roles_of(program: Program | None) -> dict[str, Role]:
    """The roles of a plan by their names, with the one of orders that name none."""
    return {"": Role(), **{role.name: role for role in (program.roles if program is not None else ())}}
