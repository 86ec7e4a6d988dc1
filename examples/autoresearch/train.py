"""Learn to predict the next character of a text, in a fixed time. This is the file that experiments change.

A small network looks at the last few characters. It begins poorly on purpose: nearly every constant can be
bettered. What it learnt is written to the file that the command line names, as arrays; `evaluate.py` measures
it.
"""

import os
import sys
import time
from typing import Any

import data
import numpy as np
from numpy.typing import NDArray

CONTEXT = 2  # range: 1..16
EMBED = 4  # range: 1..64
HIDDEN = 16  # range: 1..1024
BATCH = 256  # range: 1..4096
LEARNING_RATE = 0.02  # range: 0.0001..10
MOMENTUM = 0.0  # range: 0..0.99
WEIGHT_DECAY = 0.003  # range: 0..1
SCALE = 0.3  # range: 0.001..2
ACTIVATION = "tanh"  # one of: tanh, relu
ANNEAL = False

SECONDS = float(os.environ.get("EXPERIMENT_SECONDS", "2"))
SEED = int(os.environ.get("EXPERIMENT_SEED", "0"))

Weights = dict[str, NDArray[np.floating[Any]]]
Codes = NDArray[np.int64]


def main(path: str) -> None:
    chance = np.random.default_rng(SEED)
    text, _ = data.load()
    letters = len(data.ALPHABET)
    sizes = {
        "embed": (letters, EMBED),
        "w1": (CONTEXT * EMBED, HIDDEN),
        "b1": (HIDDEN,),
        "w2": (HIDDEN, letters),
        "b2": (letters,),
    }
    weights: Weights = {
        name: (SCALE * chance.standard_normal(size)).astype(np.float32) for name, size in sizes.items()
    }
    speeds = {name: np.zeros_like(one) for name, one in weights.items()}
    began = time.process_time()
    while (used := (time.process_time() - began) / SECONDS) < 1:
        at = chance.integers(CONTEXT, len(text), BATCH)
        seen, wanted = text[at[:, None] + np.arange(-CONTEXT, 0)], text[at]
        slopes = gradients(weights, seen, wanted)
        rate = LEARNING_RATE * (1 - used if ANNEAL else 1)
        for name, one in weights.items():
            speeds[name] = MOMENTUM * speeds[name] - rate * (slopes[name] + WEIGHT_DECAY * one)
            one += speeds[name]
    learnt: dict[str, Any] = {**weights, "activation": ACTIVATION}
    np.savez(path, **learnt)


def gradients(weights: Weights, seen: Codes, wanted: Codes) -> Weights:
    """How the mean loss of a batch changes with each weight."""
    given = weights["embed"][seen].reshape(len(seen), -1)
    inner = given @ weights["w1"] + weights["b1"]
    hidden = np.tanh(inner) if ACTIVATION == "tanh" else np.maximum(inner, 0)
    scores = hidden @ weights["w2"] + weights["b2"]
    odds = np.exp(scores - scores.max(1, keepdims=True))
    odds /= odds.sum(1, keepdims=True)
    odds[np.arange(len(wanted)), wanted] -= 1
    odds /= len(wanted)
    back = odds @ weights["w2"].T * (1 - hidden**2 if ACTIVATION == "tanh" else hidden > 0)
    embed = np.zeros_like(weights["embed"])
    np.add.at(embed, seen, (back @ weights["w1"].T).reshape(*seen.shape, -1))
    return {"embed": embed, "w1": given.T @ back, "b1": back.sum(0), "w2": hidden.T @ odds, "b2": odds.sum(0)}


if __name__ == "__main__":
    main(sys.argv[1])
