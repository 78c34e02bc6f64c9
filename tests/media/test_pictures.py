import hashlib
from pathlib import Path

import pytest

from artefacts.store import ArtefactStore
from media.images import pixels, prepare
from media.pictures import StorageError, keep_picture, stored_pictures
from media.preparation import picture_key
from schemas.rejections import Reason, Rejection
from tests.media.hostile_pictures import encoded, photo

ORIGINAL = encoded(photo(), "JPEG")
KEY = picture_key(hashlib.sha256(ORIGINAL).hexdigest())


class Preparing:
    """The preparation, and how often it was asked for."""

    def __init__(self) -> None:
        self.asked = 0

    async def __call__(self, data: bytes) -> bytes | Rejection:
        self.asked += 1
        return prepare(data)


async def test_a_picture_is_kept_by_the_content_of_its_file(tmp_path: Path) -> None:
    store = ArtefactStore(str(tmp_path))
    assert await keep_picture(ORIGINAL, store, Preparing()) == KEY
    prepared = store.get(KEY)
    assert prepared is not None
    assert pixels(prepared, 224).shape == (224, 224, 3)


async def test_a_picture_is_prepared_once_and_again_when_it_was_damaged(tmp_path: Path) -> None:
    store, preparing = ArtefactStore(str(tmp_path)), Preparing()
    for _ in range(2):
        assert await keep_picture(ORIGINAL, store, preparing) == KEY
    assert preparing.asked == 1
    (tmp_path / KEY).write_bytes(b"RIFF")
    assert await keep_picture(ORIGINAL, store, preparing) == KEY
    assert (preparing.asked, store.has(KEY)) == (2, True)


async def test_what_is_no_picture_is_not_kept(tmp_path: Path) -> None:
    store = ArtefactStore(str(tmp_path))
    found = await keep_picture(b"<svg/>", store, Preparing())
    assert isinstance(found, Rejection)
    assert found.reason == Reason.IMAGE_FORMAT
    assert store.get(picture_key(hashlib.sha256(b"<svg/>").hexdigest())) is None


def test_prepared_pictures_are_read_by_key_and_no_key_has_none(tmp_path: Path) -> None:
    ArtefactStore(str(tmp_path)).put(KEY, b"prepared")
    read = stored_pictures(str(tmp_path))
    found = [read(key) for key in (KEY, picture_key("ab" * 32), "../aa", "", "models/aa", KEY + "\n")]
    assert found == [b"prepared", None, None, None, None, None]


def test_storage_that_fails_is_no_missing_picture(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"no folder")
    with pytest.raises(StorageError, match="pictures cannot be read"):
        stored_pictures(str(tmp_path / "file"))(KEY)
    with pytest.raises(StorageError, match="pictures cannot be read"):
        stored_pictures("nosuchscheme://bucket")(KEY)
