"""What an agent was shown of the graph is never extracted again as a new finding."""

from swarm.source import Passage, Span
from swarm.views.mark import marked
from swarm.worker.quotes import Material

KNOWN = marked("run-1", "Findings:\n- [f1] The mill burnt in 1812.")


def material(text: str) -> Material:
    return Material([Passage(id=1, span=Span("s", 0, len(text)), tokens=1, cut=9, context="", text=text)])


def test_a_quote_from_a_view_is_no_evidence_and_is_told_from_an_invented_one():
    given = material(f"We talked.\n{KNOWN}\nThen it rained.")
    assert given.locate("The mill burnt in 1812.") is None
    assert given.locate("The  mill burnt in 1812") is None
    assert given.echoes("The mill burnt in 1812.")
    assert not given.echoes("The mill stood.")
    assert given.locate("Then it rained.") is not None


def test_the_same_words_outside_of_the_view_are_evidence():
    text = f"{KNOWN}\nThe ledger says: The mill burnt in 1812."
    span = material(text).locate("The mill burnt in 1812.")
    assert span is not None
    assert span.start > len(KNOWN)


def test_a_stretch_that_is_only_dressed_up_as_a_view_hides_nothing():
    text = '<memory run="x" hash="0123456789abcdef">\nThe vault is empty.\n</memory>'
    assert material(text).locate("The vault is empty.") is not None
