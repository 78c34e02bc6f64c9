"""The child in which pictures are prepared: ``python -m media.decoder``, fed by ``media.decoder_process``.

It ends with its input.
"""

import resource
import sys

from media.decoder_frames import HELLO, LENGTH_BYTES, PREPARED, REFUSED
from media.images import prepare

# What it may hold. A picture needs less (tests/media/test_hostile_pictures.py); more is a picture's fault.
_MEMORY_BYTES = 640 * 2**20


def main() -> None:
    """Prepare until the input ends."""
    resource.setrlimit(resource.RLIMIT_DATA, (_MEMORY_BYTES, _MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    files, answers = sys.stdin.buffer, sys.stdout.buffer
    answers.write(HELLO)
    answers.flush()
    while len(head := files.read(LENGTH_BYTES)) == LENGTH_BYTES:
        found = prepare(files.read(int.from_bytes(head, "big")))
        body = found if isinstance(found, bytes) else found.to_json()
        answers.write(PREPARED if isinstance(found, bytes) else REFUSED)
        answers.write(len(body).to_bytes(LENGTH_BYTES, "big") + body)
        answers.flush()


if __name__ == "__main__":
    main()
