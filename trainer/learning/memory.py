"""What a training on a processor holds in memory, and what it computes again instead. Pure; knows no model.

What is held is bounded whatever the catalogue: by ``TrainingMemory``, and about a gigabyte for the libraries
and the model itself. What is computed again is the same, so the bounds cost time where texts are long, and
change nothing that is learnt.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

TOGETHER = 64


@dataclass(frozen=True)
class Shape:
    """The layers that train: their number, and the sizes of a BERT."""

    layers: int
    hidden: int
    heads: int

    def held_bytes(self, texts: int, longest: int) -> int:
        """Return about what these layers keep of ``texts`` texts padded to ``longest`` tokens, in fp32.

        Measured, within a tenth.

        >>> Shape(layers=2, hidden=384, heads=12).held_bytes(64, 94) >> 20  # 472 were measured
        472
        """
        return 4 * texts * longest * self.layers * (18 * self.hidden + 3 * self.heads * longest)


@dataclass(frozen=True)
class TrainingMemory:
    """The bounds.

    ``remembered_bytes``: what enters the trained layers, of all texts. ``held_bytes``: what they keep of a
    batch's side.
    """

    remembered_bytes: int = 384 << 20
    held_bytes: int = 512 << 20

    def remembered(self, lengths: Tensor, hidden: int) -> Tensor:
        """Return which texts (n,) of these lengths (n,) are remembered.

        The shortest first, as many as there is room for.
        """
        order = torch.argsort(lengths, stable=True)
        fits = torch.cumsum(lengths[order], 0) * hidden * 4 <= self.remembered_bytes
        return torch.zeros(len(lengths), dtype=torch.bool).index_fill(0, order[fits], 1)

    def parts(self, lengths: Sequence[int], shape: Shape) -> list[int]:
        """Return how many texts go through the layers together, of texts in ascending order of length.

        64, or fewer where they are long.
        """
        sizes: list[int] = []
        for start in range(0, len(lengths), TOGETHER):
            left = lengths[start : start + TOGETHER]
            while left:
                size = len(left)
                while size > 1 and shape.held_bytes(size, left[size - 1]) > self.held_bytes // 2:
                    size = (size + 1) // 2
                sizes.append(size)
                left = left[size:]
        return sizes

    def computed_again(self, sizes: Sequence[int], lengths: Sequence[int], shape: Shape) -> int:
        """Return how many of the first parts are not held.

        They are computed again when they are learnt from, which is after the others.
        """
        room, end = self.held_bytes, len(lengths)
        for again in range(len(sizes), 0, -1):
            room -= shape.held_bytes(sizes[again - 1], lengths[end - 1])
            if room < 0:
                return again
            end -= sizes[again - 1]
        return 0


BOUNDED = TrainingMemory()
