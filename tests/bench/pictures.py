"""The pictures of `swarm view` in `docs/`, taken by Chromium of the real page.

    python tests/bench/pictures.py docs

`view-overview.png` and `view-source.png` are of a real run: `swarm ask` over the source code of this Python's
asyncio, with the extractive model. `view-timeline.png` is of a run that is SIMULATED: staged by
`swarm.testing.staged`, as a run that takes minutes would look. The picture of `swarm watch` is made by
`picture_of_watch.py`.
"""

from __future__ import annotations

import asyncio
import base64
import shutil
import struct
import subprocess
import sys
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from playwright.sync_api import sync_playwright

from swarm.testing.staged import Script, Stage

SWARM = [sys.executable, "-m", "swarm"]
QUESTION = "How does shield protect a task from cancellation?"
SIZE = {"width": 1280, "height": 800}
PIXELS = """async (png) => {
    const image = await createImageBitmap(await (await fetch("data:image/png;base64," + png)).blob());
    const canvas = new OffscreenCanvas(image.width, image.height);
    const context = canvas.getContext("2d");
    context.drawImage(image, 0, 0);
    const bytes = context.getImageData(0, 0, image.width, image.height).data;
    const pieces = [];
    for (let at = 0; at < bytes.length; at += 32768) {
        pieces.push(String.fromCharCode(...bytes.subarray(at, at + 32768)));
    }
    return btoa(pieces.join(""));
}"""
COLOURS = 256


async def long_run(store: Path) -> None:
    """A staged run of 160 slices by 16 places, a few of which failed."""
    async with Stage(store, Script(findings=1_600, each=10, places=16, failing=2, seconds=9.0)) as stage:
        await stage.open()
        await stage.work(70)
        stage.now += 14.0  # somebody paused it
        await stage.work()
        await stage.summarise()
        await stage.end()


@contextmanager
def viewed(browser: Any, store: Path) -> Iterator[Any]:
    """The page of the last run of a store, served by the real command."""
    command = [*SWARM, "view", "last", "--store", str(store), "--no-open"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as server:
        assert server.stdout is not None
        said = next(line for line in server.stdout if "token=" in line)
        page = browser.new_page(viewport=SIZE, reduced_motion="reduce")
        try:
            page.goto(next(word for word in said.split() if word.startswith("http")))
            yield page
        finally:
            page.close()
            server.terminate()


def taken(browser: Any, page: Any, path: Path) -> None:
    """Write what one sees as a PNG of as many colours as a byte can name: less than half as long as it comes."""
    page.locator("#body > .view:not([aria-busy])").wait_for()
    page.evaluate("document.activeElement?.blur?.()")
    page.wait_for_timeout(500)
    png = base64.b64encode(page.screenshot()).decode()
    blank = browser.new_page()
    raw = base64.b64decode(blank.evaluate(PIXELS, png))
    blank.close()
    pixels = np.frombuffer(raw, np.uint8).reshape(-1, 4)[:, :3].astype(np.int32)
    seen, which, counts = np.unique(pixels, axis=0, return_inverse=True, return_counts=True)
    palette = seen[np.argsort(-counts)[:COLOURS]]
    nearest = ((seen[:, None, :] - palette[None, :, :]) ** 2).sum(axis=2).argmin(axis=1).astype(np.uint8)
    lines = nearest[which.ravel()].reshape(SIZE["height"], SIZE["width"])
    path.write_bytes(encoded(lines, palette.astype(np.uint8)))
    sys.stdout.write(f"{path}: {path.stat().st_size / 1000:.0f} kB\n")


def encoded(lines: np.ndarray, palette: np.ndarray) -> bytes:
    """A PNG of pixels that name a colour each."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    height, width = lines.shape
    rows = np.hstack([np.zeros((height, 1), np.uint8), lines]).tobytes()  # 0: the bytes as they are
    header = struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"PLTE", palette.tobytes()) + chunk(b"IDAT", zlib.compress(rows, 9))
    return b"\x89PNG\r\n\x1a\n" + body + chunk(b"IEND", b"")


def main() -> None:
    out = Path(sys.argv[1])
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="swarm-pictures-") as name, sync_playwright() as playwright:
        folder = Path(name)
        real, simulated = folder / "asked.db", folder / "staged.db"
        shutil.copytree(asyncio.__path__[0], folder / "asyncio", ignore=shutil.ignore_patterns("__pycache__"))
        subprocess.run(
            [*SWARM, "ask", QUESTION, "asyncio", "--store", str(real)], check=True, cwd=folder, stdout=2
        )
        subprocess.run([sys.executable, __file__, "--stage", str(simulated)], check=True)
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        with viewed(browser, real) as page:
            taken(browser, page, out / "view-overview.png")
            page.locator(".answer a.ref").first.click()
            page.locator("mark#here").first.wait_for()
            taken(browser, page, out / "view-source.png")
        with viewed(browser, simulated) as page:
            page.evaluate("location.hash = '#/timeline'")
            page.locator(".view-timeline:not([aria-busy])").wait_for()
            taken(browser, page, out / "view-timeline.png")
        browser.close()


if __name__ == "__main__":
    if sys.argv[1:2] == ["--stage"]:  # a process of its own: Playwright keeps a loop on this thread
        asyncio.run(long_run(Path(sys.argv[2])))
    else:
        main()
