"""The report written out in plain HTML: what is read where no script runs, and what is printed.

The answer first, with its citations and quotes; then what the sources disagree on, the figures, what was read, and
what was not. It is made of what the page is made of (`swarm.inspect.data`), and has no style of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from swarm.inspect.data import ENDPOINTS
from swarm.inspect.look import Look
from swarm.inspect.report.figures import in_figures, on_machines, plots, what_it_cost, what_was_read
from swarm.inspect.report.markup import Markup, element, joined, words
from swarm.inspect.report.sheet import NOTHING, and_more, moment, section, soft, table

_FINDINGS, _DISPUTES, _NAMED = 20, 10, 20
_QUOTE_CHARS = 1_200

Told = Mapping[str, Any]


def paper(look: Look, overview: Told, title: str, left_out: Sequence[str]) -> Iterator[str]:
    """The article, section by section. `left_out` says what of the run is not in the file."""
    yield '<article id="paper">\n'
    yield _head(overview, title)
    yield _answer(overview)
    yield _disagreements(look)
    yield in_figures(overview)
    yield plots(look)
    yield on_machines(overview)
    yield what_was_read(look)
    yield what_it_cost(look)
    yield _findings(look)
    yield _undone(overview)
    yield _about(overview, left_out)
    yield "</article>\n"


def title_of(overview: Told) -> str:
    """What the report is called, where nobody says: what was asked."""
    asked = str(overview["asked"]).strip()
    return asked if 0 < len(asked) <= 300 else f"{asked[:300]}…" if asked else f"Run {overview['run']}"


def _head(overview: Told, title: str) -> Markup:
    asked = title_of(overview)
    status = str(overview["status"]).replace("_", " ")
    why = f": {overview['why']}" if overview["why"] else ""
    facts = [f"run {overview['run']}", f"{moment(overview['begun'])} to {moment(overview['last'])} UTC"]
    if overview["sessions"]:
        facts.append(_models(overview["sessions"][-1]))
    return element(
        "header",
        None,
        words("h1", title),
        words("p", asked) if asked != title else None,
        element("p", {"class": "state"}, words("strong", f"{status}{why}")),
        words("p", " · ".join(facts), "soft"),
    )


def _models(session: Told) -> str:
    model, reader = str(session["model"]), session["reader"]
    return model if model == reader else f"{model}, read by {reader}"


def _answer(overview: Told) -> Markup:
    answer = overview["answer"]
    if answer is None:
        return section("Answer", soft("The run came to no answer yet."))
    said = [words("p", answer["short"], "short")] if answer.get("short") else []
    if answer["cells"]:
        said.append(_cells(answer["cells"]))
    elif answer["statements"]:
        said += [_sentence(one) for one in answer["statements"]]
    else:
        said += [words("p", part) for part in str(answer["text"] or "").split("\n\n") if part.strip()]
    left = and_more(answer["totals"]["statements"] - len(answer["statements"]), "sentences, which are in the run")
    return joined(
        section("Answer", said or soft("The run found nothing to answer with."), left), _citations(answer)
    )


def _sentence(one: Told) -> Markup:
    return element("p", {"class": "text", "dir": "auto"}, one["text"], _marks(one["citations"]))


def _marks(numbers: Sequence[int]) -> list[Markup]:
    """Numbers that lead to their citations; from 1 on for people."""
    return [element("sup", None, element("a", {"href": f"#cite-{n + 1}"}, f"[{n + 1}]")) for n in numbers]


def _cells(cells: Sequence[Told]) -> Markup:
    rows = []
    for one in cells:
        said = element("td", {"class": "text", "dir": "auto"}, one["text"] or "–", _marks(one["citations"]))
        rows.append(element("tr", None, words("td", one["item"]), words("td", one["question"]), said))
    return table(("item", "question", "says"), rows)


def _citations(answer: Told) -> Markup:
    items = [
        element("li", {"id": f"cite-{one['n'] + 1}"}, words("cite", one["where"]), _quote(one["quote"]))
        for one in answer["citations"]
    ]
    left = and_more(answer["totals"]["citations"] - len(items), "citations, which are in the run")
    return section("Citations", element("ol", {"class": "quotes"}, items), left) if items else NOTHING


def _quote(text: str | None) -> Markup | None:
    if text is None:
        return None
    return words("blockquote", text if len(text) <= _QUOTE_CHARS else f"{text[:_QUOTE_CHARS]}…")


def _disagreements(look: Look) -> Markup:
    told = ENDPOINTS["disputes"](look, limit=_DISPUTES)
    pairs = told["pairs"][:_DISPUTES]
    items = [element("li", None, _side(pair["one"]), " ↔ ", _side(pair["other"])) for pair in pairs]
    if not items:
        return NOTHING
    heading = f"What the sources disagree on ({'' if told['exact'] else 'at most '}{told['total']:,})"
    return section(heading, element("ul", None, items), and_more(told["total"] - len(items), "pairs"))


def _side(one: Told) -> Markup:
    where = words("span", f" ({one['where']})", "soft") if one.get("where") else None
    return joined(words("span", one["text"]), where)


def _findings(look: Look) -> Markup:
    told = ENDPOINTS["nodes"](look, limit=_FINDINGS)
    items = [element("li", None, _side(one)) for one in told["rows"]]
    left = and_more(told["total"] - len(items), "findings")
    return section("The most relevant findings", element("ol", None, items), left) if items else NOTHING


def _undone(overview: Told) -> Markup:
    failed = [
        element("li", None, words("span", one["name"]), ": ", words("span", one["reason"]))
        for one in overview["failures"][:_NAMED]
    ]
    left = and_more(overview["slices"]["failed"] - len(failed), "slices")
    return section("Slices that failed", element("ul", None, failed), left) if failed else NOTHING


def _about(overview: Told, left_out: Sequence[str]) -> Markup:
    """What the file is, for whoever holds it."""
    said = [
        soft(
            f"Written by Swarm from the run {overview['run']}, as of {moment(overview['last'])} UTC. The "
            f"fingerprint of its graph is {overview['graph']['fingerprint']}."
        ),
        soft(
            "With JavaScript this file shows the whole run: every finding down to its source, the plan, the "
            "timeline, the costs. It loads nothing and sends nothing."
        ),
    ]
    if left_out:
        said.append(soft("Not in this file:"))
        said.append(element("ul", {"class": "soft"}, [element("li", None, line) for line in left_out]))
    return section("About this report", said)
