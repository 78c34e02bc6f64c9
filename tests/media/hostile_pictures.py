"""Files that want something of whoever opens them, made here: what each is, and what must become of it."""

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO

from PIL import Image, ImageCms

from schemas.rejections import Reason


@dataclass(frozen=True)
class Hostile:
    """One file. ``reason`` None: it is prepared like any other."""

    name: str
    data: bytes
    reason: Reason | None


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    file = BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def png(
    width: int, height: int, *, depth: int = 8, colour: int = 6, extra: bytes = b"", rows: bool = True
) -> bytes:
    """Return a PNG of zeros, made without holding its pixels."""
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    channels = {0: 1, 2: 3, 6: 4}[colour]
    row = bytes(1 + (width * channels * depth + 7) // 8)
    pack = zlib.compressobj(1)
    body = b"".join(pack.compress(row) for _ in range(height)) + pack.flush() if rows else zlib.compress(b"")
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + extra + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def photo(size: tuple[int, int] = (300, 200), mode: str = "RGB") -> Image.Image:
    """Return a picture with something in it: red rises to the right, green falls downwards."""
    bands = [Image.linear_gradient("L").rotate(turn).resize(size) for turn in (90, 180, 0)]
    return Image.merge("RGB", bands).convert(mode)


def scan_bomb(scans: int) -> bytes:
    """Return a progressive JPEG that goes over its pixels again and again, for ten bytes each."""
    plain = encoded(photo((64, 64), "L"), "JPEG", progressive=True)
    last = plain.rindex(b"\xff\xda")
    return plain[:last] + plain[last:-2] * scans + plain[-2:]


def gif_with_screen(width: int, height: int) -> bytes:
    plain = bytearray(encoded(photo((20, 20)).quantize(4), "GIF"))
    plain[6:10] = struct.pack("<HH", width, height)
    return bytes(plain)


def webp_with_canvas(width: int, height: int) -> bytes:
    plain = animation("WEBP")  # of one that does not move, the canvas must be that of its picture
    sizes = struct.pack("<I", width - 1)[:3] + struct.pack("<I", height - 1)[:3]
    return plain[:24] + sizes + plain[30:]


def animation(kind: str) -> bytes:
    red, blue = (Image.new("RGB", (40, 40), colour) for colour in ("red", "blue"))
    return encoded(red, kind, save_all=True, append_images=[blue, red] * 250, duration=10)


def hostile() -> Iterator[Hostile]:
    """Yield the corpus. Only the files that are prepared at the limit are large."""
    jpeg = encoded(photo(), "JPEG")
    png_ = encoded(photo(), "PNG")
    tiff = encoded(photo((20, 20)), "TIFF", save_all=True, append_images=[photo((20, 20))] * 200)
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    decode, large, none = Reason.IMAGE_DECODE, Reason.IMAGE_TOO_LARGE, Reason.IMAGE_FORMAT
    yield Hostile("zero bytes", b"", none)
    yield Hostile("one byte", b"\xff", none)
    yield Hostile("a page", b"<!doctype html><img src=http://127.0.0.1/>", none)
    yield Hostile(
        "an SVG with an entity bomb", b'<?xml version="1.0"?><!DOCTYPE s [<!ENTITY a "aa">]><svg/>', none
    )
    yield Hostile(
        "an SVG", b'<svg xmlns="http://www.w3.org/2000/svg"><image href="file:///etc/passwd"/></svg>', none
    )
    yield Hostile("a TIFF of many pages", tiff, none)
    yield Hostile("a BMP called PNG", encoded(photo(), "BMP"), none)
    yield Hostile("PostScript", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", none)
    yield Hostile("a PDF", b"%PDF-1.7\n", none)
    yield Hostile("a RIFF that is sound", b"RIFF\x24\0\0\0WAVEfmt ", none)
    yield Hostile("a PNG's name on a page", b"\x89PNG\r\n\x1a\n<script>", decode)
    yield Hostile("a JPEG's name on zeros", b"\xff\xd8\xff" + bytes(1000), decode)
    yield Hostile("a GIF's name on text", b"GIF89a=1;alert(1)//", decode)
    yield Hostile("a WEBP's name on nothing", b"RIFF\x04\0\0\0WEBP", decode)
    for kind, data in (("JPEG", jpeg), ("PNG", png_), ("WEBP", encoded(photo(), "WEBP"))):
        yield Hostile(f"a {kind} cut short", data[: len(data) * 2 // 3], decode)
        yield Hostile(f"a {kind} of its first 40 bytes", data[:40], decode)
    yield Hostile("a GIF cut short", encoded(photo().quantize(64), "GIF")[:900], decode)
    yield Hostile("a PNG with a wrong checksum", png_[:60] + bytes([png_[60] ^ 1]) + png_[61:], decode)
    yield Hostile("a PNG without pixels", png(300, 300, rows=False), decode)
    yield Hostile("1x1", encoded(photo((1, 1)), "PNG"), none)
    yield Hostile("1x10000", encoded(photo((1, 10_000)), "PNG"), none)
    yield Hostile("10000x16", encoded(photo((10_000, 16)), "PNG"), None)
    yield Hostile("0x0", png(0, 0, rows=False), decode)
    yield Hostile("16x40000", png(16, 40_000, colour=0), large)
    yield Hostile("a bomb of 20000x20000", png(20_000, 20_000, depth=1, colour=0), large)
    yield Hostile("a PNG that says 2 billion a side", png(2**31 - 1, 2**31 - 1, rows=False), large)
    yield Hostile("a GIF with a screen of 65535x65535", gif_with_screen(65_535, 65_535), large)
    yield Hostile("a WEBP with a canvas of 16383x16383", webp_with_canvas(16_383, 16_383), large)
    yield Hostile("a WEBP with a canvas of 8000x8000", webp_with_canvas(8_000, 8_000), large)
    yield Hostile("17 MB", jpeg + bytes(17 * 2**20), large)
    yield Hostile("a JPEG of 50000 scans", scan_bomb(50_000), large)
    yield Hostile("a PNG with a text that unpacks to 8 MB", png(
        20, 20, extra=chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(8 * 2**20)))), decode)  # fmt: skip
    yield Hostile("a PNG with a profile that unpacks to 8 MB", png(
        20, 20, extra=chunk(b"iCCP", b"a\0\0" + zlib.compress(bytes(8 * 2**20)))), decode)  # fmt: skip
    yield Hostile("a PNG of 50000 empty texts", png(20, 20, extra=chunk(b"tEXt", b"a\0") * 50_000), None)
    yield Hostile("a broken profile", encoded(photo(), "JPEG", icc_profile=b"acsp" * 100), None)
    yield Hostile("a profile cut short", encoded(photo(), "JPEG", icc_profile=srgb[:200]), None)
    yield Hostile("a profile of other channels", encoded(photo(mode="L"), "JPEG", icc_profile=srgb), None)
    yield Hostile("broken EXIF", encoded(photo(), "JPEG", exif=b"Exif\0\0MM\0*\xff\xff\xff\xff"), None)
    yield Hostile("EXIF that points to itself", encoded(photo(), "JPEG", exif=(
        b"Exif\0\0II*\0\x08\0\0\0\x01\0\x69\x87\x04\0\x01\0\0\0\x08\0\0\0\x08\0\0\0")), None)  # fmt: skip
    yield Hostile("EXIF that turns by 77", encoded(photo(), "JPEG", exif=(
        b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x4d\0\0\0\0\0\0\0")), None)  # fmt: skip
    yield Hostile("a GIF of 501 frames", animation("GIF"), None)
    yield Hostile("a WEBP of 501 frames", animation("WEBP"), None)
    yield Hostile("a PNG of 501 frames", animation("PNG"), None)
    yield Hostile("a JPEG that is a page as well", jpeg + b"<script>alert(1)</script>", None)
    yield Hostile(
        "a GIF that is an archive as well",
        encoded(photo().quantize(64), "GIF") + b"PK\x05\x06" + bytes(18),
        None,
    )
    yield Hostile("the largest PNG with a colour that is none", png(
        8000, 5000, colour=2, extra=chunk(b"tRNS", bytes(6))), None)  # fmt: skip
    yield Hostile("the largest grey PNG of 16 bits", png(8000, 5000, depth=16, colour=0), None)
    yield Hostile(
        "the largest WEBP",
        encoded(Image.new("RGBA", (4096, 4096)), "WEBP", lossless=True, quality=0, method=0),
        None,
    )
    yield Hostile(
        "the largest JPEG",
        encoded(Image.new("CMYK", (8000, 5000)), "JPEG", progressive=True, subsampling=0),
        None,
    )
