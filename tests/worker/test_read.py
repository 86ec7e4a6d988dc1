from pathlib import Path

from swarm.run import Swarm
from swarm.source import Passage, Span
from swarm.store.database import Database
from swarm.store.library import Library
from swarm.task import Task
from swarm.worker.read import Brief

TEXT = "The mill stood by the river. Ida Lewis kept the light. The lamp burnt oil."


def brief(*passages: Passage) -> Brief:
    return Brief(output="answer", paths={"s": "a.txt"}, max_findings=4, matches={"s": passages})


def test_a_passage_that_a_slice_cuts_through_is_read_in_both_halves(tmp_path: Path) -> None:
    database = Database.open(tmp_path / "store.db")
    library = Library(database)
    whole = Passage(id=1, span=Span("s", 100, 100 + len(TEXT)), tokens=20, cut=1, context="", text=TEXT, score=3.0)
    halves = (Span("s", 90, 140), Span("s", 140, 300))
    parts = [brief(whole).passages((half,), library) for half in halves]
    assert "".join(passage.text for part in parts for passage in part) == TEXT
    for (part,) in parts:
        assert part.text == TEXT[part.span.start - 100 : part.span.end - 100]
        assert part.score == 3.0
    assert all(brief(whole).matched((half,)) for half in halves)
    assert not brief(whole).matched((Span("s", 0, 100),))
    assert brief(whole).passages((Span("s", 0, 500),), library) == [whole]
    database.close()


async def test_a_window_smaller_than_a_passage_loses_nothing_that_was_found(tmp_path: Path) -> None:
    filler = "The miller ground the corn of the valley all summer long and slept in winter. "
    text = f"{filler * 9}Ida Lewis kept the lighthouse at Lime Rock for 54 years. {filler * 9}"
    (tmp_path / "a.txt").write_text(text, "utf-8")
    swarm = Swarm("extractive", window=320, store=tmp_path / "store.db")
    answer = await swarm.run(
        Task(questions=("Who kept the lighthouse at Lime Rock?",), paths=(str(tmp_path / "a.txt"),))
    )
    assert answer.slices > 1
    assert answer.window_peak <= 320
    assert answer.coverage.chars_read == len(text)
    assert "Ida Lewis" in answer.text
