"""A file of a picture, as it is searched by."""

from pathlib import Path

import pytest

from commands.support.picture_files import prepared_picture
from media.images import prepare
from media.preparation import PICTURE_BYTES
from schemas.bounds import IMAGE_BYTES
from tests.media.hostile_pictures import encoded, photo, png


def test_a_picture_of_any_size_is_prepared_before_it_is_sent(tmp_path: Path) -> None:
    data = encoded(photo((3000, 2000)), "PNG")
    file = tmp_path / "shoe.txt"
    file.write_bytes(data + bytes(IMAGE_BYTES))
    found = prepared_picture(file)
    assert found == prepare(data)
    assert len(found) < IMAGE_BYTES


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"<svg/>", "image_format"),
        (png(1, 1), "image_format"),
        (encoded(photo(), "JPEG")[:900], "image_decode"),
        (png(30_000, 30_000, rows=False), "image_too_large"),
        (encoded(photo(), "JPEG") + bytes(PICTURE_BYTES), "image_too_large"),
    ],
    ids=["no picture", "1x1", "half a file", "a bomb", "more than is read"],
)
def test_what_is_no_picture_is_refused_here_with_the_reason(
    data: bytes, reason: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "file"
    file.write_bytes(data)
    with pytest.raises(SystemExit) as ended:
        prepared_picture(file)
    assert ended.value.code == 1
    assert reason in capsys.readouterr().err


def test_a_file_that_is_not_there_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        prepared_picture(tmp_path / "gone")
    assert "cannot be read" in capsys.readouterr().err
