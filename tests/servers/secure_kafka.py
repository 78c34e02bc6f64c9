"""A real broker with TLS, SCRAM users and access control."""

import subprocess
from argparse import ArgumentParser
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.protocol.admin import CreateAclsRequest

from embedded.kafka import EmbeddedKafka
from embedded.ports import HOST, free_port
from tests.servers.certificates import Authority

_SCRAM = ("scram-sha-512", "scram-sha-256")
# Kafka's numbers (org.apache.kafka.common.acl and .resource)
_KINDS = {"topic": 2, "group": 3, "cluster": 4, "transactional-id": 5}
_OPERATIONS = {
    "Read": 3,
    "Write": 4,
    "Create": 5,
    "Describe": 8,
    "DescribeConfigs": 10,
    "IdempotentWrite": 12,
}
_PATTERNS = {"literal": 3, "prefixed": 4}
_ALLOW = 3
_ACCESS = (
    "sasl.enabled.mechanisms=SCRAM-SHA-512,SCRAM-SHA-256,PLAIN,OAUTHBEARER",
    "authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer",
    "super.users=User:ANONYMOUS",
    # A certificate's common name is the user
    "ssl.principal.mapping.rules=RULE:^CN=([^,]+).*$/$1/",
)
_MUTUAL = "mutual"


class SecureKafka(EmbeddedKafka):
    """A broker with several doors.

    ``secure`` is for users, who may do what they are allowed to and nothing else. ``address`` is for the test
    alone, without TLS: whoever comes through it may do everything.
    """

    replication = 1

    def __init__(self, folder: Path, authority: Authority, users: Mapping[str, str]) -> None:
        super().__init__(folder)
        self._stores = {
            "secure": authority.server("secure"),
            "expired": authority.server("expired", starts=timedelta(days=-10), lasts=timedelta(days=5)),
            "elsewhere": authority.server("elsewhere", names=("elsewhere.example",)),
            _MUTUAL: authority.server(_MUTUAL),
        }
        self._trusted = authority.pem
        self._users = users
        self._doors: dict[str, int] = {}

    @property
    def secure(self) -> str:
        """The address of the door for users."""
        return self.door("secure")

    def door(self, name: str) -> str:
        """Return the address of a door: ``expired`` and ``elsewhere`` show certificates of that kind.

        ``mutual`` asks for the client's, and knows it by that alone.
        """
        return f"{HOST}:{self._doors[name]}"

    def _format(self) -> None:
        for name in self._stores:
            if name not in self._doors:
                self._doors[name] = free_port(besides=[self._port, *self._doors.values()])
        path = self.data_dir / "server.properties"
        at = "".join(f",{name.upper()}://{HOST}:{port}" for name, port in self._doors.items())
        door = {
            "listeners=": at,
            "advertised.listeners=": at,
            "listener.security.protocol.map=": "".join(
                f",{name.upper()}:{'SSL' if name == _MUTUAL else 'SASL_SSL'}" for name in self._doors
            ),
        }
        lines = [
            line + next((more for begin, more in door.items() if line.startswith(begin)), "")
            for line in path.read_text().splitlines()
        ]
        doors = [line for name in self._doors for line in self._door(name)]
        path.write_text("\n".join([*lines, *_ACCESS, *doors]) + "\n")
        if not (self.data_dir / "data" / "meta.properties").exists():
            self._format_with_users(path)

    def _door(self, name: str) -> list[str]:
        package, door = "org.apache.kafka.common.security", f"listener.name.{name}"
        bearer = f'{package}.oauthbearer.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub="x";'
        users = " ".join(f'user_{user}="{password}"' for user, password in self._users.items())
        shown = [
            f"{door}.ssl.keystore.type=PEM",
            f"{door}.ssl.keystore.location={self._stores[name]}",
        ]
        if name == _MUTUAL:
            trust = [
                f"{door}.ssl.truststore.type=PEM",
                f"{door}.ssl.truststore.location={self._trusted}",
                f"{door}.ssl.client.auth=required",
            ]
            return [*shown, *trust]
        return [
            *(f"{door}.{m}.sasl.jaas.config={package}.scram.ScramLoginModule required;" for m in _SCRAM),
            f"{door}.plain.sasl.jaas.config={package}.plain.PlainLoginModule required {users};",
            # Kafka's own for tests: it believes tokens that nobody has signed
            f"{door}.oauthbearer.sasl.jaas.config={bearer}",
            *shown,
        ]

    def _format_with_users(self, properties: Path) -> None:
        users = [
            argument
            for mechanism in _SCRAM
            for name, password in self._users.items()
            for argument in ("--add-scram", f"{mechanism.upper()}=[name={name},password={password}]")
        ]
        tool = [*self._jvm([]), "kafka.tools.StorageTool", "format", "-t", self.cluster_id]
        done = subprocess.run(
            [*tool, "-c", str(properties), *users], capture_output=True, text=True, timeout=120, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr


async def obey(address: str, printed: str) -> int:
    """Give the rights that lines of ``kafka-acls.sh`` give; return how many there are."""
    parser = ArgumentParser()
    for option in (
        "--bootstrap-server",
        "--command-config",
        "--allow-principal",
        *(f"--{k}" for k in _KINDS),
    ):
        parser.add_argument(option)
    parser.add_argument("--operation", action="append")
    parser.add_argument("--resource-pattern-type", default="literal")
    parser.add_argument("--add", action="store_true")
    asked = []
    for line in printed.splitlines():
        if not line.startswith("kafka-acls.sh"):
            continue
        given = parser.parse_args(line.split()[1:])
        assert given.add
        [(kind, name)] = [(k, n) for k in _KINDS if (n := getattr(given, k.replace("-", "_")))]
        resource = _KINDS[kind], name, _PATTERNS[given.resource_pattern_type]
        asked += [
            CreateAclsRequest(*resource, given.allow_principal, "*", _OPERATIONS[operation], _ALLOW)
            for operation in given.operation
        ]
    admin = AIOKafkaAdminClient(bootstrap_servers=address)
    await admin.start()
    try:
        for request in asked:
            response = await admin._send_request(request)
            assert {code for code, *_ in response.creation_responses} == {0}, response
    finally:
        await admin.close()
    return len(asked)
