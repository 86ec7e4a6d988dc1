"""The memory of conversations in files: remembered once, asked as often as you like.

Files are JSONL (role, content, name, at), JSON lists of messages, exports of ChatGPT or Claude
(conversations.json), conversations as LoCoMo has them, or plain text. Run it again with files that have grown:
what is known is passed over. What is asked of a language model, and paid, is one window with the memory's view,
however long the conversation is; `--read` also has it read whole, once.
"""

from collections.abc import Iterator
from hashlib import blake2b
from pathlib import Path
from tempfile import gettempdir

from swarm import Answer, Limits, RecipeError, Swarm, Task, recipe
from swarm.memory.conversations import read_conversation
from swarm.memory.memory import Memory, MemoryView, Message, open_memory
from swarm.memory.mirror import mirror as mirror_into
from swarm.memory.pages import visible

ENDINGS = (".json", ".jsonl", ".ndjson", ".md", ".txt")
PORTION = 5_000  # messages that are handed over at once


@recipe
async def conversation_memory(
    swarm: Swarm,
    paths: list[str] | None = None,
    question: str = "",
    name: str = "",
    tokens: int = 2_000,
    read: bool = False,
    read_cost_usd: float = 1.0,
    mirror: Path | None = None,
) -> Answer | None:
    """Remember conversations, and answer a question from the memory of them, every sentence cited.

    Without a question it shows what the memory holds. Works with no language model; with one the answer is
    written, and with --read facts are what the model found.

    Args:
        question: What you want to know.
        name: The name of the memory; without it, that of the first file.
        tokens: How much of the memory is shown, in tokens.
        read: Have the model read what none has read yet, before the memory is asked.
        read_cost_usd: The most that this reading may cost.
        mirror: Also mirror the memory into this folder of Markdown files, and read back what was edited there.
    """
    if swarm.joining:
        return await swarm.run(Task(questions=(question,), paths=()))
    files = [file for path in paths or () for file in files_in(Path(path))]
    if not files and not name:
        raise RecipeError("nothing is named: give files of conversations, or the --name of a memory")
    if tokens < 200:
        raise RecipeError(f"--tokens {tokens} shows next to nothing: give 200 or more")
    model, reader = (swarm._model, swarm._reader) if read else ("extractive", None)
    async with open_memory(
        name or files[0].stem,
        store=swarm._store,
        model=model,
        reader=reader,
        limits=Limits(cost_usd=read_cost_usd),
    ) as memory:
        await remember(memory, files)
        if read and memory.unread_tokens:
            done = await memory.flush(question)
            more = "" if done.complete else f" (stopped: {done.stopped}; give it again to go on)"
            print(f"{done.read_tokens:,} tokens read, {done.findings:,} facts found{more}")
        elif read:
            print("nothing is unread: facts are taken from words at once, or were found before")
        if mirror is not None:
            synced = await mirror_into(memory, mirror)
            print("\n".join([*synced.taken, *synced.told, f"{len(synced.written):,} pages written in {mirror}"]))
        view = await memory.view(question, tokens)
        if not question:
            print(visible(view.text) or "nothing is remembered yet")
            return None
    if not view.items:
        print("nothing in the memory bears on it")
        return None
    return await swarm.run(
        Task(questions=(question,), paths=(str(written(view, swarm)),), limits=Limits(rounds=1))
    )


def files_in(path: Path) -> list[Path]:
    """A file, or the files of a folder that may hold conversations."""
    if path.is_dir():
        return sorted(file for file in path.rglob("*") if file.suffix.lower() in ENDINGS and file.is_file())
    if not path.exists():
        raise RecipeError(f"no file of a conversation at {path}: check the path")
    return [path]


async def remember(memory: Memory, files: list[Path]) -> None:
    for file in files:
        new = known = 0
        for portion in portions(read_conversation(file)):
            done = await memory.remember(portion)
            new, known = new + done.new, known + done.known
        print(f"{file}: {new:,} new messages, {known:,} known already")


def portions(messages: Iterator[Message]) -> Iterator[list[Message]]:
    """So many at once that none are held that need not be."""
    portion: list[Message] = []
    for message in messages:
        portion.append(message)
        if len(portion) == PORTION:
            yield portion
            portion = []
    if portion:
        yield portion


def written(view: MemoryView, swarm: Swarm) -> Path:
    """What the view shows as a file, for the run to read and to cite. It is named by what it says, beside the
    store, so that a run that goes on finds it."""
    lines = []
    for item in view.items:
        who = f"{item.who}, {item.at}: " if item.who and item.at else f"{item.who}: " if item.who else ""
        text = item.text.strip()
        lines.append(f"{who}{text}" if who or not item.at else f"{text} ({item.at})")
    text = "\n\n".join(lines) + "\n"
    store = str(swarm._store)
    folder = (Path(gettempdir()) if "://" in store else Path(store).parent) / "views"
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"memory-{blake2b(text.encode('utf-8', 'replace'), digest_size=6).hexdigest()}.md"
    file.write_text(text, "utf-8", "replace")
    return file
