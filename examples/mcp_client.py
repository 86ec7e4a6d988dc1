"""A program that talks to `swarm mcp` by the official client: it starts a task, follows it, checks a citation.

It needs `pip install -e '.[mcp]'`.
"""

import asyncio
import sys
import tempfile
from pathlib import Path

from mcp import Client
from mcp.client.stdio import StdioServerParameters, stdio_client

ARGS = ["-m", "swarm", "mcp", "--root", "docs"]


async def tell(progress: float, total: float | None, message: str | None) -> None:
    print(f"  {progress:.0f} of {total or 0:.0f}: {message}")


async def main(folder: Path) -> None:
    server = StdioServerParameters(command=sys.executable, args=[*ARGS, "--store", str(folder / "tasks.db")])
    async with Client(stdio_client(server)) as client:
        asked = {"question": "What happens when a client goes away?", "paths": ["mcp.md"], "wait_seconds": 60}
        told = (await client.call_tool("start_task", asked, progress_callback=tell)).structured_content
        print(told["status"] + ":", told["material"]["answer"][:110])

        cited = await client.call_tool("open_citation", {"run": told["run"], "id": "[1]"})
        for one in cited.structured_content["material"]["evidence"]:
            print(f'{one["place"]}: "{one["quote"]}"')

        known = await client.call_tool("ask_graph", {"run": told["run"], "question": "a crash", "tokens": 400})
        print(known.structured_content["material"])


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(main(Path(folder)))
