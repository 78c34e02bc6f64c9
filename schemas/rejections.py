"""Why a record was refused: a closed list, so that dashboards, alerts and tests can count on it."""

from enum import StrEnum

from schemas.base import Fact


class Reason(StrEnum):
    """The reason of a refusal, as it stands in the header ``dlq.reason`` and in the metrics."""

    JSON_DECODE = "json_decode"
    NOT_OBJECT = "not_object"
    SCHEMA = "schema"
    UNSUPPORTED_VERSION = "unsupported_version"
    ENVELOPE_CONFLICT = "envelope_conflict"
    KEY_MISMATCH = "key_mismatch"
    NO_IDENTITY = "no_identity"
    NO_PRODUCT = "no_product"
    NAIVE_TIMESTAMP = "naive_timestamp"
    FUTURE_TIMESTAMP = "future_timestamp"
    TOO_OLD = "too_old"
    TOO_LARGE = "too_large"
    TOO_MANY = "too_many"
    BLANK_TEXT = "blank_text"
    PLACEHOLDER_TEXT = "placeholder_text"
    UNDECODABLE_TEXT = "undecodable_text"
    UNKNOWN_ACTION = "unknown_action"
    UNKNOWN_PRODUCT = "unknown_product"
    IMAGE_FETCH = "image_fetch"
    IMAGE_DECODE = "image_decode"
    IMAGE_TOO_LARGE = "image_too_large"
    IMAGE_FORMAT = "image_format"
    PROCESSING_ERROR = "processing_error"


class Problem(Fact):
    """One fault: where in the record, of which type, in words. Never holds the value itself."""

    loc: str
    type: str
    message: str


class Rejection(Fact):
    """A record that was refused, as data: bad input is not an exception."""

    reason: Reason
    problems: list[Problem] = []
