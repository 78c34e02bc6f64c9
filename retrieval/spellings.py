"""How a catalogue writes its brands, categories and availabilities, by the form in which they are compared.

The index of vectors holds them as they are written, and knows no case. A spelling stays known when its last
product has gone: asked for, it finds nothing. Pure.
"""

from collections.abc import Collection

from retrieval.filters import TEXTS, above
from retrieval.traits import spelling

MOST_FORMS = 100_000  # some 20 MB; of a catalogue with more the others are found as they are written
MOST_SPELLINGS = 20  # of one form


class Spellings:
    """One writer; any thread may ask meanwhile."""

    def __init__(self) -> None:
        self._written: dict[str, dict[str, tuple[str, ...]]] = {field: {} for field in TEXTS}

    def see(self, field: str, text: str) -> None:
        """Note how a product writes a field, and of a category those that hold it."""
        own = self._written[field]
        for one in (*above(text), text) if field == "category" else (text,):
            form = spelling(one)
            known = own.get(form, ())
            if one not in known and len(known) < MOST_SPELLINGS and (known or len(own) < MOST_FORMS):
                own[form] = *known, one

    def of(self, field: str, form: str) -> Collection[str]:
        """Return the spellings of a form; none where the catalogue has none."""
        return self._written[field].get(form, ())
