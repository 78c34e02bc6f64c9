from pathlib import Path

import pytest

from artefacts.store import ArtefactStore
from media import pictures
from media.images import pixels
from media.pictures import keep_picture, picture_key
from schemas.rejections import Reason, Rejection
from tests.media.hostile_pictures import encoded, photo


def test_a_picture_is_kept_by_the_content_of_its_file(tmp_path: Path) -> None:
    store, original = ArtefactStore(str(tmp_path)), encoded(photo(), "JPEG")
    key = keep_picture(original, store)
    assert key == picture_key(original)
    assert isinstance(key, str)
    prepared = store.get(key)
    assert prepared is not None
    assert pixels(prepared, 224).shape == (224, 224, 3)
    assert picture_key(original + b" ") != key


def test_a_picture_is_prepared_once_and_again_when_it_was_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepared = []
    prepare = pictures.prepare
    monkeypatch.setattr(pictures, "prepare", lambda data: prepared.append(data) or prepare(data))
    store, original = ArtefactStore(str(tmp_path)), encoded(photo(), "JPEG")
    for _ in range(2):
        assert isinstance(keep_picture(original, store), str)
    assert len(prepared) == 1
    (tmp_path / picture_key(original)).write_bytes(b"RIFF")
    assert isinstance(keep_picture(original, store), str)
    assert len(prepared) == 2
    assert store.has(picture_key(original))


def test_what_is_no_picture_is_not_kept(tmp_path: Path) -> None:
    found = keep_picture(b"<svg/>", ArtefactStore(str(tmp_path)))
    assert isinstance(found, Rejection)
    assert found.reason == Reason.IMAGE_FORMAT
    assert not any(p.is_file() for p in tmp_path.rglob("*"))
