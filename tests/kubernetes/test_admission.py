"""What the chart renders, applied by a dry run of Kubernetes' own server to a `restricted` namespace."""

import copy
from pathlib import Path
from typing import Any

import pytest

from schemas.settings import TrainerSettings
from tests.chart.rendering import EXAMPLES, Manifest, job_template, manifests
from tests.kubernetes.cluster import Cluster
from tests.kubernetes.conftest import needs_server
from tests.kubernetes.real_server import path_of
from trainer.run.folder import RunFolder
from trainer.run.jobs import job_of

pytestmark = [needs_server, pytest.mark.slow]
A_RUN = RunFolder.of(Path("/data"), "20260131-120000-1a2b3c4d")


@pytest.mark.parametrize("example", EXAMPLES)
async def test_the_server_admits_every_manifest_and_every_pod_without_a_warning(
    example: str, real: Cluster
) -> None:
    template = job_template(example)
    jobs = [job_of(template, A_RUN, "trainer.retrain", TrainerSettings())] if template else []
    own = [one for one in [*manifests(example), *jobs] if is_kubernetes_own(one)]
    pods = [a_pod(one) for one in own if "template" in one.get("spec", {})]
    assert len(pods) >= 5
    said = {one["metadata"]["name"]: await applied(real, one) for one in [*own, *pods]}
    assert {name: refusals for name, refusals in said.items() if refusals} == {}


@pytest.mark.parametrize("field", ["hostNetwork", "hostPID"])
async def test_a_pod_with_a_right_too_many_is_refused_there(field: str, real: Cluster) -> None:
    trainer = next(one for one in manifests("jobs") if one["metadata"]["name"].endswith("-trainer")
                   and one["kind"] == "StatefulSet")  # fmt: skip
    pod = a_pod(trainer)
    pod["spec"][field] = True
    (refusal,) = await applied(real, pod)
    assert 'violates PodSecurity "restricted:latest"' in refusal


def is_kubernetes_own(manifest: Manifest) -> bool:
    """Say whether the server knows the kind: those of Prometheus and KEDA come with their operators."""
    return not manifest["apiVersion"].startswith(("monitoring.coreos.com", "keda.sh"))


def a_pod(workload: Manifest) -> dict[str, Any]:
    """Return the pod that a controller makes for a workload: volumes of its own are claims."""
    template = copy.deepcopy(workload["spec"]["template"])
    template["metadata"]["name"] = template["metadata"]["labels"]["app.kubernetes.io/component"]
    for claim in workload["spec"].get("volumeClaimTemplates", []):
        name = claim["metadata"]["name"]
        template["spec"]["volumes"].append({"name": name, "persistentVolumeClaim": {"claimName": name}})
    return {"apiVersion": "v1", "kind": "Pod", **template}


async def applied(cluster: Cluster, manifest: Manifest) -> list[str]:
    """Apply on the server, which keeps nothing; return what it refuses or warns of."""
    path = f"{path_of(manifest)}/{manifest['metadata']['name']}"
    query = "dryRun=All&fieldManager=searchloop-tests&fieldValidation=Strict&force=true"
    status, found, warnings = await cluster.call(
        "PATCH", f"{path}?{query}", manifest, form="apply-patch+yaml"
    )
    return [*([] if status < 300 else [found["message"]]), *warnings]
