"""The counting job of ``counting_aiokafka`` on quixstreams, which is no dependency of ours.

Run by a Python that has it. State with changelog, one output record an event, at least once; settings are
quixstreams' own but for the offset to begin at.
"""

import json
import sys
import time
import uuid
from typing import Any

from quixstreams import Application


def count(bootstrap: str, topic: str, events: int) -> dict[str, float]:
    """Count until ``events`` have been read; return what it took."""
    app = Application(
        broker_address=bootstrap,
        consumer_group=uuid.uuid4().hex,
        auto_offset_reset="earliest",
        loglevel="WARNING",
    )
    seen: dict[str, float] = {"events": 0}

    def one(_value: object, state: Any) -> dict[str, int]:
        if not seen["events"]:
            seen["begun"], seen["cpu"] = time.monotonic(), time.process_time()
        seen["events"] += 1
        number = state.get("n", 0) + 1
        state.set("n", number)
        if seen["events"] == events:
            seen["ended"], seen["cpu_end"] = time.monotonic(), time.process_time()
            app.stop()
        return {"n": number}

    stream = app.dataframe(app.topic(topic, value_deserializer="json", key_deserializer="bytes"))
    stream = stream.apply(one, stateful=True)
    stream.to_topic(app.topic(f"{topic}-quix-counts", value_serializer="json", key_serializer="bytes"))
    app.run()
    # The last commit waits for the acknowledgements; it is part of the job.
    ended, cpu_end = time.monotonic(), time.process_time()
    return {"events": seen["events"], "seconds": ended - seen["begun"], "cpu_s": cpu_end - seen["cpu"]}


if __name__ == "__main__":
    print(json.dumps(count(sys.argv[1], sys.argv[2], int(sys.argv[3]))))
