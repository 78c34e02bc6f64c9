"""Pictures that are the same thing again are found, and another colour is not."""

from PIL import Image, ImageDraw

from completeness.pictures_alike import alike_pictures, differences, print_of
from media.images import prepare
from tests.media.hostile_pictures import encoded, photo


def thing(colour: str, at: int = 60, kind: str = "PNG", size: int = 300, **options: object):
    picture = Image.new("RGB", (300, 240), "white")
    draw = ImageDraw.Draw(picture)
    draw.ellipse((at, 40, at + 150, 200), fill=colour)
    draw.rectangle((at + 60, 20, at + 90, 120), fill="black")
    file = encoded(picture.resize((size, size * 240 // 300)), kind, **options)
    return print_of(prepare(file))


def test_another_size_and_format_is_alike_and_another_colour_or_shape_is_not() -> None:
    prints = [
        thing("red"),
        thing("red", kind="JPEG", quality=70),
        thing("red", size=200),
        thing("blue"),
        thing("red", at=100),
        print_of(prepare(encoded(photo(), "PNG"))),
    ]
    assert alike_pictures(prints) == [[0, 1, 2]]
    assert differences(prints[0][1][None], prints[3][1][None]) > 50


def test_no_picture_and_one_picture_have_no_likes() -> None:
    assert alike_pictures([]) == []
    assert alike_pictures([thing("red")]) == []


def test_many_equal_pictures_are_one_group() -> None:
    assert alike_pictures([thing("red")] * 200) == [list(range(200))]
