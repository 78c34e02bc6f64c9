"""Write what the current version writes.

``fixtures/<version>/`` and ``published/<version>/``, to be kept for ever.
``python -m tests.contracts.write_fixtures`` before a release. A folder of an earlier version is never written
again: its files are what deployments of that version have on their topics.
"""

import json
import shutil
import tomllib
from pathlib import Path

from broker.dead_letters import dead_letter
from broker.records import Record
from credit.attribution import attribute
from credit.erasure import forget
from credit.shopper import Rules, Shopper
from inbound.validators import VALIDATORS
from schemas.base import Message, StreamFact
from schemas.batches import pack
from schemas.events import Action, CleanInteraction, CleanSearch, Forget, Line
from schemas.rejections import Reason, Rejection
from schemas.settings import StreamSettings
from stream.aggregation import aggregate, canonical
from tests.contracts.examples import AT, AT_MS, CONTRIBUTION, MESSAGES, PAIR, RAW

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
RULES = Rules.of(StreamSettings())


def states() -> dict[str, object]:
    """Return what the tables of the stream hold, as text.

    And what must come of it when one fact more arrives.
    """

    def act(action: Action, at_ms: int, **more: object) -> CleanInteraction:
        lines = [Line(product_id="p1", units=2, revenue_minor=500)]
        return CleanInteraction(
            event_id=f"{action.value}-{at_ms}", shopper="ann", at_ms=at_ms, action=action, lines=lines, **more
        )  # type: ignore[arg-type]

    history = [
        CleanSearch(
            event_id="s",
            shopper="ann",
            at_ms=AT_MS,
            query_id="q1",
            query="red mug",
            shown=["p1", "p2"],
            session_id="s1",
        ),
        act(Action.CLICK, AT_MS + 1, query_id="q1"),
        act(Action.ADD_TO_CART, AT_MS + 2),
        act(Action.PURCHASE, AT_MS + 3, order_id="o", session_id="s1"),
        act(Action.CLICK, AT_MS + 4, query_id="gone", query="tea"),
        act(Action.PURCHASE, AT_MS + 5, order_id="o2"),
        act(Action.REFUND, AT_MS + 6, order_id="o2"),
    ]
    state = Shopper()
    for offset, event in enumerate(history):
        state, _ = attribute(state, event, 1, (offset, 0), RULES)
    refund = act(Action.REFUND, AT_MS + 9, order_id="o")
    after, earned = attribute(state, refund, 1, (9, 0), RULES)
    forgotten, _, _ = forget(after, Forget(event_id="f", shopper="ann", at_ms=AT_MS + 10), 1, (10, 0), RULES)
    return {
        "shopper": state.to_bytes().decode(),
        "forgotten_shopper": forgotten.to_bytes().decode(),
        "shopper_hears": refund.to_json().decode(),
        "shopper_contributes": [c.to_json().decode() for c in earned],
        "pair": canonical(PAIR).decode(),
        "pair_hears": CONTRIBUTION.to_json().decode(),
        "pair_becomes": canonical(aggregate(PAIR, CONTRIBUTION)).decode(),
        "micro_batch": pack([CONTRIBUTION.to_json(), CONTRIBUTION.to_json()]).decode(),
    }


def raw_and_clean() -> list[dict[str, object]]:
    """Return raw bodies in the forms that producers send, and the clean fact that became of each."""
    found = []
    for offset, (topic, body) in enumerate(RAW):
        record = Record(topic, 0, offset, AT_MS, b"k", json.dumps(body).encode())
        clean = VALIDATORS[topic](record, AT, StreamSettings())
        assert isinstance(clean, Message | StreamFact), clean
        found.append({"topic": topic, "offset": offset, "body": body, "clean": json.loads(clean.to_json())})
    return found


def letter() -> dict[str, object]:
    """Return a dead letter as it lies on its topic; headers as text."""
    refused = dead_letter(
        Record("interactions", 1, 7, AT_MS, b"k", b"{", (("ce_id", b"e9"),)),
        Rejection(reason=Reason.JSON_DECODE),
        stage="intake",
    )
    return {
        "topic": refused.topic,
        "value": (refused.value or b"").decode(),
        "headers": [[k, v.decode()] for k, v in refused.headers],
    }


def main() -> None:
    """Write both folders of the version that stands in pyproject.toml."""
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    folder, published = HERE / "fixtures" / version, HERE / "published" / version
    shutil.rmtree(published, ignore_errors=True)
    shutil.copytree(ROOT / "schemas" / "json", published)
    folder.mkdir(parents=True, exist_ok=True)
    files: dict[str, object] = {type(m).__name__: json.loads(m.to_json()) for m in MESSAGES}
    files |= {"states": states(), "raw": raw_and_clean(), "letter": letter()}
    for name, value in files.items():
        (folder / f"{name}.json").write_text(
            json.dumps(value, indent=1, ensure_ascii=False) + "\n", encoding="utf-8"
        )


if __name__ == "__main__":
    main()
