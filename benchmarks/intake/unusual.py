"""Good records in forms that shops are free to use though few do: intake must take all of them."""
# ruff: noqa: RUF001 (titles and queries in other scripts)

import base64
import json
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from random import Random
from typing import Any

from benchmarks.intake.damage import SentRecord, text_of
from schemas.events import ACTION_ALIASES

NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Good:
    """A good record of the shop, with its body; ``action`` of an interaction."""

    topic: str
    sent: SentRecord
    body: dict[str, Any]
    action: str | None


def _base64(body: object) -> str:
    return base64.b64encode(text_of(body)).decode()


def unusual(good: Good, rng: Random) -> SentRecord:
    """Return the record in one of the forms that are unusual and allowed.

    Its meaning may change, its validity not.
    """
    body, sent = good.body, good.sent
    forms: list[SentRecord] = [
        replace(sent, value=b"\xef\xbb\xbf" + text_of(body)),
        replace(sent, value=json.dumps(body, indent=2).encode()),
        replace(sent, value=text_of(body | {"schema_version": rng.choice((1, "1", "1.4", 1.2, None, ""))})),
        replace(
            sent,
            value=text_of(body | {"added_later": {"deep": [None, 1e9, "NaN"]}, "note": "Infinity & NaN"}),
        ),
        replace(sent, headers=(("content-type", b"application/json"), ("traceparent", b"\xff\x00"))),
    ]
    if good.topic == "products":
        words = (
            "茶器 ☕",
            "می\u200cخواهم",
            "👩\u200d👩\u200d👧 puzzle",
            "NULL brand tee",
            "<b>Bold</b> mug",
            "7",
            "Test tube rack",
            "5\u2033 pipe",
        )
        forms += [
            replace(sent, value=text_of(body | {"title": rng.choice(words)})),
            replace(
                sent,
                value=text_of(
                    body | {"price": rng.choice((0, "9.99", 1e9)), "brand": None, "version": 2**62}
                ),
            ),
            replace(
                sent,
                value=text_of(
                    body | {"attributes": {"w": 1, "x": 1.5, "y": True, "z": ["a"]}, "deleted": False}
                ),
            ),
            replace(sent, value=None),
            replace(
                sent,
                value=text_of(
                    body
                    | dict.fromkeys(
                        ("brand", "currency", "price", "availability"), rng.choice((None, "", " "))
                    )
                ),
            ),
            replace(
                sent,
                value=text_of(
                    body | dict.fromkeys(("attributes", "variant_ids", "category_path", "deleted", "version"))
                ),
            ),
            replace(
                sent,
                value=text_of(
                    body
                    | {
                        "attributes": {"c": None, "d": ""},
                        "updated_at": "0001-01-01T00:00:00Z",
                        "image": None,
                    }
                ),
            ),
            replace(
                sent,
                value=text_of(
                    {"specversion": "1.0", "id": "e", "source": "/s", "type": "shop.product", "data": body}
                ),
            ),
            replace(
                sent,
                value=text_of(
                    {"specversion": "1.0", "id": "e", "source": "/s", "type": "shop.product.deleted"}
                ),
            ),
        ]
    else:
        bare = {k: v for k, v in body.items() if k != "event_id"}
        envelope = {"specversion": "1.0", "id": body["event_id"], "source": "/s", "type": "t", "data": body}
        timeless = {k: v for k, v in body.items() if k != "timestamp"}
        nothing = (None, "", "  ")
        seconds = NOW.timestamp() - rng.uniform(0, 20 * 86_400)
        stamp = rng.choice(
            (
                int(seconds),
                seconds,
                int(seconds * 1e3),
                int(seconds * 1e6),
                int(seconds * 1e9),
                str(int(seconds * 1e3)),
            )
        )
        forms += [
            replace(sent, value=text_of(bare)),
            replace(
                sent,
                value=text_of(bare),
                headers=(("ce_specversion", b"1.0"), ("ce_id", body["event_id"].encode())),
            ),
            replace(
                sent, value=text_of(envelope), headers=(("content-type", b"application/cloudevents+json"),)
            ),
            replace(sent, value=text_of(envelope)),
            replace(sent, value=text_of(envelope | {"data": json.dumps(body)})),
            replace(
                sent,
                value=text_of(
                    {k: v for k, v in envelope.items() if k != "data"} | {"data_base64": _base64(body)}
                ),
            ),
            replace(sent, value=text_of(envelope | {"data": timeless, "time": str(body["timestamp"])})),
            replace(
                sent,
                value=text_of(timeless),
                headers=(("ce_specversion", b"1.0"), ("ce_time", str(body["timestamp"]).encode())),
            ),
            replace(
                sent,
                value=text_of(
                    body
                    | dict.fromkeys(("user_id", "session_id", "application", "is_bot"), rng.choice(nothing))
                ),
            ),
            replace(
                sent,
                value=text_of(
                    body | {"user_id": rng.choice(("undefined", "null", "NaN", "None", "[object Object]"))}
                ),
            ),
            replace(sent, value=text_of(body | {"event_id": rng.choice((*nothing, "undefined"))})),
            replace(sent, value=text_of(body | {"timestamp": stamp})),
            replace(
                sent,
                value=text_of(
                    body | {"client_id": rng.randrange(10**6), "session_id": None, "is_bot": False}
                ),
                key=None,
            ),
        ]
    if good.topic == "searches":
        texts = (
            "test",
            "👟",
            "茶",
            "NaN bread",
            "c++",
            "x" * 1024,
            "<3 mugs",
            "50% off & more",
            "\u200fכוס",
            "1",
        )
        forms += [
            replace(sent, value=text_of({**body, "user_query": rng.choice(texts)})),
            replace(sent, value=text_of({**body, "hits": None, "generation": rng.choice((None, ""))})),
            replace(
                sent,
                value=text_of({k: v for k, v in body.items() if k not in {"hits", "query_response_hit_ids"}}),
            ),
            replace(
                sent,
                value=text_of(
                    {k: v for k, v in body.items() if k not in {"client_id", "session_id", "user_id"}}
                ),
            ),
        ]
    if good.topic == "interactions" and good.action not in {"purchase", "refund"}:
        named = [k for k, action in ACTION_ALIASES.items() if action.value in {"view", "click"}]
        forms.append(replace(sent, value=text_of(body | {"action_name": rng.choice(named)})))
    if good.action == "purchase":
        items = [
            item
            | {
                "quantity": rng.choice((1, "2", 100, None, "")),
                "unit_price": rng.choice((0, 1e9, "3.5", None, "")),
                "query_id": "undefined",
            }
            | {"currency": rng.choice(("EUR", None, "", "(not set)"))}
            for item in body["items"]
        ]
        forms.append(replace(sent, value=text_of(body | {"items": items})))
        forms.append(replace(sent, value=text_of({k: v for k, v in body.items() if k != "order_id"})))
    return rng.choice(forms)
