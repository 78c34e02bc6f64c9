"""BM25 over document texts: the baseline of the gate, and the lexical part of a score.

In memory, of one moment.
"""

from collections.abc import Sequence

import bm25s
import numpy as np
import numpy.typing as npt
import Stemmer

K1 = 1.2
B = 0.75
# Also words of one character, which the library's own pattern drops: "4 x 8", "3 in", "size m"
_WORD = r"(?u)\b\w+\b"


class Lexical:
    """An index of texts (``bm25s``, Lucene's variant, English stemmer, English stop words). Immutable."""

    def __init__(self, product_ids: Sequence[str], texts: Sequence[str]) -> None:
        """``texts[i]`` is the text of ``product_ids[i]``; the order does not matter."""
        order = sorted(range(len(product_ids)), key=lambda i: product_ids[i])
        self.ids = [product_ids[i] for i in order]
        self._stemmer = Stemmer.Stemmer("english")
        tokens = self._tokens([texts[i] for i in order])
        self._index: bm25s.BM25 | None = None
        if any(tokens):
            self._index = bm25s.BM25(k1=K1, b=B, method="lucene")
            self._index.index(tokens, show_progress=False)
        self._known = {token for text in tokens for token in text}

    def rank(self, queries: Sequence[str], k: int) -> list[list[tuple[str, float]]]:
        """Return per query at most k ``(product_id, score)``, best first, a tie by the smaller id.

        Products that share no term with the query are left out, so a list may be short or empty.
        """
        return [self._one(tokens, k) for tokens in self._tokens(queries)]

    def scores(self, queries: Sequence[str]) -> npt.NDArray[np.float32]:
        """Return (n, m) scores of every product, in the order of ``ids``, which are sorted.

        0 where no term is shared.
        """
        out = np.zeros((len(queries), len(self.ids)), dtype=np.float32)
        for row, tokens in enumerate(self._tokens(queries)):
            out[row] = self._scores(tokens)
        return out

    def _one(self, tokens: list[str], k: int) -> list[tuple[str, float]]:
        scores = self._scores(tokens)
        # Ascending, so a stable sort leaves ties in the order of the ids
        matching = np.flatnonzero(scores > 0)
        best = matching[np.argsort(-scores[matching], kind="stable")[:k]]
        return [(self.ids[i], float(scores[i])) for i in best]

    def _scores(self, tokens: list[str]) -> npt.NDArray[np.float32]:
        known = [t for t in tokens if t in self._known]
        if self._index is None or not known:
            return np.zeros(len(self.ids), dtype=np.float32)
        scores: npt.NDArray[np.float32] = self._index.get_scores(known)
        return scores

    def _tokens(self, texts: Sequence[str]) -> list[list[str]]:
        tokens: list[list[str]] = bm25s.tokenize(
            [t.casefold() for t in texts],
            token_pattern=_WORD,
            stopwords="en",
            stemmer=self._stemmer,
            return_ids=False,
            show_progress=False,
        )
        return tokens
