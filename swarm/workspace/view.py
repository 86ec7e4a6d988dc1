"""What of this machine a confined command sees: programs and libraries, the harmless part of /etc, this Python.

And in which order the folders of a command are laid over that. Only paths, as they are on this machine; what shows
them is not known here.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from swarm.equipment import ToolFailed

_PROGRAMS = ("/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")  # beside /usr; links into it on most systems
_STORES = ("/nix/store", "/gnu/store", "/run/current-system/sw")  # where some systems have everything
_ETC = (
    "alternatives", "ca-certificates", "ca-certificates.conf", "crypto-policies", "debian_version", "fonts",
    "java-*-openjdk", "ld.so.cache", "ld.so.conf", "ld.so.conf.d", "localtime", "magic", "mime.types",
    "os-release", "perl", "pki/ca-trust", "pki/tls/certs", "pki/tls/openssl.cnf", "protocols", "python3*",
    "services", "ssl/certs", "ssl/cert.pem", "ssl/openssl.cnf", "terminfo", "timezone",
)  # fmt: skip
"""No users, no mounts, no settings of services, no keys: what programs need to run, and nothing about the host."""
_OF_A_VENV = ("bin", "lib", "lib64", "include", "share", "pyvenv.cfg")  # it may lie in a folder with other things
SYSTEM_PATH = "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin"


@dataclass(frozen=True, kw_only=True, slots=True)
class Bound:
    """`source` on this machine stands at `place` in the view."""

    source: Path
    place: Path
    writable: bool = False


def path() -> str:
    """Where a command finds programs: those of this Python's environment first."""
    own = str(Path(sys.executable).parent) if sys.executable else ""
    return f"{own}:{SYSTEM_PATH}" if own and own not in SYSTEM_PATH.split(":") else SYSTEM_PATH


@cache
def links() -> tuple[tuple[str, str], ...]:
    """Folders of the system that are links: what they say, and where they stand."""
    return tuple((str(Path(name).readlink()), name) for name in _PROGRAMS if Path(name).is_symlink())


@cache
def system() -> tuple[Bound, ...]:
    """Programs, libraries and the harmless part of /etc."""
    real = [Path(name) for name in ("/usr", *_PROGRAMS, *_STORES) if not Path(name).is_symlink()]
    etc = [found for name in _ETC for found in sorted(Path("/etc").glob(name))]
    return tuple(
        Bound(source=path, place=path) for path in (*real, *etc) if path.exists() and os.access(path, os.R_OK)
    )


@cache
def python() -> tuple[Path, ...]:
    """This Python: its environment, what that is made from, and every link on the way from its executable."""
    base, own = Path(sys.base_prefix), Path(sys.prefix)
    found = [base, *((own / name for name in _OF_A_VENV) if own != base else ())]
    hop = Path(sys.executable or "/usr/bin/python3")
    for _ in range(16):
        if not hop.is_symlink():
            break
        hop = Path(os.path.abspath(hop.parent / hop.readlink()))  # noqa: PTH100 - one link at a time
        found.append(hop)
    homes = {Path("/"), Path.home()}
    return tuple(path for path in found if path not in homes and not path.is_relative_to("/usr") and path.exists())


def laid_out(readable: Iterable[Path], writable: Sequence[Path]) -> list[Bound]:
    """The folders of a command in the order in which they are laid over the view: what lies deeper comes later,
    and of two that are the same the writable one. What does not exist is left out.

    Raises:
        ToolFailed: one lies below a writable one and leads out of it: whoever writes there put a link there.
    """
    named = [(_absolute(path), False) for path in (*python(), *readable)]
    named += [(_absolute(path), True) for path in writable]
    tops = [path for path, writes in named if writes]
    bound: dict[Path, Bound] = {}
    for path, writes in sorted(named, key=lambda one: (len(one[0].parts), one[1])):
        source = real(path, tops)
        if source is None:
            continue
        bound[source] = Bound(source=source, place=source, writable=writes)
        # by the name that was given, too: not where a folder above is there already, and with it the link
        if source != path and not any(path.is_relative_to(place) for place in bound):
            bound[path] = Bound(source=source, place=path, writable=writes)
    return sorted(bound.values(), key=lambda one: (len(one.place.parts), one.writable))


def real(path: Path, writable: Iterable[Path]) -> Path | None:
    """Where `path` really is, or None where it does not exist.

    Raises:
        ToolFailed: it lies below one of `writable` and leads out of it.
    """
    path = _absolute(path)
    source = Path(os.path.realpath(path))
    for top in writable:
        if path.is_relative_to(top) and not source.is_relative_to(os.path.realpath(top)):
            raise ToolFailed(f"{path} is a link that leads out of {top}: take it away, it is not followed")
    return source if source.exists() else None


def _absolute(path: Path) -> Path:
    return Path(os.path.abspath(path))  # noqa: PTH100 - Path.absolute leaves `..` in


def environment(home: str) -> dict[str, str]:
    """The variables of a command before those that it is given; `home` is its own, for files that do not stay."""
    return {
        "PATH": path(),
        "HOME": home,
        "TMPDIR": home,
        "LANG": "C.UTF-8",
        # a file that is changed twice in a second keeps its size and time: Python would run what it was before
        "PYTHONDONTWRITEBYTECODE": "1",
        # what a command printed before it was ended is seen
        "PYTHONUNBUFFERED": "1",
    }
