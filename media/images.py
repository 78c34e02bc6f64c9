"""The one preparation of a picture: the bytes of a file in, a prepared picture or a refusal out.

Training, index and image queries read prepared pictures only, so they cannot differ. The only home of Pillow.
Of its plugins those of the four formats are asked, by content, and one picture is decoded at a time in a
process: with the limits below that takes less than 400 MB, whatever the file says.
"""

import warnings
from collections.abc import Callable, Mapping
from io import BytesIO
from threading import Lock
from types import MappingProxyType

import numpy as np
import numpy.typing as npt
from PIL import ExifTags, Image, ImageCms
from PIL.GifImagePlugin import GifImageFile
from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.WebPImagePlugin import WebPImageFile

from media.pictures import Pictures
from media.preparation import PICTURE_BYTES, SIDE
from media.sniffing import FORMATS, format_of, jpeg_scans
from schemas.decoding import refuse
from schemas.rejections import Reason, Rejection

# Less than this shows nothing: a counting pixel, a rule between paragraphs.
_SHORTEST_SIDE = 16
# More asks for hundreds of MB of row pointers and resampling weights before the first pixel.
_LONGEST_SIDE = 32_768
_MOST_PIXELS = 40_000_000
# Its decoder holds the canvas three times over, for animations that are not shown.
_MOST_WEBP_PIXELS = 4096 * 4096
_MOST_SCANS = 100
_PROFILE_BYTES = 4 * 2**20
_PLUGINS: Mapping[str, Callable[[BytesIO], ImageFile]] = MappingProxyType(
    {"JPEG": JpegImageFile, "PNG": PngImageFile, "GIF": GifImageFile, "WEBP": WebPImageFile}
)
_FILTER = Image.Resampling.BICUBIC
_SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
_TURNS = MappingProxyType(
    {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_270,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_90,
    }
)
_ONE_AT_A_TIME = Lock()
# Pillow's own check refuses above twice its limit. The plugin for WEBP allocates its canvases right after it,
# before anybody else can ask for the size.
Image.MAX_IMAGE_PIXELS = _MOST_PIXELS // 2


def prepare(data: bytes) -> bytes | Rejection:
    """Return the prepared picture: a square of RGB in sRGB, on white, as lossless WEBP.

    The picture is shown as a browser shows it: the first frame, turned as its EXIF says, colours by its
    profile. It is shrunk to ``SIDE``, never enlarged, and centred on white, so that nothing is cut off and
    nothing distorted. What cannot be read of EXIF or profile is left out. The same bytes give the same
    bytes. Refusals: ``image_format``, ``image_too_large``, ``image_decode``.
    """
    kind = format_of(data)
    if kind is None:
        return refuse(Reason.IMAGE_FORMAT, message=f"the content is none of {', '.join(FORMATS)}")
    if len(data) > PICTURE_BYTES:
        return refuse(Reason.IMAGE_TOO_LARGE, message=f"more than {PICTURE_BYTES} bytes")
    if kind == "JPEG" and jpeg_scans(data, most=_MOST_SCANS) > _MOST_SCANS:
        return refuse(Reason.IMAGE_TOO_LARGE, message=f"more than {_MOST_SCANS} scans")
    with _ONE_AT_A_TIME, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of metadata that is left out
        try:
            return _prepared(_PLUGINS[kind](BytesIO(data)), kind)
        except (Image.DecompressionBombError, MemoryError):
            return refuse(Reason.IMAGE_TOO_LARGE, message=f"more than {_MOST_PIXELS} pixels")
        except Exception as error:  # decoders raise whatever their format leads them to
            return refuse(Reason.IMAGE_DECODE, message=f"broken {kind}: {type(error).__name__}")


def pixels(prepared: bytes, side: int) -> npt.NDArray[np.uint8]:
    """Return a prepared picture as ``(side, side, 3)``, for a model that sees squares of that side.

    The last change of size happens here, so that no model's own processor has one to make. Raises
    ``ValueError`` for bytes that ``prepare`` did not give.
    """
    if format_of(prepared) != "WEBP":
        raise ValueError("a prepared picture is a WEBP file")
    with _ONE_AT_A_TIME:
        try:
            image: Image.Image = WebPImageFile(BytesIO(prepared))
            if image.mode != "RGB" or image.width != image.height or image.width > SIDE:
                raise ValueError(f"a prepared picture is a square of RGB of at most {SIDE} pixels")
            if image.width != side:
                image = image.resize((side, side), _FILTER)
            return np.asarray(image)
        except (SyntaxError, EOFError, OSError) as error:
            raise ValueError("a broken WEBP file is no prepared picture") from error


def square_of(key: str, pictures: Pictures, side: int) -> npt.NDArray[np.uint8] | None:
    """Return the picture of a key as ``pixels`` does; None: it is not there, or is no prepared picture.

    Raises what ``pictures`` does.
    """
    prepared = pictures(key)
    try:
        return None if prepared is None else pixels(prepared, side)
    except ValueError:  # what is named in `catalog` is not ours alone
        return None


def thumbnail(prepared: bytes, side: int) -> bytes:
    """Return a prepared picture as a small WEBP of at most ``side`` pixels a side, for people to look at.

    Raises ``ValueError`` for bytes that ``prepare`` did not give.
    """
    seen = pixels(prepared, side)
    file = BytesIO()
    Image.fromarray(seen).save(file, "WEBP", quality=70, method=4)
    return file.getvalue()


def _prepared(image: ImageFile, kind: str) -> bytes | Rejection:
    width, height = image.size
    if min(image.size) < _SHORTEST_SIDE:
        return refuse(
            Reason.IMAGE_FORMAT,
            message=f"{width}x{height}: at least {_SHORTEST_SIDE} pixels a side are shown",
        )
    most = _MOST_WEBP_PIXELS if kind == "WEBP" else _MOST_PIXELS
    if width * height > most or max(image.size) > _LONGEST_SIDE:
        return refuse(
            Reason.IMAGE_TOO_LARGE,
            message=f"{width}x{height}: at most {most} pixels and {_LONGEST_SIDE} a side are decoded",
        )
    shrunk = _shrunk(image)
    info = image.info  # a PNG has some of it behind the pixels
    turned = shrunk.transpose(_TURNS[turn]) if (turn := _orientation(info.get("exif"))) in _TURNS else shrunk
    return _encoded(_squared(_on_white(turned, info.get("icc_profile"))))


def _shrunk(image: ImageFile) -> Image.Image:
    """Return the pixels as L, RGB, RGBA or CMYK, the longer side at most ``SIDE``.

    Before turn and colours, which then cost nothing.
    """
    share = min(1.0, SIDE / max(image.size))
    size = (max(1, round(image.width * share)), max(1, round(image.height * share)))
    if isinstance(image, JpegImageFile):
        image.draft(None, (2 * size[0], 2 * size[1]))  # decoded at a half, quarter or eighth where that does
    image.load()
    full = _plain(image)
    small = full.resize(size, _FILTER) if full.size != size else full
    if small.mode in {"I;16", "I"}:
        return small.point(lambda value: value * (1 / 257) + 0.5).convert("L")
    return small


def _plain(image: ImageFile) -> Image.Image:
    """Return a picture that can be resampled; the one it was made of is let go."""
    if image.mode != "RGBA" and image.has_transparency_data:
        mode = "RGBA"
    elif image.mode in {"P", "1"}:
        mode = "RGB" if image.mode == "P" else "L"
    else:
        return image
    plain = image.convert(mode)
    image.close()
    return plain


def _orientation(exif: object) -> int:
    """Return how the picture is to be turned, 1 to 8; what cannot be read turns nothing."""
    tags = Image.Exif()
    try:
        tags.load(exif if isinstance(exif, bytes) else b"")
        turn = tags.get(ExifTags.Base.Orientation)
    except Exception:  # as in prepare: EXIF is a format of its own, and no pixel depends on it
        return 1
    return turn if isinstance(turn, int) else 1


def _on_white(image: Image.Image, profile: object) -> Image.Image:
    alpha = image.getchannel("A") if image.mode == "RGBA" else None
    opaque = _in_srgb(image.convert("RGB") if alpha else image, profile)
    if alpha is None:
        return opaque
    white = Image.new("RGB", image.size, "white")
    white.paste(opaque, mask=alpha)
    return white


def _in_srgb(image: Image.Image, profile: object) -> Image.Image:
    """Return the picture in sRGB; a profile that is broken, huge or of other channels counts for none."""
    if isinstance(profile, bytes) and len(profile) <= _PROFILE_BYTES:
        try:
            source = ImageCms.ImageCmsProfile(BytesIO(profile))
            changed = ImageCms.profileToProfile(image, source, _SRGB, outputMode="RGB")
        except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
            changed = None
        if changed is not None:
            return changed
    return image.convert("RGB")


def _squared(image: Image.Image) -> Image.Image:
    side = max(image.size)
    square = Image.new("RGB", (side, side), "white")
    square.paste(image, ((side - image.width) // 2, (side - image.height) // 2))
    return square


def _encoded(square: Image.Image) -> bytes:
    file = BytesIO()
    square.save(file, "WEBP", lossless=True, quality=0, method=0)
    return file.getvalue()
