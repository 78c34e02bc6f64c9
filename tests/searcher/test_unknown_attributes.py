"""What is said of attributes that no product has."""

from typing import Any, cast

from retrieval.index import StoreError
from retrieval.release import LoadedRelease
from schemas.search import SearchRequest
from searcher.answering import _unknown

REQUEST = SearchRequest.model_validate(
    {
        "request_id": "r",
        "user_query": "shoe",
        "filters": [{"field": "attributes.colour", "op": "eq", "value": "red"}],
    }
)


class Release:
    """``names``: what it says to be unknown; None while its catalogue is read."""

    def __init__(self, names: list[str] | None) -> None:
        self._names = names

    def unknown(self, _: Any) -> list[str]:
        if self._names is None:
            raise StoreError("the catalogue is still being read", retryable=True)
        return self._names


def said(names: list[str] | None) -> str | None:
    fault = _unknown(cast("LoadedRelease", Release(names)), REQUEST)
    return fault.message if fault else None


def test_an_attribute_that_no_product_has_is_named():
    assert "attributes.colour" in (said(["attributes.colour"]) or "")
    assert said([]) is None


def test_a_catalogue_that_is_being_read_keeps_no_answer_of_the_index_back():
    assert said(None) is None
