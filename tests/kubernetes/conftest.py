"""One API server of Kubernetes for the session, where its programs are."""

import copy
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.chart.rendering import manifests
from tests.kubernetes.cluster import Cluster
from tests.kubernetes.real_server import programs, real_cluster
from tests.kubernetes.small_server import small_cluster

needs_server = pytest.mark.skipif(
    programs() is None,
    reason="no etcd and kube-apiserver: neither ETCD and KUBE_APISERVER nor the path name them",
)


@pytest.fixture(scope="session")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """The server with what an administrator and the chart put there before a trainer starts."""
    default = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}}
    training = {
        "apiVersion": "scheduling.k8s.io/v1",
        "kind": "PriorityClass",
        "metadata": {"name": "training"},
        "value": 1000,
    }
    kinds = {"ServiceAccount", "Role", "RoleBinding"}
    charts = [one for one in manifests("jobs") if one["kind"] in kinds]
    with real_cluster(tmp_path_factory.mktemp("kubernetes"), [default, training, *charts]) as cluster:
        yield cluster


@pytest.fixture(params=["small", pytest.param("real", marks=[needs_server, pytest.mark.slow])])
def own(request: pytest.FixtureRequest) -> Cluster | None:
    """Kubernetes' own server, or None where a small one is meant; started before any loop turns."""
    return request.getfixturevalue("real") if request.param == "real" else None


@pytest.fixture
async def cluster(own: Cluster | None, tmp_path: Path) -> AsyncIterator[Cluster]:
    """A small server, and Kubernetes' own."""
    if own is not None:
        yield own
        await own.clear()
        return
    role = next(one for one in manifests("jobs") if one["kind"] == "Role")
    async with small_cluster(tmp_path / "small", copy.deepcopy(role)) as found:
        yield found
