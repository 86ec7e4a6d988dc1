"""What `docs/deploy` holds can be read, says nothing secret, and calls commands that exist. None of it is run."""

from __future__ import annotations

import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from swarm.cli.main import app

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "docs" / "deploy"
FILES = sorted(DEPLOY.rglob("*.yaml"))
MANIFESTS = sorted((DEPLOY / "kubernetes").glob("*.yaml"))
PAGES = [DEPLOY / "README.md", ROOT / "docs" / "machines.md"]

_GIVEN = re.compile(r"\$\{\w+:[-?](?P<value>[^}]*)\}")
_SECRET = re.compile(r"(?i)key|passw|secret|token")
_PASSWORD_IN_URL = re.compile(r"://[^/\s:@]+:[^/\s@]+@")
_PINNED = re.compile(r"[\w./-]+:\d+\.\d+[\w.-]*")


def documents(*files: Path) -> list[Any]:
    return [one for file in files for one in yaml.safe_load_all(file.read_text("utf-8"))]


def pods() -> Iterator[tuple[str, dict[str, Any]]]:
    for one in documents(*MANIFESTS):
        if "template" in one.get("spec", {}):
            yield f"{one['kind']} {one['metadata']['name']}", one["spec"]["template"]["spec"]


def services() -> dict[str, dict[str, Any]]:
    (compose,) = documents(DEPLOY / "compose.yaml")
    return compose["services"]


def mappings(value: Any) -> Iterator[dict[str, Any]]:
    match value:
        case dict():
            yield value
            for inner in value.values():
                yield from mappings(inner)
        case list():
            for inner in value:
                yield from mappings(inner)


def commands() -> Iterator[tuple[str, list[str]]]:
    """Every `swarm` command line, without its `swarm`."""
    yield from in_manifests()
    yield from in_compose()
    for page in PAGES:
        for fence in re.findall(r"(?ms)^```bash\n(.*?)^```", page.read_text("utf-8")):
            yield from ((f"{page.name}: {line}", words) for line in fence.splitlines() if (words := in_line(line)))


def in_manifests() -> Iterator[tuple[str, list[str]]]:
    for name, pod in pods():
        for container in pod["containers"]:
            if container["image"].startswith("swarm:"):
                yield name, container["args"]


def in_compose() -> Iterator[tuple[str, list[str]]]:
    for name, service in services().items():
        if service["image"].startswith("swarm:"):
            yield f"service {name}", [_GIVEN.sub(r"\g<value>", word) for word in service["command"]]
            if check := service.get("healthcheck"):
                yield f"health of {name}", in_line(check["test"][1].partition("|")[0])


def in_line(line: str) -> list[str]:
    """What follows `swarm` where it begins a line, or what is run in a container."""
    words = shlex.split(line, comments=True)
    for place, word in enumerate(words):
        in_container = words[place - 1] == "--" or words[place - 2 : place] == ["exec", "worker"]
        if word == "swarm" and (place == 0 or in_container):
            return words[place + 1 :]
    return []


def parse(words: list[str]) -> None:
    """As the command line does, without doing anything."""
    command = typer.main.get_command(app)
    while True:
        context = command.make_context("swarm", list(words), help_option_names=["-h"])
        words = [*getattr(context, "_protected_args", ()), *context.args]
        if not words or not hasattr(command, "resolve_command"):
            return
        _, command, words = command.resolve_command(context, words)
        assert command is not None


@pytest.mark.parametrize(("where", "words"), [pytest.param(*one, id=one[0]) for one in commands()])
def test_every_command_is_one(where: str, words: list[str]) -> None:
    parse(words)


@pytest.mark.parametrize(
    "words", [["worker", "--stores", "x"], ["workers", "drian"], ["ask", "--engine", "postgres"]]
)
def test_a_command_that_is_none_would_be_found(words: list[str]) -> None:
    with pytest.raises(typer.TyperException):
        parse(words)


def test_each_place_that_runs_swarm_was_looked_at() -> None:
    found = [words[0] for _, words in commands()]
    assert {"ask", "worker", "workers", "resume"} <= set(found)
    assert len(found) > 10


def test_images_are_pinned() -> None:
    froms = re.findall(r"(?m)^FROM (\S+)", (DEPLOY / "Dockerfile").read_text("utf-8"))
    images = [one["image"] for one in mappings(documents(*FILES)) if isinstance(one.get("image"), str)]
    assert len(froms) == 2
    assert len(images) > 5
    assert [image for image in froms + images if not _PINNED.fullmatch(image)] == []


def test_the_image_is_of_this_version_and_holds_what_the_package_is_made_of() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    ours = {one["image"] for one in mappings(documents(*FILES)) if str(one.get("image")).startswith("swarm:")}
    assert ours == {f"swarm:{project['project']['version']}"}
    (extras,) = re.findall(r"'\.\[([\w,]+)\]'", (DEPLOY / "Dockerfile").read_text("utf-8"))
    assert set(extras.split(",")) <= project["project"]["optional-dependencies"].keys()
    let_in = {
        line[1:] for line in (DEPLOY / "Dockerfile.dockerignore").read_text("utf-8").split() if line[0] == "!"
    }
    wheel = project["tool"]["hatch"]["build"]["targets"]["wheel"]
    needed = {
        *wheel["packages"],
        *wheel["force-include"],
        "pyproject.toml",
        project["project"]["readme"],
        "LICENSE",
    }
    assert needed <= let_in
    assert all((ROOT / one).exists() for one in let_in)


def test_nothing_runs_as_root_or_writes_outside_its_volumes() -> None:
    for name, pod in pods():
        assert pod["securityContext"]["runAsNonRoot"] is True, name
        assert pod["securityContext"]["runAsUser"] > 0, name
        for container in pod["containers"]:
            confined = container["securityContext"]
            assert confined["readOnlyRootFilesystem"] is True, name
            assert confined["allowPrivilegeEscalation"] is False, name
            assert confined["capabilities"] == {"drop": ["ALL"]}, name
            volumes = {one["name"] for one in pod["volumes"]} | {"data"}
            assert {one["name"] for one in container["volumeMounts"]} <= volumes, name
            assert container["resources"].keys() == {"requests", "limits"}, name
    for name, service in services().items():
        if service["image"].startswith("swarm:"):
            assert service["read_only"] is True, name
            assert "/work/.swarm" in service["volumes"], name
    assert re.search(r"(?m)^USER [1-9]\d*:", (DEPLOY / "Dockerfile").read_text("utf-8"))


def test_no_secret_stands_in_a_file() -> None:
    for file in DEPLOY.rglob("*"):
        if file.is_file():
            assert not _PASSWORD_IN_URL.search(file.read_text("utf-8")), file
    (secret,) = [one for one in documents(*MANIFESTS) if one["kind"] == "Secret"]
    assert set(secret["stringData"].values()) == {"REPLACE"}
    for name, service in services().items():
        for variable, value in service["environment"].items():
            told = variable.endswith("_FILE") or str(value).startswith("${")
            assert told or not _SECRET.search(variable), f"{name}: {variable}"
    for one in mappings(documents(*MANIFESTS)):
        if "value" in one:
            assert not _SECRET.search(one["name"]), one["name"]


def test_what_the_pods_take_from_the_secret_is_in_its_placeholder() -> None:
    (secret,) = [one for one in documents(*MANIFESTS) if one["kind"] == "Secret"]
    for one in mappings(documents(*MANIFESTS)):
        if reference := one.get("secretRef") or one.get("secretKeyRef"):
            assert reference["name"] == secret["metadata"]["name"]
            assert reference.get("key", "PGPASSWORD") in secret["stringData"]
