from hypothesis import given
from hypothesis import strategies as st

from swarm.models.extractive.code import code_units

PYTHON = '''
class Mill:
    """Grinds corn. It stands by the river
    and has two wheels.

    Args:
        wheels: how many.
    """

    # The widow rebuilt it after
    # the fire of 1843.
    wheels = 2  # since then
    LABEL = """not prose: {}"""
'''
C = """/* The mill burnt down in
 * the year 1843. */
#include <mill.h>
int wheels = 2;
// It was rebuilt
// by the widow.
"""


def texts(source: str) -> list[str]:
    return [unit.text for unit in code_units(source)]


def test_wrapped_comments_and_docstrings_read_as_sentences() -> None:
    found = texts(PYTHON)
    assert "It stands by the river and has two wheels." in found
    assert "The widow rebuilt it after the fire of 1843." in found
    assert "The mill burnt down in the year 1843." in texts(C)
    assert "It was rebuilt by the widow." in texts(C)


def test_lines_of_code_stand_alone() -> None:
    assert "wheels = 2 # since then" in texts(PYTHON)
    assert "#include <mill.h>" in texts(C)
    assert "int wheels = 2;" in texts(C)


def test_a_text_that_begins_within_a_docstring_is_prose_up_to_its_end() -> None:
    found = texts('and goes on over\n    the line. Then it ends.\n    """\n    return wheels\n')
    assert found == ["and goes on over the line.", "Then it ends.", "return wheels"]


@given(st.text(alphabet="ab \n#\"'/*-=x.()é", max_size=120))
def test_every_unit_stands_where_it_says_in_order_and_nothing_twice(source: str) -> None:
    end = 0
    for unit in code_units(source):
        assert end <= unit.start < unit.end <= len(source)
        # the marks of a docstring inside of a line are blanked, so they are left out on both sides
        said, there = (part.translate(str.maketrans("", "", " \n'\"")) for part in (unit.text, source))
        assert said in there or "\n" in source
        end = unit.end
