"""How loud the libraries are."""

import logging

import pytest

from process.logs import configure_logs


@pytest.fixture
def root():
    """Put the root logger back as it was."""
    logger = logging.getLogger()
    before = (logger.handlers[:], logger.level)
    yield logger
    logger.handlers[:], level = before
    logger.setLevel(level)


def test_what_aiokafka_asks_again_by_itself_is_a_warning_and_other_faults_are_errors(root, capsys):
    configure_logs("INFO")
    found = logging.getLogger("aiokafka.consumer.group_coordinator")
    found.error("Failed fetch offsets from %s: %s", 1, "[Error 6] NotLeaderForPartitionError: a topic")
    found.error("Unexpected error: %s", "[Error 31] ClusterAuthorizationFailedError")
    again, fault = capsys.readouterr().err.splitlines()
    assert "[warning" in again
    assert "[error" in fault
