"""A generation in words. Pure."""

from retrieval.naming import stamp_of
from schemas.releases import Release


def kind_in_words(release: Release) -> str:
    """Return what kind of generation it is: a refresh is one of the generation whose model it has."""
    return "full" if release.kind == "full" else f"refresh of {stamp_of(release)}"
