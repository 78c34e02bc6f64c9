"""The pretrained model as a release names it: by a package that every process has, or by its digest.

A folder of one machine is none of another's, so it is put into the store before the first generation is made.
"""

import shutil
import tempfile
from pathlib import Path

from artefacts.folders import StoredFolders, is_stored
from retrieval.model_folder import BUNDLED, resolve_model


def released_name(model: str, sha256: str, folders: StoredFolders, scratch: Path) -> str:
    """Return under which name a release may hold the model, a copy of which is in ``folders`` then.

    Files with a name that begins with a dot are no part of a model. ``sha256``: its fingerprint. Blocks.
    Raises ``ModelError``, ``StoredFolderError`` and ``OSError``.
    """
    if model in BUNDLED or is_stored(model):
        return model
    with tempfile.TemporaryDirectory(dir=scratch) as place:
        copy = Path(place) / "model"
        shutil.copytree(resolve_model(model), copy, ignore=shutil.ignore_patterns(".*"))
        return folders.put("models", sha256, copy)
