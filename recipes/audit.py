"""Ask every item of a corpus every question of a list, into a CSV and JSON table with a citation in each cell."""

import csv
import json
from dataclasses import asdict
from pathlib import Path
from typing import Literal

from swarm import Answer, Cell, RecipeError, Swarm, Task, recipe


@recipe
async def audit(
    swarm: Swarm,
    paths: list[str],
    questions: Path | None = None,
    check: list[str] | None = None,
    by: Literal["source", "record"] = "source",
    out: Path = Path("audit"),
) -> Answer:
    """Ask every item of a corpus every question, and write a table with a citation in each cell.

    Nothing is sampled: each item is read for each question. A cell stays empty where the item does not say.

    Args:
        questions: A file with one question a line; empty lines and lines that begin with # are passed over.
        check: A question, given here; may be repeated.
        by: What an item is: a whole source, or each record in it (a row of a CSV, a line of a JSONL).
        out: Where the table goes, without its ending: OUT.csv and OUT.json are written.
    """
    asked = [*lines_of(questions), *(check or [])]
    if not asked:
        raise RecipeError("nothing to ask: name --questions FILE, or --check TEXT as often as you like")
    if not out.parent.is_dir():
        raise RecipeError(f"--out {out}: there is no folder {out.parent}: make it first")

    answer = await swarm.run(Task(questions=tuple(asked), paths=tuple(paths), output="table", slicing=by))

    table: dict[str, dict[str, Cell]] = {}
    for cell in answer.cells:
        table.setdefault(cell.item, {})[cell.question] = cell
    with out.with_name(f"{out.name}.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["item", *map(defused, asked)])
        for item, cells in table.items():
            writer.writerow([defused(item), *(as_text(cells.get(question), answer) for question in asked)])
    items = [
        {"item": item, "cells": [as_data(cell, answer) for cell in cells.values()]}
        for item, cells in table.items()
    ]
    data = {"run_id": answer.run_id, "status": answer.status, "questions": asked, "items": items}
    out.with_name(f"{out.name}.json").write_text(json.dumps(data, indent=1, ensure_ascii=False), "utf-8")
    return answer


def lines_of(file: Path | None) -> list[str]:
    """The questions in a file, one a line."""
    if file is None:
        return []
    try:
        lines = [line.strip() for line in file.read_text("utf-8-sig").splitlines()]
    except (OSError, UnicodeError) as error:
        raise RecipeError(f"--questions {file} cannot be read: {error}") from None
    return [line for line in lines if line and not line.startswith("#")]


def as_text(cell: Cell | None, answer: Answer) -> str:
    """One cell of the CSV: what the item says, then where it says so."""
    if cell is None:
        return "(not read)"
    cited = [answer.citations[number] for number in cell.citations]
    quotes = "; ".join(f'{citation} "{" ".join(citation.quote.split())}"' for citation in cited)
    return defused(f"{cell.text} [{quotes}]" if quotes else cell.text)


def as_data(cell: Cell, answer: Answer) -> dict[str, object]:
    """One cell of the JSON: the same, with the exact quotations and their places."""
    citations = [asdict(answer.citations[number]) for number in cell.citations]
    return {"question": cell.question, "text": cell.text, "citations": citations}


def defused(text: str) -> str:
    """The text, so that no spreadsheet takes it for a formula."""
    return f"'{text}" if text.lstrip().startswith(("=", "+", "-", "@")) else text
