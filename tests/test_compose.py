"""The compose files: valid, and everything that they name exists.

Settings, commands, options, pages, ports, services. There is no container engine where this is developed.
What can run without one does: health checks, Kafka with these very settings.
"""

import http.server
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, cast

import pytest
import yaml

from embedded.kafka import EmbeddedKafka
from embedded.ports import HOST, free_port
from schemas.settings import PREFIX, PROCESS_SETTINGS, Settings, known_names
from tests.compose_model import Compose

ROOT = Path(__file__).resolve().parents[1]
GONE = object()


class _Override(yaml.SafeLoader):
    """Knows the two tags of Compose: ``!reset`` takes something away, ``!override`` puts it in its place."""


_Override.add_constructor("!reset", lambda _loader, _node: GONE)
_Override.add_constructor(
    "!override", lambda loader, node: loader.construct_mapping(cast("yaml.MappingNode", node), deep=True)
)


def read(file: str, **environ: str) -> str:
    """A file's text with ``${NAME:-default}`` filled in, as Compose does before it parses."""
    return re.sub(r"\$\{([A-Z_]+):-([^}]*)\}", lambda m: environ.get(m[1]) or m[2], (ROOT / file).read_text())


def merged() -> dict[str, Any]:
    """The files as one, merged like ``docker compose -f docker-compose.yml -f docker-compose.lite.yml``."""
    base = yaml.safe_load(read("docker-compose.yml"))
    over = yaml.load(read("docker-compose.lite.yml"), Loader=_Override)
    services = {
        name: spec for name, spec in (base["services"] | over["services"]).items() if spec is not GONE
    }
    return base | {"services": services, "volumes": base["volumes"] | over["volumes"]}


FILES: dict[str, dict[str, Any]] = {"server": yaml.safe_load(read("docker-compose.yml")), "lite": merged()}
EACH = [(which, service) for which, file in FILES.items() for service in file["services"]]


@pytest.mark.parametrize("which", FILES)
def test_the_file_says_only_what_the_specification_knows(which: str) -> None:
    own = {key: value for key, value in FILES[which].items() if not key.startswith("x-")}
    read = Compose.model_validate(own)
    assert {"kafka", "milvus", *PROCESS_SETTINGS} <= read.services.keys()
    assert ({"etcd", "minio"} <= read.services.keys()) == (which == "server")


@pytest.mark.parametrize(("which", "service"), EACH)
def test_every_setting_exists_and_fits(which: str, service: str) -> None:
    given = FILES[which]["services"][service].get("environment", {})
    ours = {name: value for name, value in given.items() if name.startswith(PREFIX)}
    assert {name.removeprefix(PREFIX).lower() for name in ours} <= known_names()
    settings = PROCESS_SETTINGS.get(service, Settings).load(ours)
    assert set(settings.environ()) <= set(ours)


@pytest.mark.parametrize("which", FILES)
def test_addresses_in_settings_are_those_of_services(which: str) -> None:
    services = FILES[which]["services"]
    for process in PROCESS_SETTINGS:
        environment = services[process]["environment"]
        host, port = environment["SEARCHLOOP_KAFKA"].split(":")
        assert f"//{host}:{port}" in services[host]["environment"]["KAFKA_ADVERTISED_LISTENERS"]
        milvus = re.fullmatch(r"http://([a-z]+):([0-9]+)", environment["SEARCHLOOP_MILVUS"])
        assert milvus is not None
        assert any(published.endswith(f":{milvus[2]}") for published in services[milvus[1]]["ports"])
        assert f"searchloop:{environment['SEARCHLOOP_DATA_DIR']}" in services[process]["volumes"]


def test_the_file_starts_every_process_and_each_can_be_started() -> None:
    for process in PROCESS_SETTINGS:
        assert FILES["server"]["services"][process]["command"] == ["python", "-m", process]
        assert (ROOT / process / "__main__.py").is_file()
    scripts = {script.name for script in entry_points(group="console_scripts")}
    assert {"searchloop", "milvus-lite"} <= scripts
    command = [
        sys.executable,
        "-m",
        "cli",
        *FILES["server"]["services"]["searchloop"]["command"][1:],
        "--help",
    ]
    assert subprocess.run(command, cwd=ROOT, capture_output=True, check=False).returncode == 0


def test_lite_is_started_with_options_that_it_knows_and_stopped_as_it_wants_to_be() -> None:
    lite = FILES["lite"]["services"]["milvus"]
    program, *arguments = lite["command"]
    helped = subprocess.run(
        [sys.executable, "-m", "milvus_lite", arguments[0], "--help"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert program == "milvus-lite"
    assert all(option in helped.stdout for option in arguments if option.startswith("--"))
    assert lite["stop_signal"] == "SIGINT"
    assert f"milvus-lite:{arguments[arguments.index('--data-dir') + 1]}" in lite["volumes"]


@contextmanager
def page(status: int) -> Iterator[int]:
    """A server that answers ``/readyz`` with a status, and everything else with 404."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status if self.path == "/readyz" else 404)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer((HOST, 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()


def checked(test: list[str], **environ: str) -> int:
    assert test[:2] == ["CMD", "python"]
    return subprocess.run(
        [sys.executable, *test[2:]], env=environ, stderr=subprocess.DEVNULL, check=False
    ).returncode


def test_the_health_check_of_a_process_passes_when_it_is_ready_and_not_before() -> None:
    for process in PROCESS_SETTINGS:
        service = FILES["server"]["services"][process]
        assert service["ports"][0].endswith(f":{service['environment']['SEARCHLOOP_HTTP_PORT']}")
        assert service["environment"]["SEARCHLOOP_HTTP_HOST"] == "0.0.0.0"
    test = FILES["server"]["services"]["searcher"]["healthcheck"]["test"]
    with page(200) as ready, page(503) as waiting:
        assert checked(test, SEARCHLOOP_HTTP_PORT=str(ready)) == 0
        assert checked(test, SEARCHLOOP_HTTP_PORT=str(waiting)) != 0
    assert checked(test, SEARCHLOOP_HTTP_PORT=str(free_port())) != 0


def test_the_health_checks_of_lite_and_kafka_ask_whether_something_listens() -> None:
    lite = FILES["lite"]["services"]["milvus"]["healthcheck"]["test"]
    kafka = FILES["lite"]["services"]["kafka"]["healthcheck"]["test"]
    assert "19530" in lite[-1]
    assert "19092" in kafka[-1]
    with page(200) as port:
        for there, expected in ((port, 0), (free_port(), 1)):
            assert checked([*lite[:-1], lite[-1].replace("19530", str(there))]) == expected
            command = [*kafka[1:-1], kafka[-1].replace("19092", str(there))]
            assert subprocess.run(command, stderr=subprocess.DEVNULL, check=False).returncode == expected


@pytest.mark.parametrize(("which", "service"), EACH)
def test_what_a_service_waits_for_exists_and_can_become_healthy(which: str, service: str) -> None:
    services = FILES[which]["services"]
    for target in services[service].get("depends_on", {}):
        assert "healthcheck" in services[target]


@pytest.mark.parametrize(("which", "service"), EACH)
def test_a_service_is_pinned_and_bounded(which: str, service: str) -> None:
    """Its image, its memory, its log, its time to stop; what it keeps lies in a named volume."""
    spec = FILES[which]["services"][service]
    assert re.search(r":[^:/]*[0-9][^:/]*$|^searchloop:local$", spec["image"].removesuffix("}"))
    assert {volume.split(":")[0] for volume in spec.get("volumes", [])} <= set(FILES[which]["volumes"])
    if service != "searchloop":
        assert spec["restart"] == "unless-stopped"
        assert {"mem_limit", "logging", "healthcheck", "volumes"} <= spec.keys()


@pytest.mark.parametrize("which", FILES)
def test_no_two_services_publish_the_same_port(which: str) -> None:
    published = [
        port.rsplit(":", 1)[0] for spec in FILES[which]["services"].values() for port in spec.get("ports", [])
    ]
    published = [port for port in published if not port.endswith(":")]  # a free one
    assert len(published) == len(set(published))


def test_every_host_port_can_be_chosen_and_kafkas_clients_are_told_the_chosen_one() -> None:
    wishes = {
        "KAFKA_PORT": "19",
        "MILVUS_PORT": "29",
        "MILVUS_PAGES_PORT": "39",
        **{f"{p.upper()}_PORT": "49" for p in PROCESS_SETTINGS},
        "API_PAGES_PORT": "59",
    }
    services = yaml.safe_load(read("docker-compose.yml", **wishes))["services"]
    ports = [port.split(":")[1] for spec in services.values() for port in spec.get("ports", [])]
    assert sorted(ports) == ["19", "29", "39", *["49"] * len(PROCESS_SETTINGS), "59"]
    assert "HOST://127.0.0.1:19" in services["kafka"]["environment"]["KAFKA_ADVERTISED_LISTENERS"].split(",")


@pytest.mark.parametrize("which", FILES)
def test_a_process_can_run_several_times_on_a_machine_of_any_number_of_cores(which: str) -> None:
    for process in PROCESS_SETTINGS:
        spec = FILES[which]["services"][process]
        own = ["127.0.0.1::8077"] if process == "api" else []
        assert spec["ports"] == ["127.0.0.1::8080", *own]
        assert not {"cpus", "container_name"} & spec.keys()


class ComposedKafka(EmbeddedKafka):
    """Our broker with the compose file's settings.

    Only hosts, ports and the folder are those of this machine.
    """

    def prepare(self) -> None:
        super().prepare()
        own = (self.data_dir / "server.properties").read_text()
        controller = cast("re.Match[str]", re.search(r"voters=1@[^:]+:(\d+)", own))[1]
        here = {"19092": self.address.split(":")[1], "9093": controller, "9092": str(free_port())}
        lines = []
        for name, value in FILES["server"]["services"]["kafka"]["environment"].items():
            text = re.sub(r"(?<=:)(19092|9093|9092)\b", lambda m: here[m[1]], value)
            text = text.replace("//:", f"//{HOST}:").replace("kafka:", f"{HOST}:")
            key = name.removeprefix("KAFKA_").lower().replace("_", ".")
            lines.append(f"{key}={self.data_dir / 'data' if key == 'log.dirs' else text}")
        (self.data_dir / "server.properties").write_text("\n".join(lines) + "\n")


@pytest.mark.broker
def test_kafka_starts_with_the_settings_of_the_file_and_knows_each_of_them(tmp_path: Path) -> None:
    with ComposedKafka(tmp_path) as broker:
        assert broker.answers()
    logged = (tmp_path / "broker.log").read_text()
    assert "offsets.retention.minutes = 5256000" in logged
    assert not re.findall(r"supplied but (?:are not|isn't) .*|Unknown config.*", logged)
