"""What each finding is called, and what to do about it, in a sentence each."""

from collections.abc import Mapping
from types import MappingProxyType

from retrieval.document import DESCRIPTION_CHARS_READ, MAX_VALUE_CHARS
from schemas.rejections import Reason

# By the name of a finding, or by its kind alone for fields that have nothing of their own to say.
_SAID: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "absent": ("is missing", "Send it where you have it: it is searched, filtered or shown."),
        "blank": ("is blank", "Send a text, or leave the field out."),
        "placeholder": (
            "is a placeholder",
            "Send the real value, or leave the field out: shoppers are shown this one.",
        ),
        "invalid": (
            "is refused",
            "Intake refuses the whole product: send it as docs/getting-started.md says.",
        ),
        "too_long": (
            "is too long",
            "Intake refuses the whole product: shorten it (bounds: schemas/bounds.py).",
        ),
        "record.refused": (
            "is refused as a whole",
            "Nothing of this record reaches the catalogue: the example says why.",
        ),
        "field.unknown": (
            "is read by nobody",
            "Rename it to the field of the contract that means it, or send it in `attributes`.",
        ),
        "record.repeated_id": (
            "comes several times",
            "The last one stays: send each product once, or give each its own id.",
        ),
        "record.same_content": (
            "is the same as another but for its id",
            "Keep one of them, or give variants one `group_id`.",
        ),
        "title.absent": ("is missing", "Intake refuses a product without a title: send one."),
        "title.blank": ("is blank", "Intake refuses a product without a title: send one."),
        "title.placeholder": ("is a placeholder", "Send the product's name: it is what search reads first."),
        "title.cut": (
            "is longer than the model reads",
            "Put what tells the product apart first, and the rest in `description`.",
        ),
        "title.same": ("is that of another product", "Say what differs, or give variants one `group_id`."),
        "title.alike": (
            "is nearly that of another product",
            "Delete the copy, or give variants one `group_id`.",
        ),
        "text.cut": (
            "that the model reads is cut",
            "Title, brand, category and short attributes are too long together: shorten them.",
        ),
        "description.unread": (
            "is searched in its beginning only",
            f"Beyond its first {DESCRIPTION_CHARS_READ} characters it finds nothing: say first what matters.",
        ),
        "description.same": (
            "is the same text in many products",
            "Describe the product, not the shop or the series.",
        ),
        "category_path.absent": ("is missing", "Send it: filters, facets and the usual prices go by it."),
        "price.zero": ("is 0", "Send the price, or leave it out: who sorts by price sees these first."),
        "price.odd": (
            "is far from those of its category",
            "Look for a slipped decimal point, cents, or another currency.",
        ),
        "price.placeholder": ("is made up", "Send the price, or leave it out until there is one."),
        "currency.absent": (
            "is missing",
            "Send three letters, such as EUR: a price without one is a number.",
        ),
        "attributes.absent": ("are missing", "Send what shoppers filter by: colour, size, material."),
        "attributes.blank": ("hold a blank value", "Leave out what is not known."),
        "attributes.placeholder": (
            "hold a placeholder",
            "Leave out what is not known: it becomes a value of facets.",
        ),
        "attributes.unread": (
            "hold a text that no model reads",
            f"Models read texts of up to {MAX_VALUE_CHARS} characters: put longer ones in `description`.",
        ),
        "attributes.mixed": (
            "are numbers in some products and words in others",
            "Send numbers alone, the unit in the name: a filter by range misses the words.",
        ),
        "attributes.numbers_as_text": (
            "are numbers in quotes",
            "Send them as numbers; filters here read both, others not.",
        ),
        "image.absent": ("is missing", "Send its address, if shoppers are to find by pictures."),
        "image.waiting": ("waits to be fetched", "Wait, or see `searchloop pictures` and docs/pictures.md."),
        "image.broken": (
            "is not in the store, or not as it was kept",
            "Run `searchloop pictures --again all` to have it fetched again.",
        ),
        "image.not_found": (
            "is not among the files",
            "Name the file as `image.uri` does, by its last part at least.",
        ),
        "image.placeholder": ("is one that stands for no picture", "Leave the field out until there is one."),
        "image.too_long": (
            "has an address that is too long",
            "The product is taken without its picture: send a shorter address, and none of `data:`.",
        ),
        "image.same": (
            "is that of another product",
            "Send the product's own, or give variants one `group_id`.",
        ),
        "image.alike": (
            "looks like that of another product",
            "Look whether it is one product under two ids.",
        ),
        f"image.{Reason.IMAGE_FETCH}": (
            "could not be fetched",
            "See what `catalog` says of it, then `searchloop pictures --again failed`.",
        ),
        f"image.{Reason.IMAGE_FORMAT}": (
            "is of a format that is not read",
            "Send a JPEG, PNG, GIF or WEBP of 16 pixels a side or more.",
        ),
        f"image.{Reason.IMAGE_TOO_LARGE}": (
            "is too large",
            "Send a smaller one: 384 pixels a side are seen.",
        ),
        f"image.{Reason.IMAGE_DECODE}": ("is broken", "Send the file again: it is cut short or damaged."),
    }
)
_NAMES = MappingProxyType({"category_path": "category", "record": "product", "image": "picture"})


def said_of(field: str, kind: str) -> tuple[str, str]:
    """Return what is found and what to do.

    >>> said_of("brand", "blank")
    ('brand is blank', 'Send a text, or leave the field out.')
    """
    what, advice = _SAID.get(f"{field}.{kind}") or _SAID[kind]
    if field == "attributes" and what.startswith("is "):
        what = f"are{what.removeprefix('is')}"
    return f"{_NAMES.get(field, field)} {what}", advice
