"""Whether half precision pays on this processor: measured, since it is a gain only where the hardware has it, and a loss elsewhere.

By CPU time, which other busy processes do not change, and once for a training: one that was killed goes on with what it began with.
"""

import time
from pathlib import Path

import torch

from trainer.towers import Tower


def bf16_pays(folder: Path, tower: Tower, texts: int) -> bool:
    """Return what ``bf16_is_faster`` has found for the training whose checkpoints lie in ``folder``, measured at the first call."""
    path = folder / "bf16"
    if not path.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        path.write_text(str(bf16_is_faster(tower, texts)))
    return path.read_text() == str(True)


def bf16_is_faster(tower: Tower, texts: int) -> bool:
    """Time passes forward and backward of a few texts each way; True when bf16 takes less than 0.8 of the time. Gives up after one slow."""
    sample = torch.arange(min(8, texts))

    def once(*, bf16: bool) -> float:
        began = time.process_time()
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=bf16):
            out = tower.embed(sample)
        torch.autograd.grad(out.float().sum(), tower.trained(), allow_unused=True)
        return time.process_time() - began

    tower.train_mode(False)
    plain = [once(bf16=False) for _ in range(3)]
    if once(bf16=True) > 3 * min(plain):
        return False
    return min(once(bf16=True) for _ in range(2)) < 0.8 * min(plain)
