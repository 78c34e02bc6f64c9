import hashlib
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

from media.images import pixels, prepare, thumbnail
from media.preparation import PREPARATION, SIDE
from schemas.bounds import IMAGE_BYTES
from schemas.rejections import Reason, Rejection
from tests.media.hostile_pictures import animation, encoded, photo, png

KEPT = Path(__file__).parent / "kept_pictures"
RED, GREEN, WHITE = (255, 0, 0), (0, 255, 0), (255, 255, 255)


def shown(data: bytes) -> Image.Image:
    prepared = prepare(data)
    assert isinstance(prepared, bytes), prepared
    return Image.open(BytesIO(prepared))


def near(found: object, expected: tuple[int, int, int], by: int = 8) -> bool:
    return bool(np.abs(np.asarray(found, dtype=int) - expected).max() <= by)


def test_a_large_picture_is_shrunk_into_a_square_and_nothing_is_cut_off() -> None:
    wide = shown(encoded(Image.new("RGB", (1600, 800), RED), "PNG"))
    assert (wide.format, wide.mode, wide.size) == ("WEBP", "RGB", (SIDE, SIDE))
    assert [wide.getpixel((SIDE // 2, y)) for y in (0, SIDE // 4 - 2, SIDE // 2, SIDE - 1)] == [
        WHITE,
        WHITE,
        RED,
        WHITE,
    ]


def test_a_small_picture_is_not_enlarged() -> None:
    assert shown(encoded(photo((60, 80)), "JPEG")).size == (80, 80)


@pytest.mark.parametrize("turn", range(1, 9))
def test_a_picture_is_turned_as_its_exif_says(turn: int) -> None:
    upright = photo((200, 120))
    exif = Image.Exif()
    exif[0x0112] = turn
    undo = {2: "FLIP_LEFT_RIGHT", 3: "ROTATE_180", 4: "FLIP_TOP_BOTTOM", 5: "TRANSPOSE", 6: "ROTATE_90",
            7: "TRANSVERSE", 8: "ROTATE_270"}  # fmt: skip
    stored = upright.transpose(Image.Transpose[undo[turn]]) if turn in undo else upright
    for kind in ("JPEG", "PNG", "WEBP"):
        options = {"exif": exif, "quality": 95, **({"lossless": True} if kind == "WEBP" else {})}
        found = shown(encoded(stored, kind, **options))
        assert near(found, np.asarray(shown(encoded(upright, "PNG"))), by=12), kind


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "PA"])
def test_what_is_transparent_is_white(mode: str) -> None:
    picture = Image.new("RGBA", (64, 64), (0, 0, 0, 0))
    picture.paste((0, 0, 0, 255), (0, 0, 32, 64))
    found = shown(encoded(picture.convert(mode) if mode != "PA" else picture.quantize(4), "PNG"))
    assert near(found.getpixel((8, 8)), (0, 0, 0))
    assert near(found.getpixel((56, 8)), WHITE)


def test_half_transparent_is_half_white() -> None:
    assert near(
        shown(encoded(Image.new("RGBA", (900, 900), (255, 0, 0, 128)), "PNG")).getpixel((9, 9)),
        (255, 127, 127),
    )


def test_a_transparent_gif_is_on_white() -> None:
    gif = encoded(Image.new("P", (32, 32), 0), "GIF", transparency=0)
    assert near(shown(gif).getpixel((9, 9)), WHITE)


@pytest.mark.parametrize(
    "data",
    [
        encoded(Image.new("RGB", (64, 64), RED), "PNG"),
        encoded(Image.new("RGB", (64, 64), RED).convert("P"), "GIF"),
        encoded(Image.new("RGB", (64, 64), RED).convert("CMYK"), "JPEG", quality=95),
        encoded(Image.new("RGB", (6400, 640), RED), "JPEG", quality=95),
        encoded(Image.new("RGB", (64, 64), RED), "WEBP", lossless=True),
        *(animation(kind) for kind in ("GIF", "WEBP", "PNG")),
    ],
)
def test_red_stays_red(data: bytes) -> None:
    found = shown(data)
    assert near(found.getpixel((found.width // 2, found.height // 2)), RED)


@pytest.mark.parametrize("side", [40, 900])
def test_sixteen_bits_keep_their_brightness(side: int) -> None:
    ramp = (
        Image.linear_gradient("L").resize((side, side)).convert("I").point(lambda v: v * 257).convert("I;16")
    )
    plain = Image.linear_gradient("L").resize((side, side))
    assert near(shown(encoded(ramp, "PNG")), np.asarray(shown(encoded(plain, "PNG"))), by=1)
    assert near(shown(encoded(Image.new("1", (side, side), 1), "PNG")), WHITE)
    assert near(shown(png(side, side, depth=16, colour=2)).getpixel((9, 9)), (0, 0, 0))


def test_colours_follow_the_profile() -> None:
    """In this profile red and green are swapped, so that its red is a green in sRGB."""
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    swapped = srgb
    for channel in (b"XYZ", b"TRC"):
        swapped = (
            swapped.replace(b"r" + channel, b"?")
            .replace(b"g" + channel, b"r" + channel)
            .replace(b"?", b"g" + channel)
        )
    red = Image.new("RGB", (32, 32), RED)
    assert near(shown(encoded(red, "PNG", icc_profile=swapped)).getpixel((9, 9)), GREEN)
    assert near(shown(encoded(red.convert("RGBA"), "PNG", icc_profile=swapped)).getpixel((9, 9)), GREEN)
    assert near(shown(encoded(red, "PNG", icc_profile=srgb)).getpixel((9, 9)), RED, by=1)


def test_only_pixels_come_out() -> None:
    data = (
        encoded(photo(), "JPEG", exif=b"Exif\0\0secret-of-the-camera", comment=b"secret")
        + b"<script>secret</script>"
    )
    prepared = prepare(data)
    assert isinstance(prepared, bytes)
    assert b"secret" not in prepared


def test_the_same_bytes_give_the_same_bytes() -> None:
    data = encoded(photo((1000, 700), "CMYK"), "JPEG")
    assert prepare(data) == prepare(data)


def test_a_prepared_picture_that_is_prepared_again_stays_as_it_is() -> None:
    for path in sorted(KEPT.iterdir()):
        prepared = prepare(path.read_bytes())
        assert isinstance(prepared, bytes)
        assert prepare(prepared) == prepared, path.name


def test_whatever_it_shows_a_prepared_picture_may_be_searched_by() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (2 * SIDE, SIDE * 2, 3), dtype=np.uint8)
    for side in (SIDE, 2 * SIDE):
        prepared = prepare(encoded(Image.fromarray(noise[:side, :side]), "PNG"))
        assert isinstance(prepared, bytes)
        assert len(prepared) < IMAGE_BYTES * 0.9
        assert prepare(prepared) == prepared


def test_a_prepared_picture_is_read_as_a_square_of_the_model_s_side() -> None:
    prepared = prepare(encoded(photo(), "PNG"))
    assert isinstance(prepared, bytes)
    assert [pixels(prepared, side).shape for side in (224, 300, SIDE)] == [
        (s, s, 3) for s in (224, 300, SIDE)
    ]
    assert pixels(prepared, 224).dtype == np.uint8


@pytest.mark.parametrize(
    "data",
    [b"", b"RIFF\x04\0\0\0WEBP", encoded(photo(), "PNG"), encoded(photo((64, 32)), "WEBP"),
     encoded(Image.new("RGBA", (64, 64)), "WEBP"), encoded(photo((64, 64)), "WEBP")[:-40]],
)  # fmt: skip
def test_what_was_not_prepared_is_not_read(data: bytes) -> None:
    with pytest.raises(ValueError, match="prepared picture"):
        pixels(data, 224)


def test_a_refusal_says_what_is_expected() -> None:
    found = prepare(encoded(photo((1, 1)), "PNG"))
    assert isinstance(found, Rejection)
    assert found.reason == Reason.IMAGE_FORMAT
    assert found.problems[0].message == "1x1: at least 16 pixels a side are shown"


# A change here is another preparation: raise PREPARATION, and say so in the changelog.
PIXELS = {
    "deep.png": "b884482604bbdab3",
    "moving.gif": "ed4ee7ef15177048",
    "palette.png": "d7f39031d28112d1",
    "printed.jpg": "db73a99e95fc6285",
    "profiled.webp": "50084cdc1e624721",
    "turned.jpg": "87d643d31e322524",
}


def test_what_comes_out_is_what_this_preparation_has_always_given() -> None:
    found = {}
    for path in sorted(KEPT.iterdir()):
        prepared = prepare(path.read_bytes())
        assert isinstance(prepared, bytes)
        found[path.name] = hashlib.sha256(pixels(prepared, 224).tobytes()).hexdigest()[:16]
    assert (PREPARATION, found) == (1, PIXELS)


def test_a_thumbnail_is_small_and_of_prepared_pictures_only() -> None:
    prepared = prepare(encoded(photo((900, 600)), "JPEG"))
    assert isinstance(prepared, bytes)
    small = Image.open(BytesIO(thumbnail(prepared, 96)))
    assert (small.format, small.size) == ("WEBP", (96, 96))
    assert len(thumbnail(prepared, 96)) < 4096
    with pytest.raises(ValueError, match="a prepared picture is a WEBP file"):
        thumbnail(b"no picture", 96)
