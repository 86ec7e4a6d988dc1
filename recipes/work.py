"""Work towards a goal: a planner cuts it into slices, sub-agents work them, a judge says when it is done."""

from swarm import Answer, Swarm, Task, recipe


@recipe
async def work(
    swarm: Swarm, goal: str, paths: list[str] | None = None, done_when: str = "", check: str = ""
) -> Answer:
    """Work towards a goal by a plan of slices that changes as results come in. Needs a language model.

    Args:
        goal: What is to be done.
        paths: Material that it may read.
        done_when: How anyone can tell that it is done.
        check: A command of yours that exits with 0 once it is done; it is given the results on standard input.
    """
    task = Task(questions=(goal,), paths=tuple(paths or ()), mode="work", done_when=done_when, check=check)
    return await swarm.run(task)
