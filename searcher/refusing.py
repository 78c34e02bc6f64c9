"""Say of a refused request what its operator must know.

That nobody can be told, or which reply topic is not allowed.
"""

import structlog

from schemas.search import REPLY_TOPIC
from searcher.metrics import REFUSED_TOPICS
from searcher.requests import BadRequest

log = structlog.get_logger(__name__)

NAMED = 20  # names that clients have made up are counted by themselves; a metric must not grow with them
OTHERS = "(others)"
_seen: set[str] = set()


def note_refusal(refused: BadRequest) -> None:
    """Log and count one refusal.

    The first of each reply topic that is not allowed, and nothing for what the client is told anyway.
    """
    record = refused.record
    if not refused.answerable:
        log.warning(
            "bad request without id",
            partition=record.partition,
            offset=record.offset,
            fault=refused.error.code,
        )
    if refused.error.code == "reply_topic":
        topic = repr((record.header(REPLY_TOPIC) or b"").decode(errors="replace")[:200])
        fresh = topic not in _seen and len(_seen) < NAMED
        if fresh:
            _seen.add(topic)
            log.warning(
                (
                    "no allowed reply topic, answered on the default one: SEARCHLOOP_REPLY_TOPICS names "
                    "those allowed"
                ),
                topic=topic,
            )
        REFUSED_TOPICS.labels(topic if topic in _seen else OTHERS).inc()
