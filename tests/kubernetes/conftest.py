"""One API server of Kubernetes for the session, where its programs are."""

from collections.abc import Iterator

import pytest

from tests.chart.rendering import manifests
from tests.kubernetes.cluster import Cluster
from tests.kubernetes.real_server import programs, real_cluster

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
