"""The Milvus server of the wheel as a child process, its whole state in one folder.

Inside it are etcd, log and storage. For tests and benchmarks of the server path (HNSW). By default it has no
password, and its ports listen on every interface of the machine, which its configuration cannot change (it
only tells others the address 127.0.0.1): never run it where strangers reach the machine.
"""

import http.client
import signal
from pathlib import Path
from typing import ClassVar

from embedded.kept import read_kept, write_kept
from embedded.milvus_wheel import unpacked, write_config
from embedded.ports import HOST, free_port, require_free
from embedded.server import LocalServer

_PORTS = (
    "proxy_port",
    "metrics_port",
    "proxy_internal_port",
    "etcd_port",
    "etcd_peer_port",
    "root_coord_port",
    "query_coord_port",
    "query_node_port",
    "index_coord_port",
    "index_node_port",
    "data_coord_port",
    "data_node_port",
)
_COMPONENTS = ("PROXY", "ROOTCOORD", "QUERYCOORD", "QUERYNODE", "INDEXNODE", "DATACOORD", "DATANODE")
_ETCD = """name: default
data-dir: {folder}
listen-client-urls: http://{host}:{client}
advertise-client-urls: http://{host}:{client}
listen-peer-urls: http://{host}:{peer}
initial-advertise-peer-urls: http://{host}:{peer}
initial-cluster: default=http://{host}:{peer}
"""
# How often its parts look at each other: by default each flush and each load takes 3 to 4 s. After kill -9 a
# server waits until etcd has forgotten the sessions of the killed one.
_PACE = {
    "COMMON_SESSION_TTL": 5,  # s
    "DATACOORD_SEGMENT_ASSIGNMENTEXPIRATION": 200,  # ms, as the others
    "QUERYCOORD_CHECKCHANNELINTERVAL": 100,
    "QUERYCOORD_CHECKSEGMENTINTERVAL": 100,
    "QUERYCOORD_DISTPULLINTERVAL": 100,
}


class MilvusServer(LocalServer):
    """The server. ``port`` None takes the folder's last one, or a free one; a given port must be free.

    ``authorization``: it asks for user and password, at first ``root:Milvus``. ``certificate``: a PEM file of
    its key and certificates, with which it speaks TLS and nothing else.
    """

    name: ClassVar[str] = "milvus-server"
    # Its own way to stop takes 10 s and ends in a panic; it is crash-safe
    stop_signal: ClassVar[signal.Signals] = signal.SIGKILL

    def __init__(
        self,
        data_dir: Path,
        port: int | None = None,
        *,
        authorization: bool = False,
        certificate: Path | None = None,
    ) -> None:
        super().__init__(data_dir.absolute())
        self._authorization = authorization
        self._certificate = certificate
        self._wanted = port
        self._ports: dict[str, int] = {}

    @property
    def address(self) -> str:
        """The uri, http://host:port, or https. Known after ``prepare``."""
        return f"http{'s' if self._certificate else ''}://{HOST}:{self._ports.get('proxy_port', 0)}"

    def prepare(self) -> None:
        """Unpack the server, choose its ports, write its configuration.

        Raises ``ServerMissingError`` and ``PortTakenError``.
        """
        unpacked()
        self.data_dir.mkdir(parents=True, exist_ok=True)
        kept = self.data_dir / "ports.json"
        last = read_kept(kept, dict[str, int], remedy="remove it; other ports are taken then") or {}
        if self._wanted is not None:
            require_free(self._wanted, "Milvus")
        self._ports = {} if self._wanted is None else {"proxy_port": self._wanted}
        for name in _PORTS[len(self._ports) :]:
            self._ports[name] = free_port(preferred=last.get(name), besides=self._ports.values())
        # A restart of this server must be found where its clients look
        self._wanted = self._ports["proxy_port"]
        write_kept(kept, self._ports)
        storage = self.data_dir / "data"
        where = {
            "etcd_log_path": self.data_dir / "etcd.log",
            "system_log_path": "",
            "etcd_data_dir": storage / "etcd",
            "local_storage_dir": storage,
            "rocksmq_data_dir": storage / "rocksmq",
            "authorization_enabled": str(self._authorization).lower(),
        }
        etcd = _ETCD.format(
            folder=storage / "etcd",
            host=HOST,
            client=self._ports["etcd_port"],
            peer=self._ports["etcd_peer_port"],
        )
        (self.data_dir / "etcd.yaml").write_text(etcd)
        write_config(
            self.data_dir / "configs", {**self._ports, **{name: str(path) for name, path in where.items()}}
        )

    def command(self) -> list[str]:
        """Return the command line.

        ``env`` sets what Milvus takes from the environment and becomes the server, same process id.
        """
        programs = unpacked()
        variables = {
            "LD_LIBRARY_PATH": programs,
            "MILVUSCONF": self.data_dir / "configs",
            "MILVUS_RUN_DIR": self.data_dir / "run",
            "DEPLOY_MODE": "STANDALONE",
            "METRICS_PORT": self._ports["metrics_port"],
            "ETCD_CONFIG_PATH": self.data_dir / "etcd.yaml",
            "LOG_LEVEL": "warn",
            **_PACE,
            **_tls(self._certificate),
            **{f"{component}_IP": HOST for component in _COMPONENTS},
        }
        assignments = [f"{name}={value}" for name, value in variables.items()]
        return ["env", "-C", str(self.data_dir), *assignments, str(programs / "milvus"), "run", "standalone"]

    def answers(self) -> bool:
        """Say whether all parts of the server report that they are healthy."""
        connection = http.client.HTTPConnection(HOST, self._ports["metrics_port"], timeout=1.0)
        try:
            connection.request("GET", "/healthz")
            answer = connection.getresponse()
            return answer.status == http.client.OK and b"OK" in answer.read()
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()


def _tls(certificate: Path | None) -> dict[str, object]:
    if certificate is None:
        return {}
    return {
        "COMMON_SECURITY_TLSMODE": 1,  # the server shows a certificate, and asks for none
        "TLS_SERVERPEMPATH": certificate.absolute(),
        "TLS_SERVERKEYPATH": certificate.absolute(),
    }
