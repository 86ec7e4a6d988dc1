"""Commands that mean harm: what a sub-agent whose instructions come from elsewhere might try.

Each runs as a script that attempts something and prints what it got. What it is after is a word that is made
for the test, and where it could fail for another reason, the same attempt is shown to succeed where it is allowed.
"""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

import pytest

from swarm.equipment import Bounds, Ran, ToolFailed
from swarm.workspace.bubblewrap import Bubblewrap, Unavailable
from swarm.workspace.unconfined import Unconfined

BOUNDS = Bounds(seconds=60)


@pytest.fixture
def box() -> Bubblewrap:
    try:
        return Bubblewrap()
    except Unavailable as problem:
        pytest.skip(str(problem))


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """The worktree of the attacker."""
    folder = tmp_path / "worktrees" / "own"
    folder.mkdir(parents=True)
    return folder


@pytest.fixture
def secret() -> str:
    return f"secret-{uuid4().hex}"


async def shell(box: Bubblewrap | Unconfined, folder: Path, script: str, **more) -> Ran:
    options = {"writable": [folder], "bounds": BOUNDS, **more}
    return await box.run(["sh", "-c", script], folder=folder, **options)


async def python(box: Bubblewrap | Unconfined, folder: Path, script: str, **more) -> Ran:
    options = {"writable": [folder], "bounds": BOUNDS, **more}
    return await box.run(["python", "-c", script], folder=folder, **options)


async def test_files_outside_are_not_read_by_any_way(
    box: Bubblewrap, own: Path, tmp_path: Path, secret: str
) -> None:
    other = own.parent / "other"
    other.mkdir()
    for place in (other / "work.py", tmp_path / "runs.db"):
        place.write_text(secret)
    (own / "link").symlink_to(tmp_path / "runs.db")
    (own / "up").symlink_to("..")
    attempts = (
        f"cat {other}/work.py {tmp_path}/runs.db ../other/work.py link up/other/work.py "
        f"/proc/1/root{tmp_path}/runs.db /proc/self/root{tmp_path}/runs.db /proc/1/cwd{tmp_path}/runs.db; "
        f"ls {tmp_path} {own.parent} | grep -E '^(other|runs)'; "
        f"grep -rs {secret} / --include=runs.db --include=work.py --exclude-dir=proc --exclude-dir=usr; true"
    )
    assert secret in (await shell(Unconfined(), own, f"cat {tmp_path}/runs.db ../other/work.py link")).output
    ran = await shell(box, own, attempts)
    assert secret not in ran.output
    assert not {"other", "runs.db"} & set(ran.output.splitlines())


async def test_the_home_and_the_secrets_of_the_system_are_not_there(box: Bubblewrap, own: Path) -> None:
    names = (
        "/etc/shadow /etc/ssh /root/.ssh /root/.bashrc /home /var /run /sys /mnt /etc/machine-id /etc/gitconfig"
    )
    script = f"for name in {names} {Path.home()}/.profile; do test -e $name && echo $name; done; true"
    ran = await shell(box, own, script)
    assert (ran.exit, ran.output) == (0, "")
    assert "root:" not in (await shell(box, own, "cat /etc/passwd /etc/group")).output


async def test_nothing_is_written_outside(box: Bubblewrap, own: Path, tmp_path: Path) -> None:
    (own / "out").symlink_to(tmp_path)
    places = ["/x", "/etc/x", "/usr/x", "/usr/bin/x", "/dev/x", f"{sys.prefix}/bin/x", f"{sys.prefix}/lib/x"]
    inside_tmp = [f"{tmp_path}/x", "../x", "out/x"]  # its own /tmp: what is put there is not kept
    script = f"for it in {' '.join(places + inside_tmp)}; do (echo bad > $it) 2>/dev/null && echo $it; done; true"
    ran = await shell(box, own, script)
    assert not set(places) & set(ran.output.split())
    assert not [
        place for place in (tmp_path / "x", own.parent / "x", Path(sys.prefix, "bin", "x")) if place.exists()
    ]


async def test_readable_paths_are_read_and_not_written(box: Bubblewrap, own: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "set.csv").write_text("1,2\n")
    script = f"cat {data}/set.csv; echo bad > {data}/set.csv; rm -f {data}/set.csv; mv {data} {data}-moved; true"
    ran = await shell(box, own, script, readable=[data])
    assert ran.output.startswith("1,2\n")
    assert (data / "set.csv").read_text() == "1,2\n"


@pytest.mark.parametrize("order", ["readable below writable", "writable below readable"])
async def test_of_folders_within_each_other_the_deeper_one_says(box: Bubblewrap, own: Path, order: str) -> None:
    deep = own / "deep"
    deep.mkdir()
    readable, writable = ([deep], [own]) if order.startswith("readable") else ([own], [deep])
    await shell(box, own, "(echo > deep/file); (echo > file)", readable=readable, writable=writable)
    assert (deep / "file").exists() == (order == "writable below readable")
    assert (own / "file").exists() == (order == "readable below writable")


@pytest.mark.parametrize("role", ["readable", "writable"])
async def test_a_link_that_was_put_in_the_place_of_a_folder_is_not_followed(
    box: Bubblewrap, own: Path, tmp_path: Path, secret: str, role: str
) -> None:
    (tmp_path / "private").mkdir()
    (tmp_path / "private" / "key").write_text(secret)
    assert (await shell(box, own, f"ln -s {tmp_path}/private data")).ok
    given = {"writable": [own], role: [*([own] if role == "writable" else []), own / "data"]}
    with pytest.raises(ToolFailed, match="leads out of"):
        await shell(box, own, "cat data/key", **given)


async def test_a_folder_is_found_by_the_name_of_a_link_to_it(box: Bubblewrap, own: Path, tmp_path: Path) -> None:
    named = tmp_path / "named"
    named.symlink_to(own)
    ran = await shell(box, named, "echo here > file")
    assert ran.ok, ran.output
    assert (own / "file").read_text() == "here\n"


async def test_secrets_of_this_process_are_nowhere(
    box: Bubblewrap, own: Path, secret: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", secret)
    script = "env; cat /proc/*/environ /proc/*/cmdline | tr '\\0' '\\n'; ls /proc/*/fd; ls -l /proc/1/fd/"
    ran = await shell(box, own, script, environment={"NAMED": "given"})
    assert secret not in ran.output
    assert "NAMED=given" in ran.output
    mine = await shell(box, own, "exec ls /proc/self/fd")
    assert mine.output.split() == ["0", "1", "2", "3"]  # the last is the folder that ls reads


async def test_variables_of_a_command_are_not_in_the_list_of_processes(
    box: Bubblewrap, own: Path, secret: str
) -> None:
    task = asyncio.create_task(shell(box, own, "touch begun; sleep 1000", environment={"TOKEN": secret}))
    while not (own / "begun").exists():  # noqa: ASYNC110 - it is another process that makes it
        await asyncio.sleep(0.01)
    shown = b""
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            shown += (process / "cmdline").read_bytes()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert b"begun" in shown
    assert secret.encode() not in shown


CONNECT = """
import socket
for family, address in ((socket.AF_INET, ("127.0.0.1", PORT)), (socket.AF_UNIX, "\\0NAME")):
    one = socket.socket(family)
    one.settimeout(5)
    try:
        one.connect(address)
        print("connected")
    except OSError as error:
        print("refused")
"""


async def test_no_network_and_no_sockets_of_this_machine(box: Bubblewrap, own: Path) -> None:
    name = f"swarm-{uuid4().hex}"
    with socket.socket() as server, socket.socket(socket.AF_UNIX) as abstract:
        server.bind(("127.0.0.1", 0))
        server.listen()
        abstract.bind(f"\0{name}")
        abstract.listen()
        script = CONNECT.replace("PORT", str(server.getsockname()[1])).replace("NAME", name)
        assert (await python(box, own, script)).output == "refused\nrefused\n"
        assert (await python(box, own, script, network=True)).output == "connected\nconnected\n"
    assert (await shell(box, own, "cut -d: -f1 /proc/net/dev | tail -n +3")).output.strip() == "lo"


async def test_a_server_of_its_own_is_reached_by_the_command_itself(box: Bubblewrap, own: Path) -> None:
    script = (
        "import socket\nserver = socket.create_server(('localhost', 0))\n"
        "one = socket.create_connection(server.getsockname())\nprint('connected')"
    )
    assert (await python(box, own, script)).output == "connected\n"


ATTEMPTS = (
    "unshare -U true",
    "unshare -Ur mount -t tmpfs none /usr",
    "mount -t tmpfs none /usr",
    "mount -o remount,rw /",
    "mount -o remount,bind,rw /usr",
    "umount /usr",
    "chroot / true",
    "mknod /tmp/disk b 259 0 && cat /tmp/disk",
    "head -c 1 /proc/kcore",
    "hostname other",
    "chown 0:0 /tmp",
    "nsenter -t 1 -n true",
    "ls /dev/sda || ls /dev/vda || ls /dev/kvm || ls /dev/mem || ls /dev/fuse",
)


async def test_privileges_are_not_to_be_had(box: Bubblewrap, own: Path) -> None:
    script = "\n".join(f"({attempt}) >/dev/null 2>&1 && echo '{attempt}'" for attempt in ATTEMPTS)
    ran = await shell(box, own, f"{script}\necho tried")
    assert ran.output == "tried\n"


SEARCH = """
import os
HARMLESS = {"null", "zero", "full", "random", "urandom", "tty", "ptmx", "pts", "shm", "fd"}
for top in ("/proc", "/etc", "/dev"):
    for folder, folders, files in os.walk(top):
        if folder == top:
            folders[:] = [name for name in folders if not name.isdigit() and name not in HARMLESS]
        for name in [*files, "."]:
            path = f"{folder}/{name}"
            if name not in HARMLESS and not os.path.islink(path) and os.access(path, os.W_OK):
                print(path)
for path in ("/", "/usr", "/proc/1/oom_score_adj", "/proc/self/uid_map", "/proc/sys/kernel/core_pattern"):
    if os.access(path, os.W_OK):
        print(path)
print("looked")
"""


async def test_nothing_of_the_machine_can_be_opened_for_writing(box: Bubblewrap, own: Path) -> None:
    assert (await python(box, own, SEARCH)).output == "looked\n"


async def test_processes_outside_are_neither_seen_nor_touched(box: Bubblewrap, own: Path) -> None:
    script = (
        "import ctypes, os\nprint(len([name for name in os.listdir('/proc') if name.isdigit()]))\n"
        f"pid = {max(os.getpid(), 1000)}\n"  # a number that is not taken inside
        "try: os.kill(pid, 0); print('there is one')\nexcept OSError as error: print(type(error).__name__)\n"
        "print(ctypes.CDLL(None).ptrace(16, pid, 0, 0))"
    )
    ran = await python(box, own, script)
    assert int(ran.output.split()[0]) <= 3
    assert ran.output.split()[1:] == ["ProcessLookupError", "-1"]


async def test_the_first_process_shows_no_more_than_the_command_sees(
    box: Bubblewrap, own: Path, secret: str
) -> None:
    (own.parent / "private").write_text(secret)
    script = (
        f"cat /proc/1/root{own.parent}/private /proc/1/cwd/{own.parent.name}/private; "
        "for fd in /proc/1/fd/*; do cat $fd/../private; done; kill -9 1; kill -STOP 1; echo end"
    )
    ran = await shell(box, own, script, bounds=Bounds(seconds=20))
    assert secret not in ran.output
    assert ran.output.endswith("end\n")


async def test_its_own_tmp_and_shared_memory_are_bounded_and_not_kept(box: Bubblewrap, own: Path) -> None:
    bounds = Bounds(seconds=60, scratch_bytes=4 << 20)
    script = (
        "for place in /tmp/a /dev/shm/a; do dd if=/dev/zero of=$place bs=1M count=64 2>/dev/null; "
        "test $(stat -c %s $place) -le 4194304 && echo bounded; done; "
        "dd if=/dev/zero of=/dev/a bs=1M count=1 2>/dev/null; test -e /dev/a || echo none"
    )
    assert (await shell(box, own, script, bounds=bounds)).output == "bounded\nbounded\nnone\n"
    assert (await shell(box, own, "ls -d /tmp/a /dev/shm/a >/dev/null 2>&1 || echo gone")).output == "gone\n"


async def test_no_terminal_can_be_typed_into(box: Bubblewrap, own: Path) -> None:
    script = (
        "import fcntl, os, termios\n"
        "try:\n    fcntl.ioctl(os.open('/dev/tty', os.O_RDWR), termios.TIOCSTI, b'x'); print('typed')\n"
        "except OSError: print('refused')"
    )
    assert (await python(box, own, script)).output == "refused\n"


async def test_a_pipe_and_a_socket_left_behind_do_no_harm(box: Bubblewrap, own: Path) -> None:
    assert (await python(box, own, "import os, socket\nos.mkfifo('pipe')\nsocket.socket(1).bind('socket')")).ok
    ran = await shell(box, own, "ls")
    assert ran.output.split() == ["pipe", "socket"]


async def test_neither_variables_nor_words_become_options_of_the_sandbox(box: Bubblewrap, own: Path) -> None:
    for name in ("", "A=B", "A\0--bind\0/\0/"):
        with pytest.raises(ToolFailed, match="name of a variable"):
            await shell(box, own, "true", environment={name: "value"})
    with pytest.raises(ToolFailed, match="no program '--bind'"):
        await box.run(["--bind", "/", "/", "ls"], folder=own, writable=[own], bounds=BOUNDS)


async def test_the_modes_of_the_machines_own_folders_stay_as_they_are(tmp_path: Path) -> None:
    folders = ("/proc", "/proc/sys", "/dev", "/usr", "/")
    before = [Path(one).stat().st_mode for one in folders]
    words = "chmod 711 /proc /proc/sys /dev /usr /; chown 1 /proc /usr; true"
    ran = await shell(Bubblewrap(), tmp_path, words)
    assert "Read-only file system" in ran.output
    assert [Path(one).stat().st_mode for one in folders] == before
