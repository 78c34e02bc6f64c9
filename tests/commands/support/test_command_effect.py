"""What ends the wait of a deployment verb: the code of a failure, not its words."""

import pytest

from commands.support.command_effect import _effect
from schemas.releases import DeploymentCommand, ReleaseFailure, ReleaseState
from tests.contracts.examples import RELEASE


@pytest.mark.parametrize("failure", [*ReleaseFailure, None])
def test_only_an_aborted_build_ends_an_abort(failure: ReleaseFailure | None):
    release = RELEASE.model_copy(
        update={"state": ReleaseState.FAILED, "failure": failure, "error": "aborted by its own words"}
    )
    aborted = "aborted before anything served" if failure is ReleaseFailure.ABORTED else None
    assert _effect(DeploymentCommand(command_id="c", action="abort"), release) == aborted
    assert _effect(DeploymentCommand(command_id="c", action="rollback"), release) is None
    assert _effect(DeploymentCommand(command_id="c", action="abort"), None) is None
