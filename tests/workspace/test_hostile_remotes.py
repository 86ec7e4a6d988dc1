"""Whoever keeps a remote, or writes its address, has nothing run here and learns no secret; and none is shown."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from swarm.equipment import Workspace, fit_remote
from swarm.errors import RunError, UsageError
from swarm.workspace import shared
from swarm.workspace.account import place_of
from swarm.workspace.git import Git
from swarm.workspace.landing import Landing
from swarm.workspace.remote import Remote
from tests.workspace.remotes import bare, joined
from tests.workspace.repos import elsewhere, git, land, write

__all__ = ["elsewhere"]


@pytest.mark.parametrize(
    ("remote", "by"),
    [
        ("https://host.example/team/repository.git", "https"),
        ("https://host.example:8443/r", "https"),
        ("ssh://git@host.example:2222/r.git", "ssh"),
        ("git@host.example:team/r.git", "ssh"),
        ("host:r", "ssh"),
        ("ssh://git@[fe80::1]/r.git", "ssh"),
        ("/srv/git/r.git", "file"),
        ("file:///srv/git/r.git", "file"),
    ],
)
def test_an_address_tells_how_it_is_reached(remote: str, by: str) -> None:
    assert fit_remote(remote) == by
    assert Workspace(remote=remote).remote == remote


@pytest.mark.parametrize(
    "remote",
    [
        "ext::sh -c touch% /tmp/x", "ext::https://host/r", "fd::3", "http://host.example/r", "git://host.example/r",
        "ftp://host/r", "--upload-pack=touch x", "-oProxyCommand=x:r", "ssh://-oProxyCommand=x/r", "r.git",
        "../r.git", "./r", "~/r.git", "file://host/r.git", "file:r", "https://host.example",
        "https://host/r?access_token=hunter2", "https://host/r#hunter2",
        "host:-r", "a\nb:r", "", "https:///r", "-x@host:r", "javascript:r:s",
    ],
)  # fmt: skip
def test_what_git_is_not_let_go_to_is_refused_in_one_line(remote: str) -> None:
    with pytest.raises(UsageError) as told:
        Workspace(remote=remote)
    assert "hunter2" not in str(told.value)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize(
    "remote",
    [
        "https://user:hunter2@host.example/r.git", "https://hunter2@host.example/r.git", "ssh://git:hunter2@host/r",
        "https://user:hunt/er2@host/r", "https://user:hunter2%40@host/r", "git:hunter2@host:r", "http://u:hunter2@h/r",
    ],
)  # fmt: skip
def test_an_address_with_a_password_is_refused_and_not_shown(remote: str) -> None:
    with pytest.raises(UsageError) as told:
        Workspace(remote=remote)
    assert "hunt" not in str(told.value)
    with pytest.raises(UsageError) as told:
        place_of(["folder"], remote)
    assert "hunt" not in str(told.value)


def test_a_workspace_is_one_or_the_other() -> None:
    with pytest.raises(UsageError, match="give it one of the two"):
        Workspace(repository="r", remote="/srv/r.git")
    with pytest.raises(UsageError, match="names no repository"):
        Workspace()
    with pytest.raises(UsageError, match="none is named"):
        place_of(None, "")


async def test_a_remote_on_this_machine_runs_nothing_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    remote, ran = bare(tmp_path / "remote.git"), tmp_path / "ran"
    planted = f"#!/bin/sh\necho $0 >> {ran}\n"
    for hook in ("pre-receive", "update", "post-receive", "post-update", "reference-transaction", "proc-receive"):
        path = remote / "hooks" / hook
        path.parent.mkdir(exist_ok=True)
        path.write_text(planted)
        path.chmod(0o755)
    (tmp_path / "program").write_text(planted)
    (tmp_path / "program").chmod(0o755)
    (remote / "objects/info").mkdir(exist_ok=True)
    other = bare(tmp_path / "other.git")
    (remote / "objects/info/alternates").write_text(f"{other}/objects\n")
    for key in ("core.alternateRefsCommand", "core.fsmonitor", "gc.recentObjectsHook", "core.sshCommand"):
        git(remote, "config", key, str(tmp_path / "program"))
    git(remote, "config", "core.hooksPath", str(remote / "hooks"))
    run = await joined(remote, tmp_path / "one")
    tree = await run.open("slice")
    write(tree.path, {"x": "y\n"})
    await run.keep("slice")
    assert (await land(Landing(run), tree)).commit
    await run.end(keep=False)
    assert not ran.exists(), ran.read_text()
    monkeypatch.setattr(shared, "_FIRST_PATIENCE_SECONDS", 0.0)
    git(remote, "config", "receive.procReceiveRefs", "refs/heads")  # one that it insists on
    with pytest.raises(UsageError, match=r"cannot be made in .*proc-receive"):
        await joined(remote, tmp_path / "one", branch="other")
    assert not ran.exists(), ran.read_text()


async def test_submodules_of_a_remote_stay_empty(tmp_path: Path) -> None:
    remote = bare(tmp_path / "remote.git")
    inner = git(remote, "rev-parse", "main")
    modules = f'[submodule "m"]\n\tpath = m\n\turl = {remote}\n'
    blob = git(remote, "hash-object", "-w", "--stdin", stdin=modules)
    tree = git(remote, "mktree", stdin=f"100644 blob {blob}\t.gitmodules\n160000 commit {inner}\tm\n")
    git(remote, "update-ref", "refs/heads/main", git(remote, "commit-tree", tree, "-p", "main", "-m", "module"))
    run = await joined(remote, tmp_path / "one")
    opened = await run.open("slice")
    assert list((opened.path / "m").iterdir()) == []
    write(opened.path, {"x": "y\n"})
    assert (await land(Landing(run), opened)).commit
    await run.end(keep=False)


async def test_git_is_given_its_helpers_and_nothing_that_leads_it_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bare(tmp_path / "remote.git")
    monkeypatch.setenv("GIT_ASKPASS", "/bin/ask")
    monkeypatch.setenv("SSH_AUTH_SOCK", "/run/agent")
    monkeypatch.setenv("GIT_DIR", "/elsewhere")
    monkeypatch.setenv("GIT_ALLOW_PROTOCOL", "ext")
    monkeypatch.setenv("GIT_CONFIG_PARAMETERS", "'core.hooksPath=/planted'")
    given = Remote("ssh://git@host/r", Git(tmp_path / "remote.git"))._environment()
    assert (given["GIT_ASKPASS"], given["SSH_AUTH_SOCK"]) == ("/bin/ask", "/run/agent")
    assert given["GIT_ALLOW_PROTOCOL"] == "ssh"
    assert given["GIT_TERMINAL_PROMPT"] == "0"
    assert not {"GIT_DIR", "GIT_CONFIG_PARAMETERS", "GIT_CONFIG_NOSYSTEM"} & given.keys()
    assert "GIT_CONFIG_GLOBAL" not in given or given["GIT_CONFIG_GLOBAL"] == os.environ.get("GIT_CONFIG_GLOBAL")


async def test_what_git_says_is_passed_on_without_a_password(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The user's own configuration may lead to an address with one in it."""
    (tmp_path / "config").write_text('[url "https://user:hunter2@127.0.0.1:9/"]\n\tinsteadOf = https://host/\n')
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "config"))
    remote = Remote("https://host/r", Git(bare(tmp_path / "remote.git")))
    with pytest.raises(RunError, match="the remote https://host/r cannot be reached: ") as told:
        await remote.refs("refs/heads/green", patience=0.0)
    assert "127.0.0.1" in str(told.value)
    assert "hunter2" not in str(told.value)
