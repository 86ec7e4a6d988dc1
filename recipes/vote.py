"""Steps that must all be right, one after the other, each by voting: the state that one leaves is where the next
begins.

After Meyerson et al. 2025, "Solving a Million-Step LLM Task with Zero Errors" (https://arxiv.org/abs/2511.09030):
a task cut into the smallest steps, each asked of fresh windows until one result leads by k votes, and replies that
are wrong in form thrown away. The lead follows from the number of steps and the error of one reply.
"""

import csv
import json
from collections.abc import Iterator
from hashlib import blake2b
from pathlib import Path
from typing import Any

from swarm import Answer, Done, Order, Piece, Program, RecipeError, Role, Swarm, Task, Vote, recipe
from swarm.history import show

START, STEP = "start", "step"
ONE_STEP = """\
You do one step of a long chain. The result of the slice before yours is the state to begin from. Do what your
piece says and no more: the result is the state after it, whole."""


@recipe
async def vote(
    swarm: Swarm,
    paths: list[str] | None = None,
    *,
    steps: Path,
    instructions: str = "",
    schema: Path | None = None,
    lead: int | None = None,
    error: float | None = None,
    start: str | None = None,
) -> Answer:
    """Do steps that must all be right, one after the other, each by voting. Needs a language model.

    A step is asked of fresh windows, each of which sees its instruction and the state that the step before left,
    until one result leads. The answer is the state after the last one.

    Args:
        steps: A file of steps in their order: JSONL (a text, or an object with "instruction"), CSV with a column
            "instruction", else one a line; empty lines and lines that begin with # are passed over.
        instructions: What holds for every step: the rules, and the form of a state.
        schema: A JSON schema that each state has to fit; without one, states are compared as texts.
        lead: By how many votes a result has to lead.
        error: How often a single reply is wrong, from 0 to 0.5: the lead follows from it (0.01 without either).
        start: The state before the first step.
    """
    if paths:
        raise RecipeError(f"it reads no material, and {paths[0]} was named: give the file of steps as --steps")
    if lead is not None and error is not None:
        raise RecipeError("--lead and --error: give one of them, the lead follows from the error")
    count, mark = measured(steps)
    role = Role(
        name=STEP,
        instructions=f"{ONE_STEP}\n\n{instructions}".strip(),
        schema=schema_in(schema),
        vote=policy(count, lead, error),
        view_tokens=0,
        report_tokens=4_000,
    )

    async def begin(_piece: Piece) -> Done:
        return Done(result=start or "")

    def orders() -> Iterator[Order]:
        before: tuple[str, ...] = ()
        if start is not None:
            yield Order(name=START, objective="The state before the first step.", role=START)
            before = (START,)
        for number, text in enumerate(steps_in(steps), start=1):
            yield Order(name=f"{STEP} {number}", objective=text, needs=before, role=STEP)
            before = (f"{STEP} {number}",)

    plan = Program(
        orders=orders,
        roles=(Role(name=START, code=begin, report_tokens=100_000), role),
        answer=lambda results: results[f"{STEP} {count}"],
    )
    goal = f"Do the {count:,} steps of {steps.name} ({mark}), each right"
    answer = await swarm.run(Task(questions=(goal,), paths=(), mode="work"), plan=plan)
    account = show(answer.run_id, swarm._store).plan
    if account is not None and role.vote is not None:
        print(
            f"{account.votes:,} votes for {count:,} steps with a lead of {role.vote.lead}, "
            f"{account.discarded:,} replies thrown away"
        )
    return answer


def policy(count: int, lead: int | None, error: float | None) -> Vote:
    if lead is not None:
        if lead < 1:
            raise RecipeError(f"--lead {lead}: 1 takes the first reply that is right in form, more is surer")
        return Vote(lead=lead, most=max(25, 10 * lead))
    try:
        return Vote.for_steps(count, 0.01 if error is None else error)
    except ValueError as wrong:
        raise RecipeError(f"--error: {wrong}") from None


def measured(steps: Path) -> tuple[int, str]:
    """How many steps there are, and a name for exactly these: a run goes on with the file that it began with."""
    count, hashed = 0, blake2b(digest_size=4)
    for text in steps_in(steps):
        count += 1
        hashed.update(json.dumps(text).encode())
    if not count:
        raise RecipeError(f"--steps {steps} holds no step: write one a line")
    return count, hashed.hexdigest()


def steps_in(file: Path) -> Iterator[str]:
    """The instructions of a file, read as they are needed: there may be a million."""
    try:
        with file.open(encoding="utf-8-sig", newline="") as lines:
            match file.suffix.lower():
                case ".jsonl" | ".ndjson":
                    yield from in_jsonl(file, lines)
                case ".csv":
                    yield from in_csv(file, csv.DictReader(lines))
                case _:
                    stripped = (line.strip() for line in lines)
                    yield from (line for line in stripped if line and not line.startswith("#"))
    except (OSError, UnicodeError, csv.Error) as error:
        raise RecipeError(f"--steps {file} cannot be read: {error}") from None


def in_jsonl(file: Path, lines: Iterator[str] | Any) -> Iterator[str]:
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except ValueError as error:
            raise RecipeError(f"{file}:{number} is no JSON: {error}") from None
        text = value.get("instruction") if isinstance(value, dict) else value
        if not isinstance(text, str) or not text.strip():
            raise RecipeError(f'{file}:{number} holds no instruction: write a text, or {{"instruction": "…"}}')
        yield text


def in_csv(file: Path, rows: "csv.DictReader[str]") -> Iterator[str]:
    if "instruction" not in (rows.fieldnames or ()):
        there = ", ".join(rows.fieldnames or ()) or "none"
        raise RecipeError(f'{file} has no column "instruction", but {there}: name the column of the steps so')
    for row in rows:
        text = (row["instruction"] or "").strip()
        if not text:
            raise RecipeError(f"{file}:{rows.line_num} holds no instruction")
        yield text


def schema_in(file: Path | None) -> dict[str, Any] | None:
    if file is None:
        return None
    try:
        found = json.loads(file.read_text("utf-8-sig"))
    except (OSError, ValueError) as error:
        raise RecipeError(f"--schema {file} cannot be read: {error}") from None
    if not isinstance(found, dict):
        raise RecipeError(f'--schema {file} is no JSON schema: write an object such as {{"type": "object"}}')
    return found
