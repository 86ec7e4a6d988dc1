"""What is logged, where it goes, and what never gets there."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from collections.abc import Iterator

import pytest

from swarm.observe import log

SECRETS = [
    "sk-proj-abcDEF0123456789abcDEF",
    "sk-ant-api03-abc_DEF-0123456789",
    "AKIAIOSFODNN7EXAMPLE",
    "ghp_0123456789abcdefghijABCDEFGHIJ012345",
    "github_pat_11ABCDEFG0123456789_abcdefghijklmnop",
    "AIzaSyA0123456789abcdefghijklmnopqrstuv",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N",
    "a key of no known form, 4711",
]


@pytest.fixture
def lines(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Logging as the command line sets it up; the list is filled by `captured`."""
    root, own = logging.getLogger(), logging.getLogger("swarm")
    before = (root.handlers[:], root.level, own.level)
    monkeypatch.setenv("ODD_API_KEY", SECRETS[-1])
    log.to_stderr(level=logging.DEBUG)
    found: list[str] = []
    yield found
    root.handlers[:], root.level, own.level = before


def captured(capsys: pytest.CaptureFixture[str]) -> str:
    out, err = capsys.readouterr()
    assert out == ""
    for line in err.splitlines():
        assert isinstance(json.loads(line), dict)
    return err


@pytest.mark.parametrize("secret", SECRETS)
def test_no_secret_reaches_the_log_wherever_it_hides(
    secret: str, lines: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    logger = log.get_logger("test")
    logger.info(f"event {secret}")
    logger.info("key", api_key=secret, headers={"Authorization": f"Bearer {secret}", "x": [1, (secret,)]})
    logger.info("nested", payload={"deep": [{"deeper": {"text": f"before {secret} after"}}]})
    logger.info("in a key", found={secret: 1})
    logger.info("bytes", body=secret.encode())
    logger.info("object", error=ValueError(secret), other={secret})
    logger.info("positional %s", secret)
    logger.bind(session_token=secret).warning("bound")
    try:
        raise RuntimeError(f"refused: {secret}")
    except RuntimeError:
        logger.exception("raised")
    logging.getLogger("another.library").warning("leaks %s", secret)
    text = captured(capsys)
    assert secret not in text
    assert len(text.splitlines()) == 10
    assert text.count(log.HIDDEN) >= 10


def test_passwords_in_addresses_and_queries_are_hidden() -> None:
    text = "https://anna:hunter22@example.org/v1?api_key=0123abcd&page=2"
    assert log.redact_text(text) == f"https://{log.HIDDEN}@example.org/v1?{log.HIDDEN}&page=2"


def test_a_private_key_is_hidden_whole() -> None:
    key = "-----BEGIN RSA PRIVATE KEY-----\nMIIEow\nIBAAK\n-----END RSA PRIVATE KEY-----"
    assert log.redact_text(f"a {key} b") == f"a {log.HIDDEN} b"


def test_counts_and_ordinary_words_are_kept(lines: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    log.get_logger("test").info(
        "settled", input_tokens=12, max_tokens=5, model="anthropic:claude", key=None, cost_usd=0.5
    )
    record = json.loads(captured(capsys))
    assert record["input_tokens"] == 12
    assert record["max_tokens"] == 5
    assert record["model"] == "anthropic:claude"
    assert record["event"] == "settled"
    assert record["level"] == "info"
    assert record["logger"] == "swarm.test"
    assert log.HIDDEN not in json.dumps(record)


def test_a_short_value_in_the_environment_does_not_blot_out_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCAL_API_KEY", "none")
    assert log.redact_text("none of it") == "none of it"


def test_nothing_is_written_until_a_program_asks() -> None:
    script = "from swarm.observe import log\nlog.get_logger('test').error('boom', why='x')"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "")


def test_importing_the_module_imports_no_logging_library() -> None:
    script = "import sys, swarm.observe.log\nprint('structlog' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("postgresql://me:p@ss/w:rd@host:5432/db?x=1", "postgresql://[redacted]@host:5432/db?x=1"),
        ("postgresql://me:pw@a:1,b:2/db?password=zzz&n=1", "postgresql://[redacted]@a:1,b:2/db?[redacted]&n=1"),
        ("http://only-a-token@127.0.0.1/v1", "http://[redacted]@127.0.0.1/v1"),
        ("host=h password='a b\\' c' dbname=x", "host=h [redacted] dbname=x"),
        ("http://h:8080/a@b.org and mail@b.org", "http://h:8080/a@b.org and mail@b.org"),
        ("http://h/?page=2&monkey=3", "http://h/?page=2&monkey=3"),
        ("basic principles, Basic authentication", "basic principles, Basic authentication"),
        ("Authorization: Basic dXNlcjpwYXNz", "Authorization: [redacted]"),
    ],
)
def test_an_address_is_shown_without_its_secrets_and_otherwise_as_it_is(text: str, shown: str) -> None:
    assert log.redact_text(text) == shown


def test_the_password_in_an_address_of_the_environment_is_known_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://me:a%2Flong%2Fpassword@proxy:3128")
    assert (
        log.redact_text("refused: a/long/password (a%2Flong%2Fpassword)")
        == f"refused: {log.HIDDEN} ({log.HIDDEN})"
    )


def test_a_key_that_was_given_otherwise_can_be_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log, "_hidden", set())
    log.hide("given from Python")
    log.hide("short")
    log.hide(None)
    assert log.redact_text("it was given from Python, in short") == f"it was {log.HIDDEN}, in short"


def test_a_record_that_cannot_be_written_is_told_of_without_what_it_held(
    lines: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    (handler,) = (one for one in logging.getLogger().handlers if type(one).__module__ == log.__name__)
    handler.handle(logging.LogRecord("another", logging.WARNING, "x.py", 1, "leaks %d", (SECRETS[-1],), None))
    text = captured(capsys)
    assert SECRETS[-1] not in text
    assert "could not be written" in text
