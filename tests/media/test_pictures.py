import hashlib
from pathlib import Path

from artefacts.store import ArtefactStore
from media.images import pixels, prepare
from media.pictures import keep_picture
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
