from pathlib import Path

from media.decoder_process import DecoderProcess
from schemas.rejections import Rejection
from tests.media.hostile_pictures import hostile

# What the process that decodes needs at most for all of the corpus, its libraries included.
MOST_MB = 500


def held_mb(pid: int) -> int:
    """Return the most that a process has held so far."""
    return int(Path(f"/proc/{pid}/status").read_text().split("VmHWM:")[1].split()[0]) // 1024


async def test_every_hostile_file_has_its_reason_and_memory_stays_bounded() -> None:
    """By the process that a shop's pictures go through, which none of them ends."""
    expected, found, children, most_mb = [], [], set(), 0
    async with DecoderProcess(seconds=120) as decoder:
        for file in hostile():
            said = await decoder.prepare(file.data)
            expected.append((file.name, file.reason))
            found.append((file.name, said.reason if isinstance(said, Rejection) else None))
            assert decoder._child is not None, f"{file.name} ended its decoder"
            children.add(decoder._child.pid)
            most_mb = max(most_mb, held_mb(decoder._child.pid))
    assert found == expected
    assert len(children) == 1
    assert most_mb < MOST_MB
