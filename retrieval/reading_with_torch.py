"""Read the folder of any model with torch: a plain BERT alone, all others by sentence-transformers.

The one door to torch for who encodes: an encoder imports it when no other library reads its model.
"""

from pathlib import Path

import torch

from retrieval.plain_bert import PlainBert
from retrieval.torch_model import TorchModel


def read_with_torch(folder: Path, *, device: str, threads: int | None) -> TorchModel:
    """Load a model onto a device. ``threads``: torch's, of the entire process; None: as they are.

    Raises whatever its files, and the libraries that read them, make of what cannot be read.
    """
    if threads is not None:
        torch.set_num_threads(threads)
    if plain := PlainBert.read(folder):
        return plain.to(device)
    from retrieval.library_model import LibraryModel  # noqa: PLC0415 (240 MB that most models do not need)

    return LibraryModel(folder, device)
