"""A request of ten million tokens before a window of 32k: what the endpoint makes of it, and of the turn after it.

    python tests/bench/unbounded.py --data DIR [--tokens 10000000] [--window 32768] [--out
    bench-results/unbounded.json]

DIR holds novels, as text files in any folders; they are taken in a fixed order, again and again until there are
enough tokens. Between them stand planted facts, at even distances, one of which is asked in each turn. The
endpoint (`swarm serve`) and the provider behind it are processes of their own, and the clients are the SDKs of
OpenAI and Anthropic. The provider is SIMULATED: it reads by matching words, counts tokens in o200k, and refuses
what passes its window. So the answers say nothing of how well a model reads; what is measured is what stands
between a client and a model: that the answer comes, streamed and cited to the character, what is sent for it, and
what it costs here.

Each wire begins with an empty store. Turn 1 sends the novels and a question; turn 2 the same list with the reply
and another question; the branch goes another way after the first turn. `cpu` is that of the endpoint's process,
the model's time is not in it. `peak_rss_mb` is the most that process ever held. Needs `pip install
swarm-memory[bench]`.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from swarm.testing.process import Apart
from swarm.testing.serving import TOKEN, Serving
from swarm.tokens import o200k

FACTS = 40
_PIECE = 20_000  # characters that are counted at once
_MB = 2**20


def fact(number: int) -> tuple[str, str, str]:
    """A sentence that stands nowhere else, a question that it answers, and what the answer has to hold."""
    code = f"QX-{number * 7919 % 100_000:05d}"
    name = f"Veldrath{chr(65 + number % 26)}{chr(97 + number // 26)}"
    return (
        f"The registry number of the {name} lighthouse is {code}.",
        f"What is the registry number of the {name} lighthouse?",
        code,
    )


def material(data: Path, tokens: int) -> tuple[str, int]:
    """Novels with facts between them, and their tokens."""
    files = sorted(path for path in data.rglob("*") if path.suffix in (".md", ".txt") and path.is_file())
    pieces: list[str] = []
    have = planted = 0
    while have < tokens:
        for path in files:
            text = path.read_text("utf-8", "replace")
            for at in range(0, len(text), _PIECE):
                piece = text[at : at + _PIECE]
                have += o200k(piece)
                pieces.append(piece)
                if planted < FACTS and have >= (planted + 0.5) * tokens / FACTS:
                    pieces.append(f"\n\n{fact(planted)[0]}\n\n")
                    planted += 1
                if have >= tokens:
                    return "".join(pieces), have
    return "".join(pieces), have


def peak_mb(here: Serving) -> float:
    """The most memory that the endpoint ever held."""
    status = Path(f"/proc/{here.process.pid}/status").read_text()
    (line,) = (line for line in status.splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


def cpu_seconds(here: Serving) -> float:
    fields = Path(f"/proc/{here.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def endpoint(model: str, base_url: str, window: int, folder: Path) -> Serving:
    options = ["--window", str(window), "--max-output", "2000", "--max-request-bytes", str(256 * _MB)]
    return Serving(model, base_url, store=folder / "s.db", options=options)


@dataclass(frozen=True, kw_only=True)
class Told:
    """What a client got. `citations` are the characters that each leads to, as told and as they stand in the
    request."""

    text: str
    input_tokens: int
    output_tokens: int
    first_seconds: float
    seconds: float
    citations: list[tuple[str, int, int, int]]
    events: int


def by_openai(url: str, messages: list[dict[str, Any]]) -> Told:
    from openai import OpenAI

    began, first, said, found, events = time.monotonic(), 0.0, "", [], 0
    used = None
    with OpenAI(base_url=f"{url}/v1", api_key=TOKEN, timeout=7_200, max_retries=0) as client:
        stream = client.chat.completions.create(
            model="any", messages=messages, stream=True, max_completion_tokens=500,  # type: ignore[arg-type]
            stream_options={"include_usage": True},
        )  # fmt: skip
        for chunk in stream:
            events += 1
            used = chunk.usage or used
            for choice in chunk.choices:
                if choice.delta.content:
                    first = first or time.monotonic() - began
                    said += choice.delta.content
                for one in (choice.delta.model_extra or {}).get("annotations") or ():
                    told = one["url_citation"]
                    where = told["source"]
                    found.append((told["cited_text"], where["turn"], where["start"], where["end"]))
    assert used is not None
    return Told(
        text=said, input_tokens=used.prompt_tokens, output_tokens=used.completion_tokens, first_seconds=first,
        seconds=time.monotonic() - began, citations=found, events=events,
    )  # fmt: skip


def by_anthropic(url: str, messages: list[dict[str, Any]]) -> Told:
    from anthropic import Anthropic

    began, first, events = time.monotonic(), 0.0, 0
    with (
        Anthropic(base_url=url, api_key=TOKEN, timeout=7_200, max_retries=0) as client,
        client.messages.stream(model="any", max_tokens=500, messages=messages) as stream,  # type: ignore[arg-type]
    ):
        for event in stream:
            events += 1
            if event.type == "text":
                first = first or time.monotonic() - began
        made = stream.get_final_message()
    found = [
        (one.cited_text, one.document_index, one.start_char_index, one.end_char_index)
        for block in made.content
        if block.type == "text"
        for one in block.citations or ()
        if one.type == "char_location"
    ]
    text = "".join(block.text for block in made.content if block.type == "text")
    cached = (made.usage.cache_read_input_tokens or 0) + (made.usage.cache_creation_input_tokens or 0)
    used = made.usage.input_tokens + cached
    return Told(
        text=text, input_tokens=used, output_tokens=made.usage.output_tokens,
        first_seconds=first, seconds=time.monotonic() - began, citations=found, events=events,
    )  # fmt: skip


_WIRES = {
    "chat": ("openai-chat:gpt-oss-120b", "/v1", by_openai),
    "messages": ("anthropic:any", "", by_anthropic),
}


def exact(told: Told, messages: list[dict[str, Any]]) -> bool:
    """Whether each citation leads to the characters that it tells."""
    return all(messages[turn]["content"][start:end] == quote for quote, turn, start, end in told.citations)


def turn(
    name: str, messages: list[dict[str, Any]], number: int, wire: str, here: Serving, provider: Apart
) -> dict[str, Any]:
    """Send a conversation, and what came of it."""
    _, _, ask = _WIRES[wire]
    before, cpu = provider.counts(), cpu_seconds(here)
    told = ask(here.url, messages)
    after = provider.counts()
    sentence, _, code = fact(number)
    row = {
        "turn": name,
        "wire": wire,
        "answered": code in told.text,
        "cited": any(sentence in quote for quote, *_ in told.citations),
        "exact": exact(told, messages) and bool(told.citations),
        "calls": after["requests"] - before["requests"],
        "provider_input_tokens": after["input_tokens"] - before["input_tokens"],
        "usage_input_tokens": told.input_tokens,
        "first_seconds": round(told.first_seconds, 2),
        "seconds": round(told.seconds, 2),
        "cpu_seconds": round(cpu_seconds(here) - cpu, 2),
        "events": told.events,
        "peak_rss_mb": round(peak_mb(here)),
        "refused": after["outcomes"].get("error", 0) - before["outcomes"].get("error", 0),
        "repeats": after["repeats"],
    }
    sys.stdout.write(json.dumps(row) + "\n")
    sys.stdout.flush()
    messages.append({"role": "assistant", "content": told.text})
    return row


def measured(wire: str, text: str, window: int, latency: float) -> list[dict[str, Any]]:
    model, path, _ = _WIRES[wire]
    with (
        tempfile.TemporaryDirectory() as folder,
        Apart(window=window, latency=latency, dialect="openai" if path else "anthropic") as provider,
        endpoint(model, provider.url + path, window, Path(folder)) as here,
    ):
        idle = peak_mb(here)
        asked = [FACTS // 3, FACTS - 2, 2]
        messages = [{"role": "user", "content": f"{text}\n\n{fact(asked[0])[1]}"}]
        rows = [turn("1", messages, asked[0], wire, here, provider)]
        messages.append({"role": "user", "content": fact(asked[1])[1]})
        rows.append(turn("2", messages, asked[1], wire, here, provider))
        branch = [messages[0], {"role": "assistant", "content": "I see."}]
        branch.append({"role": "user", "content": fact(asked[2])[1]})
        rows.append(turn("branch", branch, asked[2], wire, here, provider))
        for row in rows:
            row["idle_rss_mb"] = round(idle)
        rows[0]["store_mb"] = round(sum(file.stat().st_size for file in Path(folder).iterdir()) / _MB)
    return rows


def wrong_with(rows: list[dict[str, Any]]) -> list[str]:
    """What does not hold that has to."""
    found = []
    for row in rows:
        where = f"{row['wire']}, turn {row['turn']}"
        found += [f"{where}: not {what}" for what in ("answered", "cited", "exact") if not row[what]]
        if row["refused"] or row["repeats"]:
            found.append(f"{where}: {row['refused']} requests were refused, {row['repeats']} sent again")
        if row["turn"] != "1" and row["calls"] != 1:
            found.append(f"{where}: {row['calls']} calls where one was to be")
        if row["turn"] != "1" and row["provider_input_tokens"] != row["usage_input_tokens"]:
            found.append(f"{where}: the usage told is not what the provider counted")
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--tokens", type=int, default=10_000_000)
    parser.add_argument("--window", type=int, default=32_768)
    parser.add_argument(
        "--latency", type=float, default=0.0, help="seconds of each call of the simulated provider"
    )
    parser.add_argument("--wires", nargs="+", choices=sorted(_WIRES), default=sorted(_WIRES))
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    text, tokens = material(given.data, given.tokens)
    sys.stdout.write(f"{tokens:,} tokens, {len(text):,} characters, {len(text.encode()) / _MB:.1f} MB\n")
    rows = [row for wire in given.wires for row in measured(wire, text, given.window, given.latency)]
    wrong = wrong_with(rows)
    if given.out is not None:
        given.out.parent.mkdir(parents=True, exist_ok=True)
        facts = {"tokens": tokens, "chars": len(text), "window": given.window, "latency": given.latency}
        machine = {"python": platform.python_version(), "cpus": os.cpu_count()}
        given.out.write_text(json.dumps({**facts, **machine, "rows": rows}, indent=1))
    sys.stdout.write("".join(f"WRONG {line}\n" for line in wrong))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
