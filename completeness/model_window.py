"""How much of a text the base model reads, by its own tokenizer; the model itself is not loaded."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from retrieval.plain_folder import read_plain_folder

if TYPE_CHECKING:
    from tokenizers import Tokenizer


class ModelWindow:
    """Counts tokens. ``length``: of a text in tokens, at most, with those that begin and end it."""

    def __init__(self, tokenizer: "Tokenizer", length: int) -> None:
        self._tokenizer, self.length = tokenizer, length
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()

    @classmethod
    def read(cls, folder: Path) -> "ModelWindow | None":
        """Return that of a plain BERT; None for any other kind, whose limit only its library knows.

        Raises ``ImportError`` where no tokenizers are installed, as for the API alone, ``OSError`` and
        ``ValueError`` for a folder that cannot be read.
        """
        from tokenizers import Tokenizer  # noqa: PLC0415 (the API's extra has none)

        plain = read_plain_folder(folder)
        return None if plain is None else cls(Tokenizer.from_file(str(plain.tokenizer)), plain.length)

    def tokens(self, texts: Sequence[str]) -> list[int | None]:
        """Return how many tokens each text has; None for one that fits by its bytes, and is not looked at.

        A token has at least one byte, so few texts are counted.
        """
        special = self._tokenizer.num_special_tokens_to_add(is_pair=False)
        long = [
            n for n, text in enumerate(texts) if len(text.encode(errors="replace")) + special > self.length
        ]
        counted = self._tokenizer.encode_batch([texts[n] for n in long])
        found: list[int | None] = [None] * len(texts)
        for n, one in zip(long, counted, strict=True):
            found[n] = len(one.ids)
        return found
