"""What watching a run costs: the processor time of `swarm watch` on a terminal, and of the run that is watched.

    python tests/bench/watching.py [events a second] [seconds]

A process stages a run of that many journal events a second (calls begun, calls finished, reports); `swarm watch`
is a process of its own on a terminal of 160 by 48. The run is staged twice, alone and watched, so that what it
spends itself can be told apart. At the end the watcher is looked at over a run that nobody is at. The run is
SIMULATED; the store, the watcher and the times are real.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import pty
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import threading
import time
from pathlib import Path

from swarm.testing.staged import Script, Stage

_EACH = 3  # events of a slice: a call is begun, it is finished, and a report comes
_TICK_SECONDS = 0.1
_SETTLE_SECONDS = 4.0


async def staged(path: Path, events: int, seconds: float) -> None:
    """Write a run into a store, at so many events a second."""
    slices = int(events * seconds / _EACH) + 64
    script = Script(findings=slices, each=1, places=32, seconds=0.05, begun=time.time())
    async with Stage(path, script) as stage:
        await stage.open()
        print("open", flush=True)
        await asyncio.to_thread(sys.stdin.readline)
        cpu, begun, done = time.process_time(), time.monotonic(), 0
        while (went := time.monotonic() - begun) < seconds:
            stage.now = time.time()
            done += await stage.work(max(0, int(went * events / _EACH) - done))
            await asyncio.sleep(_TICK_SECONDS)
        print(f"{time.process_time() - cpu:.3f} {done * _EACH / (time.monotonic() - begun):.0f}", flush=True)
        await asyncio.to_thread(sys.stdin.readline)


def cpu_of(pid: int) -> float:
    """Seconds of processor time that a process has had."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Terminal:
    """`swarm watch` on a terminal of its own, of which the output is thrown away."""

    def __init__(self, store: Path) -> None:
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 48, 160, 0, 0))
        command = [str(Path(sys.executable).parent / "swarm"), "watch", "last", "--store", str(store)]
        environment = {**os.environ, "TERM": "xterm-256color"}
        self.process = subprocess.Popen(
            command, stdin=theirs, stdout=theirs, stderr=theirs, env=environment, start_new_session=True
        )
        os.close(theirs)
        self.bytes = 0
        threading.Thread(target=self._drain, args=(ours,), daemon=True).start()

    def _drain(self, ours: int) -> None:
        try:
            while data := os.read(ours, 65_536):
                self.bytes += len(data)
        except OSError:
            return

    def share(self, seconds: float) -> float:
        """The share of a core that it takes for so long."""
        before, begun = cpu_of(self.process.pid), time.monotonic()
        time.sleep(seconds)
        return (cpu_of(self.process.pid) - before) / (time.monotonic() - begun)

    def close(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


def one(folder: Path, events: int, seconds: float, *, watched: bool) -> float:
    """Stage a run, watched or not, and say what was spent; the processor time of the run."""
    store = folder / f"{'watched' if watched else 'alone'}.db"
    run = subprocess.Popen(
        [sys.executable, __file__, "stage", str(store), str(events), str(seconds)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert run.stdin is not None
    assert run.stdout is not None
    run.stdout.readline()
    screen = Terminal(store) if watched else None
    time.sleep(_SETTLE_SECONDS if screen else 0.0)
    run.stdin.write("go\n")
    run.stdin.flush()
    share = screen.share(seconds) if screen else 0.0
    spent, rate = run.stdout.readline().split()
    print(f"{'watched' if watched else 'alone'}: {rate} events a second, {float(spent):.2f} s of processor time")
    if screen:
        print(f"  the watcher: {share:.1%} of a core")
        time.sleep(_SETTLE_SECONDS)
        print(f"  of a live run to which nothing happens: {screen.share(10):.1%} of a core")
    run.stdin.write("end\n")
    run.stdin.flush()
    run.wait()
    if screen:
        time.sleep(_SETTLE_SECONDS)
        print(f"  of a run that nobody is at: {screen.share(20):.1%} of a core")
        screen.close()
    return float(spent)


def main() -> None:
    events = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000
    seconds = float(sys.argv[2]) if len(sys.argv) > 2 else 20.0
    with tempfile.TemporaryDirectory() as folder:
        alone = one(Path(folder), events, seconds, watched=False)
        watched = one(Path(folder), events, seconds, watched=True)
    print(f"the run itself: {watched / alone - 1:+.1%} of its processor time while it is watched")


if __name__ == "__main__":
    if sys.argv[1:2] == ["stage"]:
        asyncio.run(staged(Path(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])))
    else:
        main()
