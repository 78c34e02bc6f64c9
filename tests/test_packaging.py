"""What an installer and an operator start from: the compose file, the constraints, the list of packages, CI.

There is no container engine where this is developed, so the compose file is checked against the code instead of being started.
"""

import os
import re
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.version import Version

from schemas.settings import PREFIX, PROCESS_SETTINGS, Settings, known_names

ROOT = Path(__file__).resolve().parents[1]
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES = COMPOSE["services"]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


@pytest.mark.parametrize("service", SERVICES)
def test_every_setting_in_the_compose_file_exists_and_fits(service: str) -> None:
    ours = {name: value for name, value in SERVICES[service].get("environment", {}).items() if name.startswith(PREFIX)}
    assert {name.removeprefix(PREFIX).lower() for name in ours} <= known_names()
    assert all(isinstance(value, str) for value in ours.values())
    settings = PROCESS_SETTINGS.get(service, Settings).load(ours)
    assert set(settings.environ()) <= set(ours)


def test_the_compose_file_starts_every_process_and_each_can_be_started() -> None:
    for process in PROCESS_SETTINGS:
        assert SERVICES[process]["command"] == ["python", "-m", process]
        assert (ROOT / process / "__main__.py").is_file()


def test_a_health_check_asks_the_port_that_the_process_listens_on_and_the_host_reaches() -> None:
    for process in PROCESS_SETTINGS:
        service = SERVICES[process]
        assert "SEARCHLOOP_HTTP_PORT" in service["healthcheck"]["test"][3]
        compile(service["healthcheck"]["test"][3], process, "exec")
        assert service["ports"][0].endswith(f":{service['environment']['SEARCHLOOP_HTTP_PORT']}")


@pytest.mark.parametrize("service", SERVICES)
def test_what_a_service_waits_for_exists_and_can_become_healthy(service: str) -> None:
    for target, wish in SERVICES[service].get("depends_on", {}).items():
        assert wish == {"condition": "service_healthy"}
        assert "healthcheck" in SERVICES[target]


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_is_pinned_bounded_and_reached_from_this_machine_only(service: str) -> None:
    spec = SERVICES[service]
    assert re.search(r":[^:/]*[0-9][^:/]*$|^searchloop:local$", spec["image"].removesuffix("}"))
    assert all(port.startswith("127.0.0.1:") for port in spec.get("ports", []))
    assert {volume.split(":")[0] for volume in spec.get("volumes", [])} <= set(COMPOSE["volumes"])
    if service != "searchloop":
        assert spec["restart"] == "unless-stopped"
        assert "mem_limit" in spec


def test_no_two_services_publish_the_same_port() -> None:
    published = [port.rsplit(":", 1)[0] for spec in SERVICES.values() for port in spec.get("ports", [])]
    assert len(published) == len(set(published))


def pins() -> dict[str, Version]:
    """Return the constraints: normalised name to version. Fails on a line that is not ``name==version``."""
    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if line and not line.startswith("#")]
    found = [re.fullmatch(r"([A-Za-z0-9._-]+)==([0-9][A-Za-z0-9.]*)", line) for line in lines]
    assert all(found), [line for line, match in zip(lines, found, strict=True) if not match]
    return {normal(m[1]): Version(m[2]) for m in found if m}


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_every_dependency_is_pinned_to_a_version_that_the_project_admits() -> None:
    pinned = pins()
    wanted = [*PROJECT["project"]["dependencies"], *PROJECT["project"]["optional-dependencies"]["dev"]]
    for requirement in map(Requirement, wanted):
        assert requirement.specifier.contains(pinned[normal(requirement.name)]), requirement


def test_every_package_of_the_tree_is_installed() -> None:
    listed = set(PROJECT["tool"]["setuptools"]["packages"])
    present = {
        path.parent.relative_to(ROOT).as_posix().replace("/", ".")
        for path in ROOT.glob("[a-z]*/**/__init__.py")
        if path.relative_to(ROOT).parts[0] not in {"tests", "benchmarks", "build"}
    }
    assert listed == present


def test_ci_is_executable_and_runs_what_a_developer_runs() -> None:
    assert os.access(ROOT / ".ci" / "run", os.X_OK)
    assert os.access(ROOT / ".ci" / "setup", os.X_OK)
    script = (ROOT / ".ci" / "run").read_text()
    assert [line for line in script.splitlines() if line.startswith("make ")] == ["make setup", "make check", "make test"]


def test_the_image_is_built_without_the_developer_s_environment() -> None:
    ignored = (ROOT / ".dockerignore").read_text().split()
    assert {".git", ".venv", ".searchloop"} <= set(ignored)
