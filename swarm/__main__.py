"""The `swarm` command, and `python -m swarm`: runs the command line and leaves at once."""

import os
import sys
from typing import NoReturn


def run() -> NoReturn:
    """Exit with the code of the command line.

    Everything is closed and flushed by then; taking an interpreter full of findings apart, object by object, took
    up to half a second of a run that takes two, for nothing.
    """
    try:
        from swarm.cli.main import main
    except KeyboardInterrupt:  # before there is anything that could say more
        os._exit(130)
    code = main()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    run()
