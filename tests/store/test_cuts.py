from pathlib import Path

from swarm.source import Corpus, Source, Span
from swarm.store.cuts import Cuts
from swarm.store.database import Database


def corpus(*ids: str) -> Corpus:
    return Corpus(sources=tuple(Source(id=i, path=f"{i}.md", media="text", chars=9, bytes=9) for i in ids))


async def test_a_cut_is_known_again_for_the_same_sources_and_budget_alone(tmp_path: Path) -> None:
    database = Database.open(tmp_path / "store.db")
    cuts = Cuts(database)
    made = [((Span("a", 0, 9), Span("b", 0, 4)), 12), ((Span("b", 4, 9),), 5)]
    await cuts.keep(corpus("a", "b"), 20, made)
    assert cuts.known(corpus("a", "b"), 20) == made
    assert cuts.known(corpus("a", "b"), 21) is None
    assert cuts.known(corpus("b", "a"), 20) is None
    assert cuts.known(corpus("a"), 20) is None
    database.close()
