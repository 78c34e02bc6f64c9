"""The pretrained model as a release names it: by a package that every process has, or by its digest.

A folder of one machine is none of another's, so it is put into the store before the first generation is made.
"""

import asyncio
import shutil
import tempfile
from pathlib import Path

import structlog

from artefacts.folders import StoreAwayError, StoredFolders, is_stored
from retrieval.model_folder import BUNDLED, files_of_model, resolve_model

log = structlog.get_logger(__name__)

AGAIN_S = 5.0  # until a store that does not answer is asked again


async def released_name(model: str, sha256: str, folders: StoredFolders, scratch: Path) -> str:
    """Return under which name a release may hold the model, a copy of which is in ``folders`` then.

    Of its files those that decide its vectors are copied, and no other. ``sha256``: its fingerprint. Waits
    for a store that does not answer. Raises ``ModelError``, ``StoredFolderError`` and ``OSError``.
    """
    if model in BUNDLED or is_stored(model):
        return model
    while True:
        try:
            return await asyncio.to_thread(_put, model, sha256, folders, scratch)
        except StoreAwayError as error:
            log.warning("the pretrained model waits", reason=str(error), again_in_s=AGAIN_S)
            await asyncio.sleep(AGAIN_S)


def _put(model: str, sha256: str, folders: StoredFolders, scratch: Path) -> str:
    folder = resolve_model(model)
    with tempfile.TemporaryDirectory(dir=scratch) as place:
        copy = Path(place) / "model"
        for path in files_of_model(folder):
            to = copy / path.relative_to(folder)
            to.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, to)
        return folders.put("models", sha256, copy)
