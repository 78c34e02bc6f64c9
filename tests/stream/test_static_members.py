"""Workers with a name for good (KIP-345): a restart of one leaves the others at their work."""

from contextlib import ExitStack

import pytest

from broker.claiming import CLAIM_KEY
from schemas.settings import StreamSettings
from tests.stream.stream_process import StreamProcess

pytestmark = [pytest.mark.broker, pytest.mark.slow, pytest.mark.timeout(600)]


async def claims(worker: StreamProcess) -> list[int]:
    """How often each of the two partitions of ``pairs`` was claimed: once in every change of partitions."""
    records = [r for r in await worker.records("pairs") if r.key == CLAIM_KEY]
    return [sum(r.partition == partition for r in records) for partition in range(2)]


async def test_a_worker_that_restarts_takes_no_partition_from_another(settings_env, tmp_path):
    with ExitStack() as stack:
        workers = []
        for name in ("one", "two"):
            environ = settings_env(partitions=2, data_dir=tmp_path / name)
            environ |= {"SEARCHLOOP_KAFKA_MEMBER": name, "SEARCHLOOP_KAFKA_MEMBER_TIMEOUT": "PT5M"}
            worker = StreamProcess(StreamSettings.load(environ), "--only", "learn")
            worker.name = "stream-learn"
            workers.append(stack.enter_context(worker))
            workers[-1].start()
            await worker.shows(lambda page: page["ready"])
        for worker in workers:
            await worker.shows(lambda page: page["ready"])
        before = await claims(workers[0])
        for restarted in workers:
            assert restarted.stop() == 0
            restarted.start()
            await restarted.shows(lambda page: page["ready"])
        assert await claims(workers[0]) == [count + 1 for count in before]
