"""What `langgraph.json` in this folder names: two graphs to open in Studio, with a model that computes here.

The server brings a checkpointer of its own, so that both may ask: before anything is sent, and at a limit.
"""

from pathlib import Path

from swarm import Limits, Swarm, Task

DOCS = Path(__file__).resolve().parents[2] / "docs"

swarm = Swarm("extractive", store=Path(__file__).parent / ".swarm" / "studio.db")
task = Task(
    questions=("Which option keeps the cost below a limit?",), paths=(str(DOCS),), limits=Limits(calls=500)
)

graph = swarm.compiled(task, approve="budget", on_limit="ask")

table = swarm.compiled(
    Task(questions=("What is measured?",), paths=(str(DOCS / "*.md"),), output="table", slicing="source")
)
