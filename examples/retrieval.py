"""An index beside the library's own search: on its own, and in a run. Its vectors are SIMULATED: they count
words. It needs `pip install -e '.[vectors]'`."""

import asyncio
import tempfile
from pathlib import Path

from swarm import Swarm, Task
from swarm.index import Entry, SqliteIndex
from swarm.testing.vectors import by_words  # in its place: OpenAIEmbeddings("text-embedding-3-small", store=store)

NOTES = """The ferry to Burano leaves at nine.

The bakery on the corner closes on Mondays.

Anna keeps the spare key under the third stone.
"""


async def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        store, notes = Path(folder) / "notes.db", Path(folder) / "notes.md"
        notes.write_text(NOTES, "utf-8")
        async with SqliteIndex(store, embed=by_words) as index:
            await index.add(
                "mine", [Entry("milk", "Buy milk on the way home."), Entry("key", "Ask Anna for the key.")]
            )
            print([hit.id for hit in await index.search("mine", "who has a key?", limit=1)])
            swarm = Swarm(store=store, index=index)
            answer = await swarm.run(Task(questions=("Where is the spare key?",), paths=(str(notes),)))
            print(answer.text)


asyncio.run(main())
