"""What tests of every package share, and their order.

One real broker, one real Milvus Lite server, names of one's own. Imports lie inside the fixtures: a test that
asks for none of them starts nothing and loads nothing.
"""
# ruff: noqa: PLC0415 (the reason is above)

import asyncio
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import hypothesis
import pytest

# Time per example says something about the machine, not about the code.
hypothesis.settings.register_profile(
    "searchloop", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("searchloop")

if TYPE_CHECKING:
    from embedded.kafka import EmbeddedKafka


# Seconds, about, of a test with the marker.
WEIGHTS = {"slow": 40.0, "model": 5.0, "broker": 5.0}


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Where several workers take one file after the other, the long ones come first.

    The end must not be one of them alone.
    """
    if not hasattr(config, "workerinput"):
        return
    weights: Counter[Path] = Counter()
    for item in items:
        weights[item.path] += max(
            (w for name, w in WEIGHTS.items() if item.get_closest_marker(name)), default=0.05
        )
    items.sort(key=lambda item: -weights[item.path])


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Bytes that are no plain text never name a test.

    A gzip holds the second it was packed in: two workers that collect in different seconds would know
    different tests, and a run of all of them ends before its first.
    """
    if isinstance(val, bytes) and not (val.isascii() and val.decode().isprintable()):
        return argname
    return None


@pytest.fixture(autouse=True)
def nothing_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no secret of an earlier test be taken out of what this one shows: it may be any word."""
    from schemas import hidden

    monkeypatch.setattr(hidden, "_KNOWN", set())


@pytest.fixture(scope="session")
def embedded_kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator["EmbeddedKafka"]:
    """The broker of the session, for tests of the broker itself; all others want ``kafka``."""
    from embedded.kafka import EmbeddedKafka

    with EmbeddedKafka(tmp_path_factory.mktemp("kafka")) as broker:
        yield broker


@pytest.fixture(scope="session")
def kafka(embedded_kafka: "EmbeddedKafka") -> str:
    """Bootstrap address of a broker that lives as long as the session.

    Give topics the prefix of ``topic_prefix``. It has made its own topics: asked for a group before that, a
    broker cannot tell yet, and what a test finds would follow from those that ran before it.
    """
    from broker.group_lag import open_lag_reader
    from schemas.connections import KafkaConnection

    async def group_coordinator() -> None:
        async with (
            asyncio.timeout(120),
            open_lag_reader(KafkaConnection(kafka=embedded_kafka.address)) as lags,
        ):
            while await lags.lag("nobody", []) is None:  # noqa: ASYNC110 (the broker fulfils it)
                await asyncio.sleep(0.1)

    asyncio.run(group_coordinator())
    return embedded_kafka.address


@pytest.fixture(scope="session")
def milvus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """URI of a Milvus Lite server that lives as long as the session.

    Give collections a prefix of their own.
    """
    from embedded.milvus import EmbeddedMilvus

    with EmbeddedMilvus(tmp_path_factory.mktemp("milvus")) as server:
        yield server.address


@pytest.fixture(scope="session")
def milvus_wheel() -> None:
    """Skip where the wheel of the Milvus server is not installed."""
    from embedded.milvus_wheel import WHEEL, wheel_folder

    if wheel_folder() is None:
        pytest.skip(
            f"the wheel {WHEEL} with the Milvus server is not installed (`make setup` does it on x86-64 "
            "Linux)"
        )


@pytest.fixture(scope="module")
def milvus_server(milvus_wheel: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """URI of a real Milvus server that lives as long as the module.

    For it works also when nobody asks it anything.
    """
    from embedded.milvus_server import MilvusServer

    with MilvusServer(tmp_path_factory.mktemp("milvus-server")) as server:
        yield server.address


@pytest.fixture
def topic_prefix() -> str:
    """A prefix that no other test has."""
    return f"t{uuid.uuid4().hex[:10]}."


@pytest.fixture
def settings_env(kafka: str, milvus: str, topic_prefix: str, tmp_path: Path) -> Callable[..., dict[str, str]]:
    """Return settings of a process as its environment says them.

    ``settings_env(partitions=2)`` adds SEARCHLOOP_PARTITIONS=2.
    """

    def build(**settings: object) -> dict[str, str]:
        values = {
            "kafka": kafka,
            "milvus": milvus,
            "topic_prefix": topic_prefix,
            "data_dir": tmp_path,
            "search_partitions": 2,
            **settings,
        }
        return {f"SEARCHLOOP_{name.upper()}": str(value) for name, value in values.items()}

    return build
