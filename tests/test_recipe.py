"""Recipes: found, loaded, described; and whatever is wrong with one is a line that names the place."""

from __future__ import annotations

import asyncio
import inspect
from pathlib import Path
from typing import Any, cast

import pytest

from swarm.errors import RecipeError, SourceError
from swarm.recipe import find, load, recipe, shipped, summary
from swarm.run import Swarm

SHIPPED = (
    "answer", "audit", "autoresearch", "codebase", "conversation_memory", "deep_research", "digest",
    "feature_list", "task_tree", "vote", "work",
)  # fmt: skip
GOOD = '''"""A recipe for tests."""

from pathlib import Path

from swarm import Answer, Swarm, recipe


@recipe
async def count(
    swarm: Swarm, paths: list[str], words: int = 7, out: Path = Path("x"), *, deep: bool = False
) -> Answer | None:
    """Count what is there.

    It counts and does no more.

    Args:
        words: How many words
            to count.
        deep: Whether to go down.
    """
    swarm.append((paths, words, out, deep))
    return None
'''

ANY = cast("Swarm", None)


def write(folder: Path, text: str, name: str = "mine.py") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def test_a_recipe_tells_its_options_with_types_defaults_and_help(tmp_path: Path) -> None:
    loaded = load(write(tmp_path, GOOD))
    assert loaded.name == "mine"
    assert loaded.summary == "Count what is there."
    assert loaded.help == "Count what is there.\n\nIt counts and does no more."
    found = [(option.name, option.annotation, option.default, option.help) for option in loaded.options]
    assert found == [
        ("words", int, 7, "How many words to count."),
        ("out", Path, Path("x"), ""),
        ("deep", bool, False, "Whether to go down."),
    ]


async def test_a_recipe_gets_the_swarm_the_paths_and_its_options(tmp_path: Path) -> None:
    heard: list[Any] = []
    answer = await load(write(tmp_path, GOOD)).run(cast("Swarm", heard), ["a", "b"], words=2)
    assert answer is None
    assert heard == [(["a", "b"], 2, Path("x"), False)]


def test_loading_leaves_nothing_beside_the_file(tmp_path: Path) -> None:
    load(write(tmp_path, GOOD))
    assert [path.name for path in tmp_path.iterdir()] == ["mine.py"]


def test_an_option_without_a_default_must_be_given(tmp_path: Path) -> None:
    (option, *_) = load(write(tmp_path, GOOD.replace("words: int = 7", "words: int"))).options
    assert option.default is inspect.Parameter.empty


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("x = 1\nasync def broken(:\n    pass\n", "mine.py:2: invalid syntax"),
        ("import a_module_that_is_nowhere\n", "mine.py:1: ModuleNotFoundError: No module named"),
        ("x = 1\n\ny = x / 0\n", "mine.py:3: ZeroDivisionError: division by zero"),
        ("x = 1\n", "one function under @recipe, this one has: none"),
        ("x = '\0'\n", "mine.py"),
        (GOOD + GOOD.replace("count", "again"), "this one has: count, again"),
        (GOOD.replace("async def", "def"), "mine.py:8: count is not async: write `async def name("),
        (GOOD.replace("swarm: Swarm, ", ""), "mine.py:8: count takes no `swarm` and `paths`"),
        (GOOD.replace("words: int = 7", "*words: int").replace("*, ", ""), "the parameter words has no name"),
        (
            GOOD.replace("words: int", "words: 'Nowhere'"),
            "mine.py:8: a type in the signature cannot be resolved: name 'Nowhere'",
        ),
    ],
)
def test_a_recipe_that_does_not_load_says_where_and_why_in_one_line(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(RecipeError) as caught:
        load(write(tmp_path, text))
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_recipe_is_the_one_of_its_file_and_not_one_that_it_imports(tmp_path: Path) -> None:
    text = "from swarm.recipe import load, shipped\n\nanswer = load(shipped()['answer']).function\n\n" + GOOD
    assert load(write(tmp_path, text)).summary == "Count what is there."


def test_a_mistake_inside_a_recipe_names_its_line(tmp_path: Path) -> None:
    text = GOOD.replace("swarm.append((paths, words, out, deep))", "[][words]")
    with pytest.raises(RecipeError, match=r"mine\.py:21: IndexError: list index out of range"):
        asyncio.run(load(write(tmp_path, text)).run(ANY, []))


def test_what_breaks_below_the_recipe_keeps_its_traceback(tmp_path: Path) -> None:
    text = GOOD.replace("swarm.append((paths, words, out, deep))", "o200k(None)")
    text = text.replace("from swarm import", "from swarm.tokens import o200k\nfrom swarm import")
    with pytest.raises(TypeError):
        asyncio.run(load(write(tmp_path, text)).run(ANY, []))


def test_what_is_wrong_with_the_task_passes_through_a_recipe(tmp_path: Path) -> None:
    text = GOOD.replace("swarm.append((paths, words, out, deep))", "raise SourceError('no such thing')")
    text = text.replace("from swarm import", "from swarm.errors import SourceError\nfrom swarm import")
    with pytest.raises(SourceError, match="no such thing"):
        asyncio.run(load(write(tmp_path, text)).run(ANY, []))


def test_a_recipe_that_returns_something_else_is_told_so(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="returned str: return an Answer, or None"):
        asyncio.run(load(write(tmp_path, GOOD.replace("return None", "return 'x'"))).run(cast("Swarm", []), []))


def test_the_decorated_function_stays_what_it_was() -> None:
    async def plain(swarm: Swarm, paths: list[str]) -> None:
        """Nothing."""

    assert recipe(plain) is plain


def test_recipes_are_found_by_path_or_by_the_name_of_one_that_is_shipped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert set(shipped()) == set(SHIPPED)
    monkeypatch.chdir(tmp_path)
    write(tmp_path, GOOD, "digest")  # a file of that name in the folder does not take its place
    assert find("digest") == shipped()["digest"]
    write(tmp_path, GOOD)
    assert find("mine.py") == Path("mine.py")
    names = rf"\({', '.join(SHIPPED)}\)"
    with pytest.raises(RecipeError, match=rf"no recipe 'digst' .*{names}: did you mean digest\?"):
        find("digst")
    with pytest.raises(RecipeError, match=r"no recipe at nowhere\.py"):
        find("nowhere.py")


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_recipe_loads_says_what_it_does_and_is_short(name: str) -> None:
    path = shipped()[name]
    loaded = load(path)
    assert summary(path)
    assert loaded.help
    assert all(option.help for option in loaded.options)
    assert len(path.read_text().splitlines()) <= 260
