"""How asking grows with the corpus: seconds, MB/s and peak memory at 1, 10 and 100 MB, offline.

    python tests/bench/scale.py [--data DIR]... [--sizes 1 10 100] [--out bench-results/scale.json]

Each figure is of a whole process, `swarm ask … --json`, started for it alone: from cold (a new store), and a
second question on the same store. The text is real: the files below the folders named with `--data`, then the
Python standard library and the packages installed beside it until the size is reached. The baseline of the
same run is SQLite's full-text index over the same text, cut every 700 characters, written and asked once: what
any tool has to pay at the least. Nothing is simulated.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

MB = 1_000_000
QUESTIONS = (
    "Who was condemned to hard labour for stealing a loaf of bread?",
    "What did the captain say about the white whale?",
)
BASELINE = """
import apsw, pathlib, sys
database = apsw.Connection(sys.argv[1])
database.execute("PRAGMA journal_mode = WAL")
database.execute("CREATE VIRTUAL TABLE f USING fts5(text, tokenize='porter unicode61')")
with database:
    for path in sorted(pathlib.Path(sys.argv[2]).rglob("*")):
        if path.is_file():
            text = path.read_text("utf-8", "replace")
            rows = ((text[i : i + 700],) for i in range(0, len(text), 700))
            database.executemany("INSERT INTO f (text) VALUES (?)", rows)
query = " OR ".join('"' + word + '"' for word in sys.argv[3].strip("?").split())
assert database.execute("SELECT rowid FROM f WHERE f MATCH ? ORDER BY rank LIMIT 20", (query,)).fetchall()
"""


def texts(folders: list[Path]) -> Iterator[Path]:
    for folder in folders:
        for path in sorted(folder.rglob("*")):
            if path.suffix in {".md", ".txt", ".rst", ".py"} and path.is_file() and path.stat().st_size > 500:
                yield path


def build(corpus: Path, size: int, folders: list[Path]) -> int:
    """Copy files until `size` bytes are there; the last one is cut. Returns the bytes."""
    total = 0
    for number, path in enumerate(texts(folders)):
        if total >= size:
            break
        content = path.read_bytes()[: size - total]
        (corpus / f"{number:05}-{path.name}").write_bytes(content)
        total += len(content)
    return total


def run(command: list[str]) -> tuple[float, float, str]:
    """Wall seconds, peak megabytes and output of a process."""
    began = time.perf_counter()
    with tempfile.TemporaryFile() as out:
        process = subprocess.Popen(command, stdout=out)
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - began
        out.seek(0)
        text = out.read().decode()
    if status:
        raise SystemExit(f"{command} ended with status {status}")
    return wall, usage.ru_maxrss * 1024 / MB, text


def measure(size: int, folders: list[Path], work: Path) -> dict[str, Any]:
    corpus, store = work / "corpus", work / "swarm.db"
    corpus.mkdir(parents=True)
    total = build(corpus, size * MB, folders)
    ask = [sys.executable, "-m", "swarm", "ask"]
    rest = [str(corpus), "--store", str(store), "--json", "--quiet"]
    cold, cold_peak, text = run([*ask, QUESTIONS[0], *rest])
    first = json.loads(text)
    warm, warm_peak, text = run([*ask, QUESTIONS[1], *rest])
    second = json.loads(text)
    for answer in (first, second):
        coverage = answer["coverage"]
        assert coverage["chars_read"] + coverage["chars_skipped"] == coverage["chars_total"], coverage
    base, base_peak, _ = run([sys.executable, "-c", BASELINE, str(work / "base.db"), str(corpus), QUESTIONS[0]])
    return {
        "mb": total / MB,
        "files": len(list(corpus.iterdir())),
        "slices": first["slices"],
        "cold_s": cold,
        "cold_mb_s": total / MB / cold,
        "cold_peak_mb": cold_peak,
        "second_s": warm,
        "second_peak_mb": warm_peak,
        "store_mb": sum(path.stat().st_size for path in work.glob("swarm.db*")) / MB,
        "fts5_s": base,
        "fts5_peak_mb": base_peak,
        "cold_over_fts5": cold / base,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, action="append", default=[], help="a folder of text; may be repeated")
    parser.add_argument("--sizes", type=int, nargs="+", default=[1, 10, 100], help="megabytes")
    parser.add_argument("--out", type=Path, default=Path("bench-results/scale.json"))
    options = parser.parse_args()
    folders = [*options.data, Path(sysconfig.get_path("stdlib")), Path(sysconfig.get_path("purelib"))]
    rows = []
    print("    MB  files   cold s   MB/s  peak MB  2nd s  x FTS5  store MB")
    for size in options.sizes:
        work = Path(tempfile.mkdtemp(prefix="swarm-bench-"))
        try:
            row = measure(size, folders, work)
        finally:
            shutil.rmtree(work)
        rows.append(row)
        peak = max(row["cold_peak_mb"], row["second_peak_mb"])
        line = f"{row['mb']:6.0f} {row['files']:6} {row['cold_s']:8.2f} {row['cold_mb_s']:6.1f} {peak:8.0f}"
        print(f"{line} {row['second_s']:6.2f} {row['cold_over_fts5']:7.2f} {row['store_mb']:9.0f}", flush=True)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(rows, indent=2))
    print(f"written to {options.out}")


if __name__ == "__main__":
    main()
