"""The page that shows a run, put together of its parts: for a server that answers what it asks, or as a file that
has all data in it.

    sys.stdout.writelines(document(None))

Its policy lets nothing run and nothing load but its own script and style, by their hashes; a served page may ask
its own server, and a file nobody. This module does not know how the page looks and moves: those in `parts/` do.
"""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections.abc import Iterable, Iterator
from functools import lru_cache
from hashlib import sha256
from importlib.resources import files
from typing import Final

STYLES: Final = ("base", "read", "work", "paper")
TOOLS: Final = (
    "build", "marks", "times", "charts", "points", "lanes", "lanes_hand", "tables", "lists", "columns", "stretch",
    "spend", "pieces", "shell",
)  # fmt: skip
"""What views are built with."""
VIEWS: Final = (
    "overview", "findings", "tree", "node", "source", "disputes", "coverage", "plan", "slice", "timeline", "cost",
    "windows", "calls",
)  # fmt: skip
"""In the order in which the page lists them."""
SERVED, FILE = "served", "file"
SOURCES: Final = {
    SERVED: ("served",),
    FILE: ("file_blocks", "file_text", "file_graph", "file_search", "file_work", "file"),
}
"""Where data comes from: the last parts, of which the very last has the page begin."""
_UNSAFE = re.compile("[<>&\u2028\u2029\ud800-\udfff]")  # the last are no characters, and no file can hold them


def document(data: Iterable[str] | None, paper: Iterable[str] = ()) -> Iterator[str]:
    """The page, piece by piece. `data` is JSON in pieces, made safe by `to_json`; None: a server has it. `paper`
    is what stands in the page as it is, in HTML."""
    before, between, after = _page(SERVED if data is None else FILE)
    yield before
    yield from paper
    yield between
    yield from data or ()
    yield after


def policy(source: str = SERVED) -> str:
    """What the page may do: run its script and use its style, as they are, and ask the server that it is from."""
    asks = "'self'" if source == SERVED else "'none'"
    return (
        f"default-src 'none'; script-src {_hashed(_script(source))}; style-src {_hashed(_style())}; "
        f"connect-src {asks}; img-src data:; base-uri 'none'; form-action 'none'; "
        "require-trusted-types-for 'script'; trusted-types 'none'"
    )


def to_json(value: object) -> str:
    """JSON in which no text can end the block that holds it."""
    plain = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return _UNSAFE.sub(lambda found: f"\\u{ord(found[0]):04x}", plain)


@lru_cache(maxsize=2)
def _page(source: str) -> tuple[str, str, str]:
    """The page up to its paper, from there to its data, and from there on."""
    before, rest = _part("page.html").split("{{paper}}")
    between, after = rest.split("{{data}}")
    before = before.replace("{{policy}}", policy(source)).replace("{{style}}", _style())
    return before, between, after.replace("{{script}}", _script(source))


def _style() -> str:
    return "\n".join(_part(f"{name}.css") for name in STYLES)


def _script(source: str) -> str:
    """All parts in one function, so that the page has no global names."""
    parts = "\n".join(_part(f"{name}.js") for name in (*TOOLS, *VIEWS, *SOURCES[source]))
    return f'(() => {{\n"use strict";\n{parts}}})();\n'


@lru_cache(maxsize=64)
def _part(name: str) -> str:
    return files("swarm.inspect.page").joinpath("parts", name).read_text("utf-8")


def _hashed(text: str) -> str:
    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"
