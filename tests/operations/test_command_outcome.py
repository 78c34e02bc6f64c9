"""What is known of a command by what the indexer has written since."""

from datetime import timedelta

import pytest

from operations.command_outcome import aborted
from schemas.releases import DeploymentCommand, ReleaseFailure, ReleaseState
from tests.contracts.examples import AT, RELEASE

ENDED = RELEASE.model_copy(update={"state": ReleaseState.FAILED, "failure": ReleaseFailure.ABORTED, "at": AT})


@pytest.mark.parametrize(
    ("action", "later_s", "failure", "is_it"),
    [
        ("abort", -1, ReleaseFailure.ABORTED, True),
        ("abort", 1, ReleaseFailure.ABORTED, False),
        ("abort", -1, ReleaseFailure.REFUSED, False),
        ("rollback", -1, ReleaseFailure.ABORTED, False),
    ],
)
def test_only_a_build_that_was_aborted_since_may_be_an_aborts_doing(action, later_s, failure, is_it):
    command = DeploymentCommand(command_id="c", action=action, at=AT + timedelta(seconds=later_s))
    assert aborted(command, ENDED.model_copy(update={"failure": failure})) is is_it
