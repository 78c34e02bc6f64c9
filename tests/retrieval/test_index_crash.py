"""What a Milvus that was killed still holds, and how its clients come back to it: on Lite and on a server."""

import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np
import pytest

from embedded.launching import signal_group
from embedded.milvus import EmbeddedMilvus
from embedded.milvus_server import MilvusServer
from embedded.server import LocalServer
from retrieval.index import Row, StoreError, VectorStore, collection_name
from schemas.connections import MilvusConnection
from tests.retrieval.small_index import catalogue, fill

pytestmark = pytest.mark.broker

T = TypeVar("T")


@pytest.fixture(params=["lite", "server"])
def server(request: pytest.FixtureRequest, tmp_path: Path) -> LocalServer:
    """A server of the test's own, not started."""
    if request.param == "server":
        request.getfixturevalue("milvus_wheel")  # skips where it is not installed
        return MilvusServer(tmp_path)
    return EmbeddedMilvus(tmp_path)


def patiently(call: Callable[[], T], within_s: float = 240.0) -> T:
    """Call until Milvus answers: a restarted server says for some seconds that it is recovering."""
    end = time.monotonic() + within_s
    while True:
        try:
            return call()
        except StoreError:
            if time.monotonic() > end:
                raise
            time.sleep(0.1)  # between two tries


def test_what_was_acknowledged_is_there_after_kill_9_and_the_old_connection_works_again(
    server: LocalServer,
) -> None:
    """Sealed rows, later writes and deletes that nobody flushed, and the alias."""
    name = collection_name("killed", 1)
    rows = catalogue(1500)
    with server, VectorStore(MilvusConnection(milvus=server.address)) as store:
        fill(store, name, rows)
        store.set_alias("killed_live", name)
        store.upsert(
            name, [Row("late", rows[3].vector, 1, "late"), Row("p0007", rows[7].vector, 1, "changed")]
        )
        store.delete(name, ["p0003"])
        server.kill()
        with pytest.raises(StoreError) as caught:
            store.search(name, rows[0].vector[None, :], 1, timeout_s=2.0)
        assert caught.value.retryable
        server.start()

        found = patiently(lambda: store.search(name, np.stack([r.vector for r in rows[:10]]), 1))
        assert [hits[0].product_id for hits in found] == [
            r.product_id if r.product_id != "p0003" else "late" for r in rows[:10]
        ]
        store.flush(name)
        assert store.ids(name) == {r.product_id for r in rows} - {"p0003"} | {"late"}
        assert store.count(name) == len(rows)
        assert store.rows(name, ["p0007"])[0].title == "changed"
        assert store.alias_target("killed_live") == name


def test_a_server_that_hangs_is_known_not_to_answer_until_it_goes_on(server: LocalServer) -> None:
    with server, VectorStore(MilvusConnection(milvus=server.address)) as store:
        assert any(store.answers() for _ in range(10))
        assert server.pid
        signal_group(server.pid, signal.SIGSTOP)
        try:
            # A question just asked may still be answered
            assert not all(store.answers(within_s=1.0) for _ in range(10))
        finally:
            signal_group(server.pid, signal.SIGCONT)
        assert any(store.answers() for _ in range(10))
