"""What ends the wait of a deployment verb: the code of a failure, not its words."""

import pytest

from broker.records import Record
from commands.support.deployment import _aborted
from schemas.releases import ReleaseFailure, ReleaseState, release_key
from tests.contracts.examples import RELEASE


@pytest.mark.parametrize("failure", [*ReleaseFailure, None])
def test_only_an_aborted_build_ends_an_abort(failure: ReleaseFailure | None):
    release = RELEASE.model_copy(
        update={"state": ReleaseState.FAILED, "failure": failure, "error": "aborted by its own words"}
    )
    record = Record("releases", 0, 0, 0, release_key(release.generation), release.to_json())
    assert _aborted(record, "main") == (failure is ReleaseFailure.ABORTED)
    assert not _aborted(record, "another")
