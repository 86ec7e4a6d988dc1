"""Train in the time that is allowed, and measure what was learnt. Not to be changed by experiments.

`train.py` runs as a process of its own. All that comes back of it are arrays: a table of characters, one hidden
layer or more, and a layer of scores. What they predict of the held-out text is worked out here, so nothing that
`train.py` prints or patches is taken for the metric. The time is processor time, so that experiments side by
side are comparable.
"""

import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

import data
import numpy as np

SECONDS = float(os.environ.get("EXPERIMENT_SECONDS", "2"))
START = 1.5  # seconds to start Python, on top
PARAMETERS = 2_000_000


def train(path: Path) -> None:
    """Run `train.py`, which writes what it learnt to `path`."""
    alone = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    command = [sys.executable, str(Path(__file__).with_name("train.py")), str(path)]
    done = subprocess.run(  # noqa: S603 - a fixed command, which the sandbox confines
        command, env={**os.environ, **alone}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    took = used.ru_utime + used.ru_stime
    if done.returncode:
        sys.exit(done.stdout.decode("utf-8", "replace")[-2_000:] + f"\ntrain.py failed: exit {done.returncode}")
    if took > SECONDS + START:
        sys.exit(f"train.py took {took:.1f} s of processor time: {SECONDS:g} s are allowed")


def loss(path: Path) -> float:
    """The mean loss on the held-out text in nats a character, of what was learnt."""
    with np.load(path, allow_pickle=False) as saved:
        learnt = {name: saved[name] for name in saved.files}
    if sum(one.size for one in learnt.values()) > PARAMETERS:
        sys.exit(f"more than {PARAMETERS:,} parameters")
    layers = sum(name.startswith("w") for name in learnt)
    embed, activation = learnt["embed"].astype(np.float64), str(learnt["activation"])
    context = learnt["w1"].shape[0] // embed.shape[1]
    _, text = data.load()
    at = np.arange(context, len(text))
    values = embed[text[at[:, None] + np.arange(-context, 0)]].reshape(len(at), -1)
    for layer in range(1, layers + 1):
        values = values @ learnt[f"w{layer}"] + learnt[f"b{layer}"]
        if layer < layers:
            values = np.tanh(values) if activation == "tanh" else np.maximum(values, 0)
    values -= values.max(1, keepdims=True)
    return float((np.log(np.exp(values).sum(1)) - values[np.arange(len(at)), text[at]]).mean())


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "learnt.npz"
        train(path)
        print(f"val_loss: {loss(path):.5f}")


if __name__ == "__main__":
    main()
