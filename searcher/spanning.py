"""The spans of an answered request: its wait, the encoder, the index, the parts, the reply. Pure."""

from process.spans import SpanTold
from searcher.replying import Reply

_NS = 1_000_000


def spans_of(reply: Reply, *, writing_ms: float, written_ms: float) -> tuple[SpanTold, list[SpanTold]]:
    """Return the span of a request and its parts, from the times that its answer tells.

    In epoch milliseconds: ``writing_ms`` when its answer began to be written, ``written_ms`` when it was. A
    request that was searched in a batch took the batch's times. Parts stand one behind the other from when it
    was sent; those that took nothing are left out.
    """
    timings, response = reply.response.timings, reply.response
    sent_ms = writing_ms if reply.to.sent_ms is None else min(writing_ms, reply.to.sent_ms)
    parts, at = list[SpanTold](), sent_ms
    for name, took_ms in (
        ("queue", timings.queue_ms),
        ("embed", timings.embed_ms),
        ("index", timings.index_ms),
        ("parts", timings.search_ms - timings.index_ms),
    ):
        if took_ms > 0:
            parts.append(_told(name, at, at + took_ms))
            at += took_ms
    parts.append(_told("reply", writing_ms, written_ms))
    facts = {"searchloop.status": response.status.value, "searchloop.generation": response.generation or 0}
    return SpanTold("search", int(sent_ms * _NS), int(written_ms * _NS), facts), parts


def _told(name: str, begin_ms: float, end_ms: float) -> SpanTold:
    return SpanTold(name, int(begin_ms * _NS), int(end_ms * _NS))
