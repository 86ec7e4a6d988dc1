"""No test reaches a real provider: keys are taken away and only loopback addresses can be connected to. And one
PostgreSQL server for all tests that need one; each test gets a database of its own in it."""

import socket
import subprocess
from collections.abc import Iterator

import pytest

from swarm.testing.postgres import LocalPostgres

_VARIABLES = (
    "ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "ANTHROPIC_BASE_URL", "ANTHROPIC_PROFILE", "OPENAI_API_KEY",
    "OPENAI_BASE_URL", "OPENAI_ORG_ID", "OPENAI_PROJECT_ID", "LANGSMITH_API_KEY", "LANGCHAIN_TRACING_V2",
    "LANGSMITH_TRACING", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy",
)  # fmt: skip
_connect = socket.socket.connect
_connect_ex = socket.socket.connect_ex
_getaddrinfo = socket.getaddrinfo
_HERE = ("127.", "::1", "localhost")


class OutsideWorld(RuntimeError):
    """A test tried to leave this machine."""


def _checked(address: object) -> None:
    if isinstance(address, tuple) and not str(address[0]).startswith(_HERE):
        raise OutsideWorld(f"a test tried to connect to {address[0]}:{address[1]}")


@pytest.fixture(autouse=True)
def _no_outside_world(monkeypatch: pytest.MonkeyPatch) -> None:
    def connect(self, address):
        _checked(address)
        return _connect(self, address)

    def connect_ex(self, address):
        _checked(address)
        return _connect_ex(self, address)

    def getaddrinfo(host, *args, **kwargs):
        name = host.decode() if isinstance(host, bytes) else host
        if name and not name.startswith((*_HERE, "0.0.0.0")):
            raise OutsideWorld(f"a test tried to look up {name}")
        return _getaddrinfo(host, *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    monkeypatch.setattr(socket.socket, "connect", connect)
    monkeypatch.setattr(socket.socket, "connect_ex", connect_ex)
    for name in _VARIABLES:
        monkeypatch.delenv(name, raising=False)
    # the SDK would otherwise find a profile in the home of whoever runs the tests
    monkeypatch.setenv("ANTHROPIC_CONFIG_DIR", "/nonexistent")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say in one line what was not tried because there is no browser."""
    missed = [one for one in terminalreporter.getreports("skipped") if "no chromium" in str(one.longrepr)]
    if missed:
        told = f"{len(missed)} tests in a browser were skipped: there is no chromium (apt-get install chromium)"
        terminalreporter.write_line(told)


@pytest.fixture(scope="session")
def postgres() -> Iterator[LocalPostgres]:
    server = LocalPostgres()
    try:
        server.__enter__()
    except (LookupError, OSError, subprocess.SubprocessError, ImportError) as error:
        pytest.skip(str(error))
    yield server
    server.__exit__(None, None, None)
