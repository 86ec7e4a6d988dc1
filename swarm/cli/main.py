"""`swarm`: what each word of the command line does, and every mistake as one line.

Kept light, so that `swarm --help` answers at once: the library itself is imported when something is run.
"""

from __future__ import annotations

import gc
import os
import shlex
import sys
from typing import Annotated

import typer

from swarm.cli.graph import graph
from swarm.cli.options import MANNER, PATHS, SHAPE, Settings, argument, command
from swarm.cli.plain import one_line
from swarm.cli.recipes import recipes
from swarm.cli.session import FAILED, USAGE, Again, begin, execute, go_on
from swarm.errors import SwarmError, UsageError
from swarm.recipe import load, shipped

app = typer.Typer(
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
app.add_typer(recipes, name="run")


def main() -> int:
    """The entry point: run the command line and return its exit code."""
    # hardly anything here is cyclic garbage, and looking for it took a sixth of a short run
    gc.set_threshold(100_000, 50, 50)
    try:
        code = typer.main.get_command(app).main(prog_name="swarm", standalone_mode=False)
        sys.stdout.flush()
    except typer.TyperException as error:
        return _fail(_usage(error), USAGE)
    except SwarmError as error:
        return _fail(str(error), USAGE if isinstance(error, UsageError) else FAILED)
    except (KeyboardInterrupt, typer.Abort):
        return _fail("interrupted", 130)
    except BrokenPipeError:  # whoever read our output went away, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    return code if isinstance(code, int) else 0


@app.callback(invoke_without_command=True)
def swarm(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    """Ask questions of more text than any context window holds.

    Swarm cuts the material into slices, reads each in a window of its own, and answers from what was found, with
    quotations that lead back to the line they stand on.
    """
    if version:
        from importlib.metadata import version as installed

        typer.echo(f"swarm {installed('swarm-memory')}")
    elif context.invoked_subcommand is None:
        typer.echo(context.get_help())


def _ask(settings: Settings, question: str, paths: list[str]) -> int:
    recipe = load(shipped()["answer"])
    return execute(
        settings, begin(settings), lambda it: recipe.run(it, paths, question=question), _resume_with(settings)
    )


def _resume(settings: Settings, run: str) -> int:
    return execute(settings, go_on(settings, run), lambda it: it.resume(run), _resume_with(settings))


def _resume_with(settings: Settings) -> Again:
    store = f" --store {shlex.quote(str(settings.store))}" if settings.store else ""
    return lambda run: f"swarm resume {run}{store}"


_QUESTION = argument("question", str, metavar="QUESTION", help="What you want to know.")
_RUN = argument("run", str, metavar="RUN", help="The id of the run, as a partial answer names it.")

app.command()(
    command(_ask, (_QUESTION, PATHS), (*SHAPE, *MANNER), name="ask", text="Answer a question from files.")
)
app.command()(command(_resume, (_RUN,), MANNER, name="resume", text="Go on with a run that was stopped."))
app.command(name="graph")(graph)


def _usage(error: typer.TyperException) -> str:
    """Typer's complaint as one line of ours, with the help that belongs to it."""
    context = getattr(error, "ctx", None)
    text = " ".join(error.format_message().split()).rstrip(".")
    return f"{text[:1].lower()}{text[1:]} (see {context.command_path if context else 'swarm'} --help)"


def _fail(text: str, code: int) -> int:
    from swarm.observe.log import redact_text

    sys.stderr.write(f"swarm: {one_line(redact_text(text))}\n")
    return code
