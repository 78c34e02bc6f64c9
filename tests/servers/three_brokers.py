"""Three real brokers with TLS, users and access control, one of which may be killed."""

import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from aiokafka.admin import AIOKafkaAdminClient

from embedded.launching import child_environ, launch
from embedded.ports import HOST, free_port
from tests.servers.certificates import Authority
from tests.servers.secure_kafka import SecureKafka
from tests.waiting import DEADLINE_S

CLUSTER_ID = "three-brokers-of-tests"  # 22 characters, as of 16 bytes


class _Node(SecureKafka):
    """One of them. ``controllers`` are the ports of all, in the order of their numbers."""

    def __init__(
        self,
        folder: Path,
        authority: Authority,
        users: Mapping[str, str],
        number: int,
        controllers: list[int],
    ) -> None:
        super().__init__(folder, authority, users)
        self._number, self._controllers = number, controllers

    def begin(self) -> None:
        """Start it, and do not wait: one alone is no quorum."""
        self.prepare()
        with self.log_path.open("ab") as log:
            self._process = launch(self.command(), child_environ(os.environ), log)

    def wait(self) -> None:
        """Wait until it serves."""
        end = time.monotonic() + DEADLINE_S
        while not self.answers():
            assert self.pid is not None, self.log_path.read_text()[-2000:]
            assert time.monotonic() < end, self.log_path.read_text()[-2000:]
            time.sleep(0.1)

    def _format(self) -> None:
        self._cluster_id = CLUSTER_ID
        path = self.data_dir / "server.properties"
        voters = [f"{n}@{HOST}:{port}" for n, port in enumerate(self._controllers, start=1)]
        controller = f"{HOST}:{self._controllers[self._number - 1]}"
        own = {
            "node.id": str(self._number),
            "controller.quorum.voters": ",".join(voters),
            "listeners": f"PLAINTEXT://{self.address},CONTROLLER://{controller}",
        }
        lines = []
        for line in path.read_text().splitlines():
            name, _, value = line.partition("=")
            if name.endswith("replication.factor"):
                value = "3"
            elif name.endswith("min.isr"):
                value = "2"
            lines.append(f"{name}={own.get(name, value)}")
        path.write_text("\n".join([*lines, "min.insync.replicas=2"]) + "\n")
        super()._format()


class ThreeBrokers:
    """The doors of ``SecureKafka`` three times; each record lies on all three, and two must have it."""

    replication = 3

    def __init__(self, folder: Path, authority: Authority, users: Mapping[str, str]) -> None:
        controllers: list[int] = []
        for _ in range(3):
            controllers.append(free_port(besides=controllers))
        self._nodes = [_Node(folder / str(n), authority, users, n, controllers) for n in (1, 2, 3)]

    @property
    def address(self) -> str:
        """The addresses for the test alone."""
        return ",".join(node.address for node in self._nodes)

    @property
    def secure(self) -> str:
        """The addresses for users."""
        return ",".join(node.secure for node in self._nodes)

    def __enter__(self) -> Self:
        for node in self._nodes:
            node.begin()
        for node in self._nodes:
            node.wait()
        return self

    def __exit__(self, *_: object) -> None:
        for node in self._nodes:
            node.kill()

    async def kill_leader(self, topic: str) -> int:
        """Kill (-9) the broker that leads the first partition of a topic; return its number."""
        admin = AIOKafkaAdminClient(bootstrap_servers=self.address)
        await admin.start()
        try:
            [described] = await admin.describe_topics([topic])
        finally:
            await admin.close()
        leader = int(described["partitions"][0]["leader"])
        self._nodes[leader - 1].kill()
        return leader
