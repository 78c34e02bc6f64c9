"""One broker with TLS, users and access control for all tests here."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from broker.topics import ensure_topics
from schemas.rights import PRINCIPALS, every_right
from schemas.settings import Settings
from tests.processes import run_cli
from tests.servers.certificates import Authority
from tests.servers.secure_kafka import SecureKafka, obey

Connect = Callable[..., Settings]
STRANGER = "stranger"  # a user without any right


@pytest.fixture(scope="session")
def passwords() -> dict[str, str]:
    """The password of each user: nothing that stands anywhere else."""
    return {name: f"planted-{number}-of-{name[::-1]}" for number, name in enumerate((*PRINCIPALS, STRANGER))}


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority") / "ca")


@pytest.fixture(scope="session")
def secure_kafka(
    tmp_path_factory: pytest.TempPathFactory, authority: Authority, passwords: dict[str, str]
) -> Iterator[SecureKafka]:
    with SecureKafka(tmp_path_factory.mktemp("secure"), authority, passwords) as broker:
        yield broker


@pytest.fixture
def connect(
    secure_kafka: SecureKafka,
    authority: Authority,
    passwords: dict[str, str],
    topic_prefix: str,
    tmp_path: Path,
) -> Connect:
    """Return settings of a principal, with changes."""

    def build(name: str, **changes: str) -> Settings:
        values = {
            "kafka": secure_kafka.secure,
            "kafka_security": "SASL_SSL",
            "kafka_user": name,
            "kafka_password": passwords[name],
            "kafka_ca": str(authority.pem),
            "topic_prefix": topic_prefix,
            "data_dir": str(tmp_path),
            "partitions": "1",
            "search_partitions": "1",
            "replication": str(secure_kafka.replication),
            **changes,
        }
        return Settings.load({f"SEARCHLOOP_{key.upper()}": value for key, value in values.items()})

    return build


@pytest.fixture
async def allowed(connect: Connect, secure_kafka: SecureKafka) -> Connect:
    """The same, where topics are there and everybody has what ``searchloop acl`` prints."""
    settings = connect("operators")
    plain = Settings(
        kafka=secure_kafka.address,
        topic_prefix=settings.topic_prefix,
        partitions=1,
        search_partitions=1,
        replication=secure_kafka.replication,
    )
    await ensure_topics(plain)
    printed = run_cli("acl", **settings.environ())
    assert printed.returncode == 0, printed.stderr
    operations = sum(len(right.operations) for right in every_right(settings))
    assert await obey(secure_kafka.address, printed.stdout) == operations
    return connect
