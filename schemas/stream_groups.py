"""The consumer groups of the stream, by which it is seen how far each step has come."""

from typing import Literal

from schemas.settings import Settings


def intake_group(settings: Settings, what: Literal["products", "events"]) -> str:
    """Return the consumer group that takes in the raw products.

    Or that of the raw searches, interactions and erasures.
    """
    return f"{settings.topic_prefix}intake-{what}"


def pictures_group(settings: Settings) -> str:
    """Return the consumer group that prepares the pictures of the catalogue."""
    return f"{settings.topic_prefix}pictures"


def learn_group(settings: Settings) -> str:
    """Return the consumer group of both agents, which is the id of the Faust app."""
    return f"{settings.topic_prefix}learn"
