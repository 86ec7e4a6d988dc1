"""`swarm rehearse`: a recipe is worked against a simulated provider, and what it would come to is told.

No key is needed, nothing is sent anywhere else, and the user's store is not opened. The options of a run hold as
they would; those of the rehearsal say how the stand-in behaves.
"""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, Sequence
from contextlib import redirect_stdout
from typing import TYPE_CHECKING, Any

import typer

from swarm.cli.options import PATHS, PATHS_IF_ANY, WHOLE, Parameter, Settings, argument, command, option
from swarm.cli.recipes import Recipes, own_options
from swarm.cli.session import ANSWERED, prepare
from swarm.errors import UsageError
from swarm.recipe import Recipe, find, load, shipped

if TYPE_CHECKING:
    from swarm.run import Swarm
    from swarm.task import Answer
    from swarm.testing.simulated import Simulated

Work = Callable[["Swarm"], "Awaitable[Answer | None]"]

LATENCY = "median=3,sigma=0.5,token=0.02"
ERRORS = "529=0.01,500=0.005,cut=0.005,invalid=0.01"

_QUESTION = argument("question", str, metavar="QUESTION", help="What you want to know.")


def _own(name: str, annotation: Any, default: Any, /, **info: Any) -> Parameter:
    return option(name, annotation, default, f"--{name.replace('_', '-')}", **info)


_SIMULATED = (
    _own(
        "latency", str, LATENCY, metavar="S|NAME=S,...", help="Seconds: median, sigma, and token for each written."
    ),
    _own(
        "errors",
        str,
        ERRORS,
        metavar="NAME=SHARE,...",
        help="429, 500, 529, cut, stall, invalid, refusal; or none.",
    ),
    _own("rates", str, "none", metavar="NAME=N,...", help="Allowed a minute: requests, tokens, input_tokens, ..."),
    _own(
        "recall", float, 0.9, min=0, max=1, metavar="SHARE", help="Of the lines that bear on a question: reported."
    ),
    _own("fabricates", float, 0.02, min=0, max=1, metavar="SHARE", help="Of the quotes: stand nowhere."),
    _own("findings", int, 12, min=0, metavar="N", help="Findings of one reply, at the most."),
    _own("seed", int, 0, metavar="N", help="Other dice, for all of it."),
    _own("calls", int | None, None, min=1, metavar="N", help="Slices that are read at the most (100): a sample."),
)
"""How the stand-in behaves. Where a recipe has an option of the same name, the recipe's own comes first."""


class Rehearsals(Recipes):
    """A group whose commands are the recipes, and `ask`."""

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ARG002 - the base class names it
        if cmd_name == "ask":
            return _command(load(shipped()["answer"]), (_QUESTION, PATHS), "ask", "Rehearse an answer from files.")
        recipe = load(find(cmd_name))
        paths = PATHS if recipe.needs_paths else PATHS_IF_ANY
        return _command(recipe, (paths, *own_options(recipe)), recipe.name, recipe.help)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """`swarm rehearse run RECIPE …` is `swarm rehearse RECIPE …`."""
        return super().parse_args(ctx, args[1:] if args[:1] == ["run"] and len(args) > 1 else args)


rehearsals = typer.Typer(cls=Rehearsals, subcommand_metavar="RECIPE PATH... | ask QUESTION PATH...")


@rehearsals.callback()
def rehearse() -> None:
    """Work a recipe with a simulated model, and say what it would come to and what would go wrong.

    Nothing is sent anywhere and nothing is spent; every figure is simulated. Prices, windows and limits are those
    of the model that you name.
    """


def _command(recipe: Recipe, own: Sequence[Parameter], name: str, text: str) -> Any:
    taken = {parameter.name for parameter in own}
    free = [parameter for parameter in _SIMULATED if parameter.name not in taken]

    def body(settings: Settings, paths: list[str] | None = None, **options: Any) -> int:
        set_ = {parameter.name: parameter.default for parameter in _SIMULATED}
        set_ |= {parameter.name: options.pop(parameter.name) for parameter in free}
        return _execute(settings, recipe, lambda it: recipe.run(it, paths or [], **options), set_)

    single = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
    single.command()(command(body, (*own, *free), WHOLE, name=name, text=text))
    return typer.main.get_command(single)


def _execute(settings: Settings, recipe: Recipe, work: Work, set_: dict[str, Any]) -> int:
    prepare(settings)
    simulated = _simulated(set_)
    from swarm.cli.rehearsed import document, told
    from swarm.cli.watched import limits_with
    from swarm.testing.forecast import forecast
    from swarm.testing.rehearsal import rehearse

    connected = {"window": settings.window, "base_url": settings.base_url}
    with redirect_stdout(sys.stderr):  # where a recipe prints on its way
        rehearsal = rehearse(
            work,
            settings=simulated,
            model=settings.model,
            reader=settings.reader,
            calls=set_["calls"],
            concurrency=settings.concurrency,
            limits=lambda limits: limits_with(limits, settings),
            recipe=recipe.where.rpartition(":")[0],
            **{name: value for name, value in connected.items() if value is not None},
        )
    made = forecast(rehearsal)
    if settings.json:
        from swarm.cli.document import dumps

        sys.stdout.write(f"{dumps(document(rehearsal, made))}\n")
    else:
        sys.stdout.write("\n".join(told(rehearsal, made, named=settings.model is not None)) + "\n")
    return ANSWERED


def _simulated(set_: dict[str, Any]) -> Simulated:
    """The settings of the stand-in.

    Raises:
        UsageError: they are not understood.
    """
    from swarm.testing.ability import Ability
    from swarm.testing.allowance import COUNTED, Allowance
    from swarm.testing.latency import Delays
    from swarm.testing.simulated import Simulated

    latency = _pairs("latency", set_["latency"], ("median", "sigma", "token"))
    rates = _pairs("rates", set_["rates"], COUNTED)
    if any(rate < 1 for rate in rates.values()):
        raise UsageError(f"--rates {set_['rates']}: give whole numbers from 1 on")
    try:
        return Simulated(
            delays=Delays(
                median_seconds=latency.get("median", 0.0),
                sigma=latency.get("sigma", 0.0),
                token_seconds=latency.get("token", 0.0),
            ),
            errors=_pairs("errors", set_["errors"], None),
            rates=Allowance(**{name: int(rate) for name, rate in rates.items()}) if rates else None,
            ability=Ability(recall=set_["recall"], fabricates=set_["fabricates"], most_findings=set_["findings"]),
            seed=set_["seed"],
        )
    except ValueError as error:
        raise UsageError(str(error)) from None


def _pairs(name: str, text: str, known: Sequence[str] | None) -> dict[str, float]:
    """`name=number,…` as a dict; `none` is nothing, and a single number is that of the first name."""
    if text.strip().lower() in ("", "none"):
        return {}
    if known and "=" not in text:
        text = f"{known[0]}={text}"
    found: dict[str, float] = {}
    for part in text.split(","):
        key, _, value = part.partition("=")
        key = key.strip()
        if known and key not in known:
            raise UsageError(f"--{name} {text}: there is no {key!r}, but {', '.join(known)}")
        try:
            found[key] = float(value)
        except ValueError:
            raise UsageError(f"--{name} {text}: {value!r} is no number: write NAME=NUMBER,...") from None
    return found
