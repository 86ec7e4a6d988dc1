"""Work a goal as a tree of subtasks: their conclusions stay, their work is dropped and can be looked up.

After Luo et al. 2025, "Beyond Context Limits: Subconscious Threads for Long-Horizon Reasoning"
(https://arxiv.org/abs/2507.16784): reasoning is a tree of tasks with thoughts, uses of tools, subtasks and
conclusions, and the work below a conclusion leaves the working memory. What is different: there it is one model,
trained for it, whose cache is pruned; here each subtask has a window of its own, with any model, and nothing of
its work is lost: it is kept in the journal, can be read again with `read_result`, and can be quoted.
"""

from pathlib import Path

from swarm import Answer, Order, Program, RecipeError, Role, Swarm, Task, recipe
from swarm.cli.plain import one_line
from swarm.coordinator.work.tree import Subtask, subtasks_of
from swarm.store.opening import open_store
from swarm.tools.given import given_tools

INSTRUCTIONS = """\
Work as a tree. Whatever takes more than a few steps, hand on with `subtask`: a part with an objective of its own,
all that one has to know for it, and the form in which its conclusion is to come back. Hand on parts that do not
depend on one another in one turn: they are worked side by side. Go on from conclusions; the work behind one is not
in your window, and `read_result` opens it where you doubt it. What takes a few steps, do yourself.

A conclusion says what was found out and what it rests on, in a few sentences, for one who sees nothing else."""
GOAL = "goal"


@recipe
async def task_tree(
    swarm: Swarm,
    paths: list[str] | None = None,
    *,
    goal: str,
    done_when: str = "",
    functions: Path | None = None,
    mcp: Path | None = None,
    all_tools: bool = False,
) -> Answer:
    """Work a goal as a tree of subtasks, and show the tree of their conclusions. Needs a language model.

    PATH is material to search: files, folders or globs. Subtasks may have subtasks, at most three within one
    another.

    Args:
        goal: What is to be done.
        done_when: How anyone can tell that it is done.
        functions: A Python file whose functions are tools.
        mcp: A file that lists MCP servers, whose tools may be used.
        all_tools: Give it also those tools that may change something; then subtasks run one after the other.
    """
    if not goal.strip():
        raise RecipeError("--goal is empty: say what is to be done")
    async with given_tools(functions, mcp, changing=all_tools) as given:
        tools = (*(("search_sources", "open_source") if paths else ()), "subtask", *given.tools)
        role = Role(instructions=INSTRUCTIONS, tools=tools, report_tokens=3_000)
        order = Order(name=GOAL, objective=goal, done_when=done_when)
        plan = Program(orders=lambda: [order], roles=(role,), answer=lambda results: results[GOAL])
        answer = await swarm.run(Task(questions=(goal,), paths=tuple(paths or ()), mode="work"), plan=plan)
    with open_store(swarm._store, read_only=True) as store:
        print(one_line(goal, 110))
        for one in subtasks_of(store.journal, answer.run_id):
            print("\n".join(told(one)))
    return answer


def told(one: Subtask) -> list[str]:
    """A subtask and the first line of its conclusion, as deep as it stands."""
    room = "  " * (one.depth + 1)
    lines = (one.conclusion or "").strip().splitlines() or ["(it came to no conclusion)"]
    return [f"{room}- {one_line(one.objective, 100)}", f"{room}  = {one_line(lines[0], 100)}"]
