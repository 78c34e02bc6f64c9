"""What a fine-tune learns from: weighted pairs, and what is known beside them. Knows no model."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from media.pictures import Pictures
from retrieval.document import only
from trainer.learning.numbering import Numbers
from trainer.learning.sampling import Rows
from trainer.learning.twins import stand_ins


@dataclass(frozen=True)
class TrainingData:
    """``pairs``: query, product_id, weight, and optionally ``new`` (bool; False marks the replay side).

    ``known``: query and product_id of all engagement before the cut, and optionally ``log_popularity``,
    without which a product is as popular as it has pairs. ``texts``: the document of every product of both.
    ``inner``: query, product_id, gain of queries that are neither trained nor tested, for validation.
    ``pictures``: where the pictures of documents are read.
    """

    pairs: pl.DataFrame
    known: pl.DataFrame
    texts: Mapping[str, str]
    inner: pl.DataFrame | None = None
    pictures: Pictures | None = None

    @property
    def new_rows(self) -> Rows:
        """The rows of ``pairs`` that the start has not seen; all, where the pairs do not say."""
        return (
            np.flatnonzero(self.pairs["new"].to_numpy())
            if "new" in self.pairs.columns
            else np.arange(self.pairs.height)
        )

    def read_by(self, fields: Collection[str]) -> "TrainingData":
        """Return it with these fields of each document alone."""
        return replace(self, texts={product: only(one, fields) for product, one in self.texts.items()})

    def numbered(self) -> Numbers:
        """Return all of it by number, one product standing for those of the same document."""
        told = {
            product
            for frame in (self.pairs, self.known, self.inner)
            if frame is not None
            for product in frame["product_id"].to_list()
        }
        return Numbers.of(
            self.pairs, self.known, self.inner, stand_ins({product: self.texts[product] for product in told})
        )
