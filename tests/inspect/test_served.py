"""The page of a run over HTTP: who may see it, what is told to whom, and that it goes on with the run."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import threading
from base64 import b64encode
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx2
import pytest

from swarm.errors import NoSuchRun
from swarm.history import forget
from swarm.inspect.data import ENDPOINTS
from swarm.inspect.look import Look
from swarm.inspect.opened import open_run
from swarm.inspect.page.served import LISTENERS, serve
from swarm.testing.staged import HOSTILE, Script, Stage, staged

TOKEN = "a-token-that-nobody-guesses"


@contextmanager
def served(path: Path) -> Iterator[str]:
    """The address of a server that shows the last run of a store, on a thread with a loop of its own."""
    begun, loops = threading.Event(), []
    ended = asyncio.Event()

    async def serving(look: Look, listening: socket.socket) -> None:
        loops.append(asyncio.get_running_loop())
        await serve(look, listening, TOKEN, ended, begun.set)

    with open_run("last", path) as opened, socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=lambda: asyncio.run(serving(Look(opened), listening)))
        thread.start()
        assert begun.wait(20)
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            loops[0].call_soon_threadsafe(ended.set)
            thread.join(20)
            assert not thread.is_alive()


@pytest.fixture(scope="module")
def page(mills: Path) -> Iterator[str]:
    with served(mills) as url:
        yield url


@pytest.fixture(scope="module")
def client() -> Iterator[httpx2.Client]:
    with httpx2.Client(verify=False) as one:  # loopback: certificates take long to load
        yield one


KNOWN = {"Authorization": f"Bearer {TOKEN}"}


def refused(reply: httpx2.Response, status: int) -> bool:
    """Whether a reply is one clear line, and nothing else."""
    said = reply.json()
    assert reply.status_code == status, said
    assert list(said) == ["error"]
    assert "\n" not in said["error"]
    assert reply.headers["content-type"] == "application/json"
    assert TOKEN not in reply.text
    return True


def test_the_token_in_the_address_becomes_a_cookie_that_is_all_one_needs(page: str, client: httpx2.Client) -> None:
    entered = client.get(f"{page}/?token={TOKEN}")
    assert (entered.status_code, entered.headers["location"], entered.text) == (303, "/", "")
    cookie = entered.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    name = f"swarm_view_{page.rpartition(':')[2]}"
    given = {"Cookie": f"other=1; {name}={TOKEN}"}
    assert client.get(page, headers=given).text.startswith("<!doctype html>")
    assert client.get(f"{page}/api/overview", headers=given).json()["run"] == "staged"
    client.cookies.clear()


def test_without_the_token_nothing_is_told_not_even_what_there_is(page: str, client: httpx2.Client) -> None:
    name = f"swarm_view_{page.rpartition(':')[2]}"
    brought: list[dict[str, Any]] = [
        {}, {"Authorization": "Bearer x"}, {"Authorization": TOKEN}, {"Cookie": f"{name}=x"},
        {"Cookie": f"swarm_view={TOKEN}"}, {"Authorization": b"Bearer \xff"},
    ]  # fmt: skip
    for headers in brought:
        assert refused(client.get(f"{page}/api/overview", headers=headers), 401)
    for path in ("/", "/api/changes", "/api/nothing", "/nothing", f"/api/overview?token={TOKEN}"):
        assert refused(client.get(f"{page}{path}"), 401)
    assert refused(client.get(f"{page}/?token=x"), 401)
    assert refused(client.get(f"{page}/?token="), 401)


@pytest.mark.parametrize("host", ["example.org", "127.0.0.1.example.org", "192.168.1.4", "0.0.0.0", "[::", ""])
def test_a_name_that_is_not_this_machines_own_is_turned_away(page: str, client: httpx2.Client, host: str) -> None:
    for path in ("/", "/api/overview", f"/?token={TOKEN}"):
        assert refused(client.get(f"{page}{path}", headers={**KNOWN, "Host": host}), 403)


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:1", "127.0.0.1:9", "127.1.2.3", "[::1]:80"])
def test_a_tunnel_from_another_port_or_name_of_this_machine_is_let_in(
    page: str, client: httpx2.Client, host: str
) -> None:
    assert client.get(f"{page}/api/overview", headers={**KNOWN, "Host": host}).status_code == 200


def test_a_page_of_another_place_or_port_may_not_ask_even_with_the_cookie(
    page: str, client: httpx2.Client
) -> None:
    for site in ("cross-site", "same-site"):
        reply = client.get(f"{page}/api/overview", headers={**KNOWN, "Sec-Fetch-Site": site})
        assert refused(reply, 403)
    for origin in ("http://example.org", "null", "http://127.0.0.1:9"):
        reply = client.get(f"{page}/api/overview", headers={**KNOWN, "Origin": origin})
        assert refused(reply, 403)
        assert "access-control-allow-origin" not in reply.headers
    assert client.get(f"{page}/api/overview", headers={**KNOWN, "Origin": page}).status_code == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "HEAD", "PATCH"])
def test_nothing_but_get_is_answered(page: str, client: httpx2.Client, method: str) -> None:
    reply = client.request(method, f"{page}/api/overview", headers=KNOWN)
    assert (reply.status_code, reply.headers["allow"]) == (405, "GET")


def test_every_reply_is_for_the_page_alone_and_kept_nowhere(page: str, client: httpx2.Client) -> None:
    replies = [
        client.get(f"{page}{path}", headers=headers)
        for path, headers in (("/", KNOWN), ("/api/overview", KNOWN), ("/api/node?id=zz", KNOWN), ("/", {}),
                              (f"/?token={TOKEN}", {}))
    ]  # fmt: skip
    for reply in replies:
        assert reply.headers["cache-control"] == "no-store"
        assert reply.headers["x-content-type-options"] == "nosniff"
        assert reply.headers["referrer-policy"] == "no-referrer"
        assert reply.headers["x-frame-options"] == "DENY"
        assert reply.headers["cross-origin-resource-policy"] == "same-origin"
        assert "frame-ancestors 'none'" in reply.headers["content-security-policy"]
        assert "server" not in reply.headers


def test_the_policy_lets_the_pages_own_script_and_style_run_and_nothing_else(
    page: str, client: httpx2.Client
) -> None:
    reply = client.get(page, headers=KNOWN)
    policy = reply.headers["content-security-policy"]
    for tag, kind in (("script", "script-src"), ("style", "style-src")):
        (text,) = re.findall(f"<{tag}>(.*?)</{tag}>", reply.text, re.DOTALL)
        hashed = b64encode(sha256(text.encode()).digest()).decode()
        assert f"{kind} 'sha256-{hashed}';" in policy
    assert policy.startswith("default-src 'none';")
    assert "connect-src 'self'" in policy
    assert policy.removesuffix("; frame-ancestors 'none'") in reply.text


def test_what_is_asked_wrongly_is_told_in_one_line(page: str, client: httpx2.Client) -> None:
    for path, status, said in (
        ("node", 400, "id: field required"),
        ("nodes?limit=many", 400, "limit: input should be a valid integer"),
        ("timeline?from=then", 400, "from: input should be a valid number"),
        ("node?id=zz", 404, "no node"),
        ("slice?id=zz", 404, "no slice"),
        ("nodes?kind=thing", 404, "no nodes of the kind"),
        ("nothing", 404, "nothing is at /api/nothing"),
        ("overview/", 404, "nothing is at /api/overview/"),
        ("nodes?q=" + "x" * 10_000, 414, "longer than"),
    ):
        reply = client.get(f"{page}/api/{path}", headers=KNOWN)
        assert refused(reply, status)
        assert said in reply.json()["error"]


def test_each_endpoint_is_there_and_tells_what_its_function_tells(
    page: str, client: httpx2.Client, mills: Path
) -> None:
    with open_run("last", mills) as opened:
        look = Look(opened)
        finding = look.graph.best(1)[0]
        asked: dict[str, dict[str, Any]] = {
            "nodes": {"q": "mill 30", "limit": 3},
            "node": {"id": finding.id},
            "source": {"id": finding.evidence[0].source, "at": 100},
            "slice": {"id": next(iter(look.fresh().plan.slices))},
            "call": {"key": look.follower.calls.keys[3].hex()},
            "timeline": {"from": look.follower.begun + 1},
            "calls": {"failed": "1"},
            "disputes": {"all": 1},
        }
        for name, endpoint in ENDPOINTS.items():
            given = asked.get(name, {})
            reply = client.get(f"{page}/api/{name}", params=given, headers=KNOWN)
            told = endpoint(look, **{"from_" if one == "from" else one: value for one, value in given.items()})
            assert {**reply.json(), "now": 0} == {**told, "now": 0}, name


@pytest.mark.parametrize("number", ["nan", "inf", "-inf", "1e400", "-1", "0", "9" * 400])
def test_no_number_breaks_a_reply(page: str, client: httpx2.Client, number: str) -> None:
    for path in (
        "timeline?from=",
        "timeline?to=",
        "nodes?offset=",
        "nodes?limit=",
        "source?id=x&at=",
        "calls?offset=",
    ):
        reply = client.get(f"{page}/api/{path}{number}", headers=KNOWN)
        assert reply.status_code in (200, 400, 404), reply.text
        assert "NaN" not in reply.text


def events(lines: Iterator[str]) -> Iterator[tuple[str, Any]]:
    name = ""
    for line in lines:
        if line.startswith("event: "):
            name = line.removeprefix("event: ")
        elif line.startswith("data: "):
            yield name, json.loads(line.removeprefix("data: "))


async def test_whoever_listens_hears_of_a_live_run_and_of_the_end_of_the_server(tmp_path: Path) -> None:
    path = tmp_path / "swarm.db"
    heard: list[tuple[str, Any]] = []
    first, second = threading.Event(), threading.Event()

    def listen(url: str) -> None:
        with (
            httpx2.Client(verify=False) as client,
            client.stream("GET", f"{url}/api/changes", headers=KNOWN) as reply,
        ):
            assert reply.headers["content-type"].startswith("text/event-stream")
            for event in events(reply.iter_lines()):
                heard.append(event)
                (second if first.is_set() else first).set()

    async with Stage(path, Script(findings=100)) as stage:
        await stage.open()
        with served(path) as url:
            listener = threading.Thread(target=listen, args=(url,))
            listener.start()
            assert await asyncio.to_thread(first.wait, 10)
            await stage.work(2)
            await stage.begin_call(3)
            assert await asyncio.to_thread(second.wait, 10)
        await asyncio.to_thread(listener.join, 10)
        assert not listener.is_alive()
    names = [name for name, _ in heard]
    assert names == ["change"] * (len(heard) - 1) + ["end"]
    before, after = heard[0][1], heard[-2][1]
    assert after["version"] > before["version"]
    assert (before["slices"]["ready"], after["slices"]["running"], after["places"]) == (5, 1, {"busy": 1, "of": 8})
    assert after["latest"][0]["claim"].startswith("Mill 20")
    assert after["spent"]["calls"] == before["spent"]["calls"] + 2


def test_who_knows_what_there_is_hears_nothing_until_it_changes(page: str, client: httpx2.Client) -> None:
    known = client.get(f"{page}/api/overview", headers=KNOWN).json()["version"]
    address = f"{page}/api/changes?version={known}"
    with client.stream("GET", address, headers=KNOWN, timeout=0.5) as reply, pytest.raises(httpx2.ReadTimeout):
        pytest.fail(f"heard {next(events(reply.iter_lines()))}")


def test_of_many_who_listen_at_once_those_beyond_the_most_are_told_so(mills: Path, client: httpx2.Client) -> None:
    asked = f"GET /api/changes HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {TOKEN}\r\n\r\n".encode()
    with served(mills) as url, ExitStack() as stack:
        port = int(url.rpartition(":")[2])
        listeners = []
        for _ in range(LISTENERS + 3):
            listeners.append(stack.enter_context(socket.create_connection(("127.0.0.1", port))))
            listeners[-1].sendall(asked)
        heard = [_until(one, b"}\n\n") for one in listeners]
        assert sum(b"event: change" in one for one in heard) == LISTENERS
        assert sum(b"64 pages listen already" in one for one in heard) == 3
        for one in listeners:
            one.close()
        with client.stream("GET", f"{url}/api/changes", headers=KNOWN) as reply:  # they made room
            for name, _ in events(reply.iter_lines()):
                assert name == "change"
                break


def _until(connection: socket.socket, said: bytes) -> bytes:
    connection.settimeout(10)
    heard = b""
    while said not in heard and (more := connection.recv(65_536)):
        heard += more
    return heard


async def test_a_run_that_is_forgotten_is_not_shown_from_memory(tmp_path: Path) -> None:
    path, now = tmp_path / "swarm.db", [0.0]
    await staged(path, Script(findings=40))
    with open_run("last", path) as opened:
        look = Look(opened, watch=lambda: now[0])
        assert ENDPOINTS["plan"](look)["total"] == 0
        await forget("staged", path)
        now[0] += 60
        for name in ("overview", "plan", "calls", "timeline"):
            with pytest.raises(NoSuchRun, match="somebody had it forgotten"):
                ENDPOINTS[name](look)


def test_hostile_text_is_data_that_no_browser_takes_for_markup(hostile: Path, client: httpx2.Client) -> None:
    with served(hostile) as url:
        reply = client.get(f"{url}/api/nodes?limit=1", headers=KNOWN)
    assert HOSTILE in reply.json()["rows"][0]["text"]
    assert reply.headers["content-type"] == "application/json"
    assert "<" not in reply.text
    assert "\x1b" not in reply.text
