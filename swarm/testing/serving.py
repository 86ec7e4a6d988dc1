"""An endpoint in a process of its own, as `swarm serve` starts it, for the length of a `with` block.

    with Provider() as provider, Serving("openai:any", provider.openai_url) as endpoint:
        client = OpenAI(base_url=endpoint.openai_url, api_key=endpoint.token)

This module starts the command and reads what it prints; it knows nothing of what is served.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

TOKEN = "a-token-for-tests-0123456789"  # noqa: S105  # of a server that lives for a test
_SECONDS = 30.0


class Serving:
    """`swarm serve` with that model and these options, without the dashes of the first: `Serving("extractive",
    options=["--window", "8000"])`. `key` is what the provider behind wants; `log` takes the lines of stderr."""

    def __init__(
        self,
        model: str = "extractive",
        base_url: str | None = None,
        *,
        store: Path | str,
        options: Sequence[str] = (),
        key: str = "a-key-for-tests-0123456789",
        token: str = TOKEN,
        environment: Mapping[str, str] | None = None,
        log: Path | None = None,
    ) -> None:
        self.token = token
        self.url = ""
        self.lines: list[str] = []
        """What it printed when it began."""
        where = ["--base-url", base_url] if base_url else []
        self._command = [
            sys.executable, "-m", "swarm", "serve", "--model", model, *where, "--port", "0", "--store", str(store),
            *options,
        ]  # fmt: skip
        keys = {"OPENAI_API_KEY": key, "ANTHROPIC_API_KEY": key, "SWARM_SERVE_TOKEN": token}
        self._environment = {**os.environ, **keys, **(environment or {})}
        self._log = log

    @property
    def openai_url(self) -> str:
        """The base URL that OpenAI's SDK wants; `url` is Anthropic's."""
        return f"{self.url}/v1"

    @property
    def process(self) -> subprocess.Popen[str]:
        return self._process

    def __enter__(self) -> Self:
        errors = self._log.open("w") if self._log is not None else None
        try:
            self._process = subprocess.Popen(  # noqa: S603  # this very program
                self._command, env=self._environment, stdout=subprocess.PIPE, stderr=errors, text=True
            )
        finally:
            if errors is not None:
                errors.close()
        assert self._process.stdout is not None
        first = self._process.stdout.readline()
        if " at http" not in first:
            self._process.communicate()
            raise RuntimeError(f"the endpoint did not begin: {first!r}")
        self.url = first.split()[-1]
        self.lines = [first, self._process.stdout.readline()]
        return self

    def kill(self) -> None:
        """End it as a power cut would."""
        self._process.kill()
        self._process.communicate()

    def stop(self) -> int:
        """Tell it to end, and wait until it has. Its exit code."""
        self._process.terminate()
        self._process.communicate(timeout=_SECONDS)
        return self._process.returncode

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.communicate(timeout=_SECONDS)
            except subprocess.TimeoutExpired:
                self.kill()
        elif self._process.stdout is not None:
            self._process.stdout.close()
