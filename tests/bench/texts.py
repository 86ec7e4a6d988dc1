"""What it costs to keep the text of sources on a PostgreSQL server and to have it from there, in MB/s, beside
reading the same files.

    python tests/bench/texts.py [--data DIR]... [--mb 60] [--out FILE]

The server runs on this machine, so that no network is in the figures. The text is real: the files below the
folders named with `--data`, then the Python standard library and what is installed beside it, once as it is (files
of some 20 kB) and once joined into one file. Peak memory is of a process of its own.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Awaitable
from pathlib import Path
from typing import Any

from scale import MB, build

from swarm.source import Span
from swarm.sources.gather import gather
from swarm.store.afar import Afar
from swarm.store.database import Database
from swarm.store.library import Library
from swarm.store.postgres_blobs import PostgresBlobs
from swarm.store.texts import fetch, publish
from swarm.testing.postgres import LocalPostgres


async def measure(files: Path, url: str, stores: Path) -> dict[str, Any]:
    here, there, far = (Library(Database.open(stores / f"{name}.db")) for name in ("here", "there", "far"))
    blobs = PostgresBlobs(url)
    blobs.missing(["-"])  # connected
    corpus, reading = await timed(gather([str(files)], here))
    size = sum(source.bytes for source in corpus.sources) / MB
    sent, publishing = await timed(publish(here, blobs, corpus.sources))
    _, again = await timed(publish(here, blobs, corpus.sources))
    _, fetching = await timed(fetch(there, blobs, corpus.sources))
    largest = max(corpus.sources, key=lambda source: source.chars)
    begun = time.perf_counter()
    Afar(far.database, lambda: blobs, lambda _: None).text(
        Span(largest.id, largest.chars // 2, largest.chars // 2 + 99)
    )
    quoting = time.perf_counter() - begun
    blobs.close()
    for library in (here, there, far):
        library.database.close()
    return {
        "files": len(corpus.sources),
        "MB": round(size, 1),
        "sent MB": round(sent / MB, 1),
        "read MB/s": round(size / reading, 1),
        "publish MB/s": round(size / publishing, 1),
        "fetch MB/s": round(size / fetching, 1),
        "publish again ms": round(again * 1e3, 1),
        "one quote ms": round(quoting * 1e3, 1),
        "peak MB": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3),
    }


async def timed(work: Awaitable[Any]) -> tuple[Any, float]:
    begun = time.perf_counter()
    return await work, time.perf_counter() - begun


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, action="append", default=[])
    parser.add_argument("--mb", type=int, default=60)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--one", nargs=3, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.one:
        files, url, stores = asked.one
        sys.stdout.write(json.dumps(asyncio.run(measure(Path(files), url, Path(stores)))))
        return
    rows = []
    with tempfile.TemporaryDirectory() as name, LocalPostgres() as server:
        many, one = Path(name) / "many", Path(name) / "one"
        many.mkdir()
        build(
            many,
            asked.mb * MB,
            [*asked.data, Path(sysconfig.get_path("stdlib")), Path(sysconfig.get_path("purelib"))],
        )
        one.mkdir()
        with (one / "all.txt").open("wb") as out:
            for path in sorted(many.rglob("*")):
                out.write(path.read_bytes() if path.is_file() else b"")
        for files in (many, one):
            stores = Path(name) / f"{files.name}-stores"
            stores.mkdir()
            command = [sys.executable, __file__, "--one", str(files), server.database(), str(stores)]
            rows.append(json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout))
            sys.stdout.write("  ".join(f"{key} {value}" for key, value in rows[-1].items()) + "\n")
    if asked.out:
        asked.out.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
