"""Keep only a part of what training has moved the weights.

Between what the start knew and what was learnt lies often the best of both. Weight-space ensembling of a
fine-tuned with its zero-shot model: WiSE-FT, Wortsman et al. 2022.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch


class Blend:
    """Remembers parameters as they are now; later their ``share`` of the way since then is kept.

    1.0: all of it.
    """

    def __init__(self, parameters: Mapping[str, torch.Tensor], share: float) -> None:
        self._parameters, self._share = parameters, share
        self._start = {name: parameter.detach().clone() for name, parameter in parameters.items()}

    @torch.no_grad()
    def apply(self) -> None:
        """Move the parameters back by what is not kept."""
        for name, parameter in self._parameters.items():
            parameter.copy_(torch.lerp(self._start[name], parameter, self._share))

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Apply it for as long as the context lasts."""
        moved = {name: parameter.detach().clone() for name, parameter in self._parameters.items()}
        self.apply()
        try:
            yield
        finally:
            with torch.no_grad():
                for name, parameter in self._parameters.items():
                    parameter.copy_(moved[name])
