"""Follow a run through its events. Leaving the `async with` block would cancel every sub-agent."""

import asyncio

from swarm import Swarm, Task
from swarm.events import CorpusReady, Finished, SliceFailed, SliceFinished, SlicesPlanned


async def main() -> None:
    task = Task(questions=("Which module knows langgraph?",), paths=("docs/", "swarm/"))
    async with Swarm().stream(task) as events:
        async for event in events:
            match event:
                case CorpusReady(corpus=corpus):
                    print(f"{len(corpus.sources)} sources, {len(corpus.skipped)} skipped")
                case SlicesPlanned(slices=slices, round=number):
                    print(f"round {number}: {slices} slices")
                case SliceFinished(slice=slice, report=report):
                    print(f"  {slice.tokens:,} tokens read, {len(report.findings)} findings")
                case SliceFailed(reason=reason):
                    print(f"  failed: {reason}")
                case Finished(answer=answer):
                    print(answer.text)


if __name__ == "__main__":
    asyncio.run(main())
