"""A number as people write it. Pure."""


def number_of(text: str) -> float:
    """Return the number that a text says. Raises ``ValueError`` for ``1_000``, a number to Python alone.

    >>> number_of(" 9.5 ")
    9.5
    """
    return float(text.replace("_", "no digit"))
