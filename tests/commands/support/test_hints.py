"""What a person is told to do about a file of their own that does not fit."""

from datetime import timedelta

import pytest

from commands.send import CONTRACTS
from commands.support.hints import after_refusals, not_lines
from inbound.field_names import _MEANT, meant_by


@pytest.mark.parametrize(
    ("topic", "name", "field"),
    [
        ("products", "name", "title"),
        ("products", "Variant of", "group_id"),
        ("products", "attribute", "attributes"),
        ("products", "Bezeichnung", None),
        ("searches", "query", "user_query"),
        ("interactions", "position", "event_attributes.position.ordinal"),
        ("interactions", "order-id", "order_id"),
    ],
)
def test_a_name_of_somebody_elses_is_told_as_the_field_that_it_means(topic, name, field):
    assert meant_by(topic, name, CONTRACTS[topic]) == field


def test_names_lead_to_fields_that_exist_and_no_field_leads_to_another():
    for topic, names in _MEANT.items():
        fields = CONTRACTS[topic].model_fields
        assert {field.partition(".")[0] for field in names.values()} <= set(fields)
        assert not set(names) & set(fields)


def test_history_that_was_refused_says_how_to_send_it():
    assert after_refusals(["schema"], timedelta(days=30)) == []
    (hint,) = after_refusals(["too_old"], timedelta(days=30))
    assert "30 days" in hint
    assert "SEARCHLOOP_MAX_EVENT_AGE=P365D" in hint


def test_a_csv_is_called_one():
    assert "looks like CSV" in not_lines("Artikel.CSV")
    assert "CSV and is" not in not_lines("products.jsonl")
