"""`swarm`: what each word of the command line does, and every mistake as one line.

Kept light, so that `swarm --help` answers at once: the library itself is imported when something is run.
"""

from __future__ import annotations

import errno
import gc
import io
import os
import sys
from dataclasses import replace
from typing import Annotated

import typer

from swarm.cli import mcp
from swarm.cli import steer as steering
from swarm.cli.again import resume_with
from swarm.cli.diff import diff
from swarm.cli.estimating import Estimates, execute_estimate
from swarm.cli.export import export
from swarm.cli.graph import graph
from swarm.cli.memory import memory
from swarm.cli.options import (
    NEW,
    PATHS,
    PATHS_IF_ANY,
    RUN,
    STANDBY,
    WHOLE,
    Settings,
    argument,
    command,
    option,
)
from swarm.cli.plain import one_line
from swarm.cli.recalled import allow_address, allowed, recalled
from swarm.cli.recipes import estimated_recipes, recipes
from swarm.cli.rehearse import rehearsals
from swarm.cli.report import report
from swarm.cli.runs import forget, replay, runs, show
from swarm.cli.serve import serve
from swarm.cli.session import FAILED, USAGE, Work, begin, execute, go_on, prepare
from swarm.cli.view import view
from swarm.cli.watch import watch
from swarm.cli.why import why
from swarm.cli.worker import worker
from swarm.cli.workers import workers
from swarm.errors import SwarmError, UsageError
from swarm.recipe import load, shipped

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)

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
    _for_any_terminal()
    try:
        code = typer.main.get_command(app).main(prog_name="swarm", standalone_mode=False)
        sys.stdout.flush()
    except typer.TyperException as error:
        return _fail(_usage(error), USAGE)
    except SwarmError as error:
        return _fail(str(error), USAGE if isinstance(error, UsageError) else FAILED)
    except (KeyboardInterrupt, typer.Abort):
        return _fail("interrupted; what was finished is kept", 130)
    except BrokenPipeError:  # whoever read our output went away, as `head` does
        return _unheard()
    except OSError as error:
        return _unwritten(error)
    except MemoryError:
        return _fail("out of memory; what was finished is kept: go on with `swarm resume last`", FAILED)
    except Exception:
        return _broken()
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
        settings, begin(settings), lambda it: recipe.run(it, paths, question=question), resume_with(settings)
    )


def _work(settings: Settings, goal: str, paths: list[str] | None, done_when: str, check: str) -> int:
    recipe = load(shipped()["work"])
    options = {"goal": goal, "done_when": done_when, "check": check}
    return execute(
        settings, begin(settings), lambda it: recipe.run(it, paths or [], **options), resume_with(settings)
    )


def _estimate(settings: Settings, question: str, paths: list[str]) -> int:
    recipe = load(shipped()["answer"])
    return execute_estimate(settings, lambda it: recipe.run(it, paths, question=question))


def _resume(settings: Settings, run: str, standby: bool) -> int:
    prepare(settings)
    from swarm.errors import StoreInUse
    from swarm.history import find

    id_ = find(run, settings.store)
    if standby:  # what speaks against it is said now, and not when it is needed
        _allow(settings, id_)
        settings = replace(settings, yes=True)
    while standby:
        _stand_by(settings, id_)
        try:
            return _go_on(settings, id_)
        except StoreInUse:  # another was faster
            continue
    return _go_on(settings, id_)


def _stand_by(settings: Settings, id_: str) -> None:
    import asyncio

    from swarm.remote.standby import stand_by

    def tell(text: str) -> None:
        if not settings.quiet:
            sys.stderr.write(f"swarm: {text}\n")

    asyncio.run(stand_by(id_, settings.store, tell))


def _go_on(settings: Settings, id_: str) -> int:
    if (code := steering.go_on_if_paused(id_, settings.store, as_json=settings.json)) is not None:
        return code
    recipe = _allow(settings, id_) or (lambda it: it.resume(id_))
    return execute(settings, go_on(settings, id_), recipe, resume_with(settings))


def _allow(settings: Settings, id_: str) -> Work | None:
    """What goes on with the recipe that a run belongs to, if any, once all that stands in the store is allowed.

    Raises:
        UsageError: something is not, or it cannot be gone on with here.
    """
    allow_address(settings, id_)
    recipe = recalled(settings, id_)
    if recipe is None:
        _allow_check(settings, id_)
    return recipe


def _allow_check(settings: Settings, run: str) -> None:
    """A run may check itself with a command, which stands in its store: whoever goes on with a store from
    elsewhere is to know what will be run.

    Raises:
        UsageError: nobody allows it.
    """
    from swarm.history import check_of

    if check := check_of(run, settings.store):
        allowed(settings, f"the run checks itself with the command {one_line(check, 200)!r}", "run it here?")


_QUESTION = argument("question", str, metavar="QUESTION", help="What you want to know.")

app.command()(command(_ask, (_QUESTION, PATHS), NEW, name="ask", text="Answer a question from files."))
_WORK = (
    argument("goal", str, metavar="GOAL", help="What is to be done."),
    PATHS_IF_ANY,
    option("done_when", str, "", "--done-when", metavar="TEXT", help="How anyone can tell that it is done."),
    option(
        "check", str, "", "--check", metavar="COMMAND", help="Exits with 0 once it is done; before any opinion."
    ),
)
app.command()(
    command(_work, _WORK, NEW, name="work", text="Work towards a goal by a plan; needs a language model.")
)
app.command()(
    command(
        _resume, (RUN, STANDBY), WHOLE, name="resume", text="Go on with a run that was stopped, or is partial."
    )
)
estimates = typer.Typer(cls=Estimates, subcommand_metavar="QUESTION PATH... | run RECIPE PATH...")
estimates.command()(
    command(
        _estimate, (_QUESTION, PATHS), WHOLE, name="ask", text="Say what an answer would come to; spend nothing."
    )
)
estimates.add_typer(estimated_recipes, name="run")
app.add_typer(estimates, name="estimate", help="Say what something would come to, and spend nothing.")
app.add_typer(rehearsals, name="rehearse")
app.command(name="steer")(steering.steer)
app.command(name="pause")(steering.pause)
app.command(name="stop")(steering.stop)
app.command(name="runs")(runs)
app.command(name="show")(show)
app.command(name="view")(view)
app.command(name="watch")(watch)
app.command(name="why")(why)
app.command(name="diff")(diff)
app.command(name="report")(report)
app.command(name="export")(export)
app.command(name="forget")(forget)
app.command(name="replay")(replay)
app.command(name="graph")(graph)
app.command(name="serve")(serve)
app.command(name="worker")(worker)
app.add_typer(memory, name="memory")
app.add_typer(workers, name="workers")
app.command()(mcp.command)


def _usage(error: typer.TyperException) -> str:
    """Typer's complaint as one line of ours, with the help that belongs to it."""
    context = getattr(error, "ctx", None)
    text = " ".join(error.format_message().split()).rstrip(".")
    return f"{text[:1].lower()}{text[1:]} (see {context.command_path if context else 'swarm'} --help)"


def _for_any_terminal() -> None:
    """One that lacks a character is shown a question mark."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def _unheard() -> int:
    """What is left of the output goes nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return FAILED


def _unwritten(error: OSError) -> int:
    """The output goes to a file, and its disk is full."""
    if error.filename is not None or error.errno not in _FULL:
        return _broken()
    _unheard()
    return _fail(f"the output cannot be written: {error.strerror}; what was finished is kept", FAILED)


def _broken() -> int:
    """A mistake of ours: all of the traceback, but for secrets."""
    import traceback

    from swarm.observe.log import redact_text

    sys.stderr.write(redact_text(traceback.format_exc()))
    return FAILED


def _fail(text: str, code: int) -> int:
    from swarm.observe.log import redact_text

    sys.stderr.write(f"swarm: {redact_text(one_line(text))}\n")
    return code
