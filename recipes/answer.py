"""Answer one question from files, with quotations to check: what `swarm ask` runs."""

from swarm import Answer, Swarm, Task, recipe


@recipe
async def answer(swarm: Swarm, paths: list[str], question: str) -> Answer:
    """Answer one question from files, with quotations to check.

    Args:
        question: What you want to know.
    """
    return await swarm.run(Task(questions=(question,), paths=tuple(paths)))
