"""The snippets of docs/clients.md, run as they stand against the running stack.

A language that is not here skips with the reason.
"""

import pytest

from benchmarks.clients import held, run
from benchmarks.interop.client_kits import KITS, KitError, snippets


def test_every_snippet_of_the_page_is_run_and_nothing_is_run_that_is_not_on_it():
    assert snippets().keys() == KITS.keys()


def test_a_client_that_ends_badly_says_why(tmp_path):
    kit = KITS["confluent-kafka"]
    broken = type(kit)(kit.mark, (), "shop.py", lambda _: None, lambda _: ["python3", "shop.py"])
    broken.prepare("raise SystemExit('no such luck')", tmp_path)
    with pytest.raises(KitError, match="no such luck"):
        broken.run(tmp_path, KAFKA="127.0.0.1:1")


@pytest.mark.clients
@pytest.mark.broker
@pytest.mark.model
@pytest.mark.slow
@pytest.mark.timeout(900)
async def test_what_the_clients_send_is_accepted_and_what_they_ask_is_answered(tmp_path):
    rows = await run(list(KITS), tmp_path)

    missing = {name: row["skipped"] for name, row in rows.items() if "skipped" in row}
    assert not {name: row for name, row in rows.items() if not held(row)}
    if missing:
        pytest.skip(f"the others held; {missing}")
