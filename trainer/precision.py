"""Whether half precision pays on this processor: measured, since it is a gain only where the hardware has it, and a loss elsewhere."""

import time

import torch

from trainer.towers import Tower


def bf16_is_faster(tower: Tower, texts: int) -> bool:
    """Time passes forward and backward of a few texts each way; True when bf16 takes less than 0.8 of the time. Gives up after one slow."""
    sample = torch.arange(min(8, texts))

    def once(*, bf16: bool) -> float:
        began = time.perf_counter()
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=bf16):
            out = tower.embed(sample)
        torch.autograd.grad(out.float().sum(), tower.trained(), allow_unused=True)
        return time.perf_counter() - began

    tower.train_mode(False)
    plain = [once(bf16=False) for _ in range(3)]
    if once(bf16=True) > 3 * min(plain):
        return False
    return min(once(bf16=True) for _ in range(2)) < 0.8 * min(plain)
