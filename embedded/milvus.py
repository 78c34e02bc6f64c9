"""A Milvus Lite server as a child process on 127.0.0.1, its whole state in one folder.

The server takes its port with SO_REUSEPORT: beside a foreign server on the same port it starts without a
word, and each request goes to one of the two by chance. So a port on which anything listens is refused here.
The server has no password: never open it.
"""

import signal
import socket
import sys
from pathlib import Path
from typing import ClassVar

from embedded.kept import read_kept, write_kept
from embedded.ports import HOST, free_port, require_free
from embedded.server import LocalServer

_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\x00\x00\x00\x04\x00\x00\x00\x00\x00"
_SETTINGS_FRAME = 4


class EmbeddedMilvus(LocalServer):
    """The server. ``port`` None takes the folder's last one, or a free one; a given port must be free."""

    name: ClassVar[str] = "milvus"
    stop_signal: ClassVar[signal.Signals] = signal.SIGINT  # it closes its files on this one only

    def __init__(self, data_dir: Path, port: int | None = None) -> None:
        super().__init__(data_dir.absolute())
        self._wanted = port
        self._port = port or 0

    @property
    def address(self) -> str:
        """The uri, http://host:port. Known after ``prepare``."""
        return f"http://{HOST}:{self._port}"

    def prepare(self) -> None:
        """Choose the port. Raises ``PortTakenError`` when something listens on the wanted one."""
        self.data_dir.mkdir(parents=True, exist_ok=True)
        kept = self.data_dir / "port.json"
        if self._wanted is not None:
            require_free(self._wanted, "Milvus")
        self._port = self._wanted or free_port(
            preferred=read_kept(kept, int, remedy="remove it; another port is taken then")
        )
        self._wanted = self._port  # a restart of this server must be found where its clients look
        write_kept(kept, self._port)

    def command(self) -> list[str]:
        """Return the server's command line."""
        where = ["--data-dir", str(self.data_dir / "data"), "--host", HOST, "--port", str(self._port)]
        return [sys.executable, "-m", "milvus_lite", "server", *where]

    def answers(self) -> bool:
        """Say whether a gRPC server answers: it greets an HTTP/2 connection with its settings."""
        try:
            with (
                socket.create_connection((HOST, self._port), timeout=1.0) as connection,
                connection.makefile("rb") as stream,
            ):
                connection.sendall(_PREFACE)
                frame = stream.read(9)
                return len(frame) == len(_PREFACE[-9:]) and frame[3] == _SETTINGS_FRAME
        except OSError:
            return False
