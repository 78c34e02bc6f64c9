"""SeaweedFS as a child process: a real server of the S3 API on this machine, with one user and one bucket."""

import json
import signal
import socket
import sys
from pathlib import Path
from typing import ClassVar

from embedded.ports import HOST, free_port
from embedded.server import LocalServer

PROGRAM = Path(sys.executable).with_name("weed")
BUCKET, USER, SECRET = "shop", "searchloop", "planted-key-of-the-store"
_PORTS = (
    *("master.port", "master.port.grpc", "volume.port", "volume.port.grpc"),
    *("filer.port", "filer.port.grpc", "s3.port", "s3.port.grpc", "s3.port.iceberg", "s3.port.lance"),
)


def environ_of(port: int) -> dict[str, str]:
    """Return the variables by which a client is let in, through a port that leads to the server."""
    return {
        "AWS_ENDPOINT_URL": f"http://{HOST}:{port}",
        "AWS_ACCESS_KEY_ID": USER,
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }


class ObjectStorage(LocalServer):
    """The server. Its bucket is made by the first who writes to it."""

    name: ClassVar[str] = "weed"
    stop_signal: ClassVar[signal.Signals] = signal.SIGKILL

    def __init__(self, data_dir: Path) -> None:
        super().__init__(data_dir)
        self._ports: dict[str, int] = {}

    @property
    def port(self) -> int:
        """Where it speaks S3."""
        return self._ports["s3.port"]

    @property
    def address(self) -> str:
        """What a client connects to."""
        return f"http://{HOST}:{self.port}"

    @property
    def environ(self) -> dict[str, str]:
        """The variables by which a client of the cloud's library is let in."""
        return environ_of(self.port)

    def prepare(self) -> None:
        """Choose ports, and write who may come in."""
        self.data_dir.mkdir(parents=True, exist_ok=True)
        for name in _PORTS:
            self._ports[name] = free_port(besides=self._ports.values())
        user = {
            "name": USER,
            "credentials": [{"accessKey": USER, "secretKey": SECRET}],
            "actions": ["Admin", "Read", "List", "Tagging", "Write"],
        }
        (self.data_dir / "s3.json").write_text(json.dumps({"identities": [user]}))

    def command(self) -> list[str]:
        """Return the command line."""
        return [
            str(PROGRAM),
            *("server", "-s3", "-filer", f"-dir={self.data_dir}", f"-s3.config={self.data_dir}/s3.json"),
            # Who writes first takes seven volumes, be it its own log: of eight, one would be left for a model
            *(f"-ip={HOST}", f"-ip.bind={HOST}", "-volume.max=64", "-master.volumeSizeLimitMB=64"),
            *("-volume.preStopSeconds=0", "-volume.minFreeSpace=100MiB"),
            *(f"-{name}={port}" for name, port in self._ports.items()),
        ]

    def answers(self) -> bool:
        """Say whether it takes connections."""
        try:
            with socket.create_connection((HOST, self.port), timeout=1):
                return True
        except OSError:
            return False
