"""A digest of any amount of text, at the length you ask for, every sentence cited."""

from swarm import Answer, RecipeError, Swarm, Task, recipe


@recipe
async def digest(swarm: Swarm, paths: list[str], words: int = 400, about: str = "") -> Answer:
    """A digest of any amount of text, at the length you ask for, every sentence cited.

    Each part of the text is read in a window of its own; what was found is said shorter, group by group and
    level by level, until it has the length asked for. Each sentence still leads to the words it rests on.

    Args:
        words: The length of the digest, in words.
        about: What to look for; without it, what matters most.
    """
    if words < 20:
        raise RecipeError(f"--words {words} is too short for a digest: ask for 20 or more")
    questions = (about,) if about else ()
    return await swarm.run(Task(questions=questions, paths=tuple(paths), output="digest", words=words))
