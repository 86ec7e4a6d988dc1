"""A recipe of one's own, which is a program too: `swarm run examples/own_recipe.py swarm/`, or `python` before it.

It asks of each file what it leaves to others, and prints those that do not say.
"""

import asyncio

from swarm import Answer, Limits, Swarm, Task, recipe


@recipe
async def boundaries(swarm: Swarm, paths: list[str], question: str = "What does this module not know?") -> Answer:
    """Ask each file one question, and name the files that do not answer it.

    Args:
        question: What to ask of each file.
    """
    task = Task(
        questions=(question,), paths=tuple(paths), output="table", slicing="source", limits=Limits(rounds=1)
    )
    answer = await swarm.run(task)
    silent = [cell.item for cell in answer.cells if not cell.citations]
    print(f"{len(answer.cells) - len(silent)} files say, {len(silent)} do not: {', '.join(silent) or '-'}")
    return answer


if __name__ == "__main__":
    asyncio.run(boundaries(Swarm(), ["swarm/task.py", "swarm/source.py", "swarm/errors.py"]))
