"""What the chart renders, held against Kubernetes' own schemas and against the processes that it starts."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from schemas.rights import every_right
from schemas.settings import PROCESS_SETTINGS, Settings, TrainerSettings
from schemas.topics import TOPICS
from stream.__main__ import HALVES, PICTURES
from tests.chart.rendering import CHART, EXAMPLES, ROOT, Manifest, job_template
from tests.chart.rendering import manifests as kept
from trainer.run.folder import RunFolder
from trainer.run.jobs import RIGHTS, job_of
from trainer.service.service import RUN

WORKLOADS = ("Deployment", "StatefulSet")
# Not Kubernetes' own: what the operators of Prometheus and KEDA define, of which no schema is installed here.
OF_OTHERS = {
    "ServiceMonitor": "monitoring.coreos.com/v1",
    "PrometheusRule": "monitoring.coreos.com/v1",
    "ScaledObject": "keda.sh/v1alpha1",
}
ANY_SECRET = "a-secret-of-twenty-characters"
PODS = (*WORKLOADS, "Job")
A_RUN = RunFolder.of(Path("/data"), "20260131-120000-1a2b3c4d")


def manifests(example: str) -> list[Manifest]:
    """Return what helm renders, and the Job that a trainer makes of it."""
    template = job_template(example)
    jobs = [job_of(template, A_RUN, RUN, TrainerSettings())] if template else []
    return [*kept(example), *jobs]


def workloads(example: str) -> list[Manifest]:
    return [one for one in manifests(example) if one["kind"] in WORKLOADS]


def of_process(example: str, process: str) -> Manifest:
    return next(one for one in workloads(example) if one["metadata"]["name"].endswith(f"-{process}"))


def pod(workload: Manifest) -> Manifest:
    return workload["spec"]["template"]["spec"]


def container(workload: Manifest) -> Manifest:
    (only,) = pod(workload)["containers"]
    return only


def variables(workload: Manifest) -> dict[str, str]:
    """Return the environment of a process; what comes from a Secret is some text of twenty characters."""
    return {one["name"]: one.get("value", ANY_SECRET) for one in container(workload)["env"]}


def each(kind: str | tuple[str, ...]) -> list[Any]:
    kinds = (kind,) if isinstance(kind, str) else kind
    return [
        pytest.param(one, id=f"{example}-{one['kind']}-{one['metadata']['name']}")
        for example in EXAMPLES
        for one in manifests(example)
        if one["kind"] in kinds
    ]


@pytest.mark.parametrize("example", EXAMPLES)
def test_kubernetes_own_schemas_admit_every_manifest(example: str) -> None:
    validate = pytest.importorskip("kubernetes_validate", reason="`make setup` installs it").validate
    for manifest in manifests(example):
        if manifest["kind"] in OF_OTHERS:
            assert manifest["apiVersion"] == OF_OTHERS[manifest["kind"]]
            continue
        for version in ("1.27", "1.37"):
            validate(manifest, version, strict=True)


def test_a_manifest_that_is_wrong_is_refused_by_these_schemas() -> None:
    library = pytest.importorskip("kubernetes_validate", reason="`make setup` installs it")
    wrong = yaml.safe_load(yaml.safe_dump(of_process("small", "indexer")))
    wrong["spec"]["template"]["spec"]["containers"][0]["livenessProbe"]["httpgot"] = {}
    with pytest.raises(library.ValidationError):
        library.validate(wrong, "1.37", strict=True)


def test_the_schema_of_values_is_one_and_admits_the_examples() -> None:
    jsonschema = pytest.importorskip("jsonschema", reason="`make setup` installs it")
    schema = yaml.safe_load((CHART / "values.schema.json").read_text())
    jsonschema.Draft7Validator.check_schema(schema)
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    assert set(schema["properties"]) == {*values, "global"}
    for example in EXAMPLES:
        own = yaml.safe_load((CHART / "examples" / f"{example}.yaml").read_text())
        jsonschema.validate(laid_over(values, own), schema)


def laid_over(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Return values as helm lays a file over those of the chart."""
    return {
        key: laid_over(below[key], above[key])
        if isinstance(below.get(key), dict) and isinstance(above.get(key), dict)
        else above.get(key, below.get(key))
        for key in {**below, **above}
    }


def test_the_examples_start_every_process_and_the_smallest_leaves_out_what_it_says() -> None:
    started = {re.sub("^shop-searchloop-", "", one["metadata"]["name"]) for one in workloads("company")}
    assert started == {"intake", "learn", "indexer", "trainer", "searcher", "api"}
    assert {one["kind"] for one in manifests("off")} == {*WORKLOADS, "Service"}
    assert {one["kind"] for one in manifests("company")} >= {
        *WORKLOADS,
        *OF_OTHERS,
        "NetworkPolicy",
        "PodDisruptionBudget",
    }


@pytest.mark.parametrize("workload", each(WORKLOADS))
def test_a_process_is_started_as_it_can_be_and_its_settings_fit(workload: Manifest) -> None:
    python, dash_m, process, *rest = container(workload)["command"]
    assert (python, dash_m) == ("python", "-m")
    assert (ROOT / process / "__main__.py").is_file()
    assert rest in ([], *(["--only", half] for half in (*HALVES, PICTURES)))
    given = {name: value for name, value in variables(workload).items() if name.startswith("SEARCHLOOP_")}
    settings = PROCESS_SETTINGS[process].load(given)
    assert isinstance(settings, Settings)
    assert (settings.http_host, settings.http_port) == ("0.0.0.0", port_of(workload, "pages"))


def port_of(workload: Manifest, name: str) -> int:
    return next(port["containerPort"] for port in container(workload)["ports"] if port["name"] == name)


@pytest.mark.parametrize("workload", each(PODS))
def test_a_pod_fits_the_restricted_level_of_pod_security_and_writes_to_volumes_alone(
    workload: Manifest,
) -> None:
    of_pod, of_container = pod(workload)["securityContext"], container(workload)["securityContext"]
    assert of_pod["runAsNonRoot"] is True
    assert of_pod["runAsUser"] == of_pod["fsGroup"] == image_user()
    assert of_pod["seccompProfile"] == {"type": "RuntimeDefault"}
    assert of_container["allowPrivilegeEscalation"] is False
    assert of_container["readOnlyRootFilesystem"] is True
    assert of_container["capabilities"] == {"drop": ["ALL"]}
    assert not {"hostNetwork", "hostPID", "hostIPC", "hostUsers"} & pod(workload).keys()
    # Nobody talks to Kubernetes but a trainer that makes Jobs
    makes_jobs = "SEARCHLOOP_JOB_TEMPLATE" in variables(workload)
    assert pod(workload)["automountServiceAccountToken"] is makes_jobs
    admitted = {"emptyDir", "secret", "persistentVolumeClaim", *(["configMap"] if makes_jobs else [])}
    assert all(volume.keys() - {"name"} <= admitted for volume in pod(workload)["volumes"])
    writable = {one["mountPath"] for one in container(workload)["volumeMounts"] if not one.get("readOnly")}
    assert {"/data", "/tmp"} <= writable
    assert variables(workload)["SEARCHLOOP_DATA_DIR"] in writable
    assert variables(workload)["HOME"] in writable


def image_user() -> int:
    found = re.search(r"^USER ([0-9]+)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert found is not None
    return int(found[1])


@pytest.mark.parametrize("workload", each(PODS))
def test_what_is_mounted_is_there_and_a_setting_that_names_a_file_finds_it(workload: Manifest) -> None:
    claims = workload["spec"].get("volumeClaimTemplates", [])
    volumes = {one["name"]: one for one in pod(workload)["volumes"]}
    there = [*volumes, *(claim["metadata"]["name"] for claim in claims)]
    mounts = {one["name"]: one["mountPath"] for one in container(workload)["volumeMounts"]}
    assert sorted(there) == sorted(set(there))
    assert set(mounts) == set(there)
    files = {
        f"{mounts[name]}/{item['path']}"
        for name, one in volumes.items()
        for item in one.get("secret", {}).get("items", [])
    }
    assert {value for value in variables(workload).values() if value.startswith("/secrets/")} == files


@pytest.mark.parametrize("workload", each(WORKLOADS))
def test_what_is_cached_of_the_store_fits_the_volume(workload: Manifest) -> None:
    data = next((one.get("emptyDir") for one in pod(workload)["volumes"] if one["name"] == "data"), None)
    uses_store = {"indexer", "searcher"} & set(container(workload)["command"])
    if data is not None and uses_store:
        bound = int(variables(workload)["SEARCHLOOP_ARTEFACT_CACHE_BYTES"])
        assert bound < int(data["sizeLimit"].removesuffix("Gi")) << 30


@pytest.mark.parametrize("workload", each(WORKLOADS))
def test_probes_ask_pages_that_a_process_has_and_readiness_never_restarts(workload: Manifest) -> None:
    probes = {name: container(workload)[f"{name}Probe"] for name in ("startup", "liveness", "readiness")}
    assert {name: probe["httpGet"]["path"] for name, probe in probes.items()} == {
        "startup": "/healthz",
        "liveness": "/healthz",
        "readiness": "/readyz",
    }
    pages = (ROOT / "process" / "health.py").read_text()
    assert all(f'web.get("{probe["httpGet"]["path"]}"' in pages for probe in probes.values())
    assert all(probe["httpGet"]["port"] == "pages" for probe in probes.values())
    # A step of a build or a restore holds the loop for up to a minute
    assert probes["liveness"]["periodSeconds"] * probes["liveness"]["failureThreshold"] >= 90


@pytest.mark.parametrize("workload", each("StatefulSet"))
def test_a_stateful_process_is_a_member_of_its_groups_by_the_name_of_its_pod(workload: Manifest) -> None:
    (member,) = (one for one in container(workload)["env"] if one["name"] == "SEARCHLOOP_KAFKA_MEMBER")
    assert member["valueFrom"]["fieldRef"]["fieldPath"] == "metadata.name"
    assert workload["spec"]["podManagementPolicy"] == "Parallel"


@pytest.mark.parametrize("workload", each("Deployment"))
def test_no_other_process_has_a_name_for_good(workload: Manifest) -> None:
    """Requests on the partitions of a searcher that is gone would wait for it."""
    assert "SEARCHLOOP_KAFKA_MEMBER" not in variables(workload)


@pytest.mark.parametrize("example", EXAMPLES)
def test_what_selects_pods_selects_some(example: str) -> None:
    labels = [
        one["spec"]["template"]["metadata"]["labels"] for one in manifests(example) if one["kind"] in PODS
    ]
    names = {one["metadata"]["name"] for one in workloads(example)}
    services = [one["metadata"]["labels"] for one in manifests(example) if one["kind"] == "Service"]
    for manifest in manifests(example):
        for wanted, among in selected_by(manifest, labels, services):
            assert any(wanted.items() <= found.items() for found in among), manifest["metadata"]["name"]
        if manifest["kind"] == "ScaledObject":
            assert manifest["spec"]["scaleTargetRef"]["name"] in names


def selected_by(
    manifest: Manifest, pods: list[dict[str, str]], services: list[dict[str, str]]
) -> Iterator[tuple[dict[str, str], list[dict[str, str]]]]:
    spec = manifest.get("spec", {})
    match manifest["kind"]:
        case "Service":
            yield spec["selector"], pods
        case "NetworkPolicy":
            yield spec["podSelector"]["matchLabels"], pods
        case "ServiceMonitor":
            yield spec["selector"]["matchLabels"], services
        case "Deployment" | "StatefulSet" | "PodDisruptionBudget":
            yield spec["selector"]["matchLabels"], pods


@pytest.mark.parametrize("example", EXAMPLES)
def test_a_budget_lets_a_node_be_drained(example: str) -> None:
    budgets = {one["metadata"]["name"] for one in manifests(example) if one["kind"] == "PodDisruptionBudget"}
    for workload in workloads(example):
        replicas = workload["spec"].get("replicas", 2)
        assert (workload["metadata"]["name"] in budgets) == (replicas > 1 and example != "off")


@pytest.mark.parametrize("policy", each("NetworkPolicy"))
def test_a_policy_admits_the_ports_that_the_settings_name(policy: Manifest) -> None:
    example = "company" if "9093" in str(policy) else "small"
    process = policy["metadata"]["name"].removeprefix("shop-searchloop-")
    environment = variables(of_process(example, "trainer" if process == "run" else process))
    reached = {port["port"] for rule in policy["spec"]["egress"] for port in rule["ports"]}
    brokers = {int(one.rpartition(":")[2]) for one in environment["SEARCHLOOP_KAFKA"].split(",")}
    assert brokers <= reached
    milvus = int(environment["SEARCHLOOP_MILVUS"].rpartition(":")[2])
    assert (milvus in reached) == (process in {"indexer", "searcher"})
    assert 53 in reached


@pytest.mark.parametrize("scaled", each("ScaledObject"))
def test_it_is_scaled_by_groups_and_topics_that_are_there_and_not_beyond_the_partitions(
    scaled: Manifest,
) -> None:
    settings = Settings.load(
        {k: v for k, v in variables(of_process("company", "api")).items() if k.startswith("SEARCHLOOP_")}
    )
    topics = {settings.topic(topic.name) for topic in TOPICS}
    groups = {right.name for right in every_right(settings) if right.kind == "group"}
    for trigger in scaled["spec"]["triggers"]:
        assert trigger["metadata"]["topic"] in topics
        assert trigger["metadata"]["consumerGroup"] in groups
        assert all(isinstance(value, str) for value in trigger["metadata"].values())
    assert scaled["spec"]["maxReplicaCount"] <= min(settings.partitions, settings.search_partitions)
    target = next(
        one
        for one in workloads("company")
        if one["metadata"]["name"] == scaled["spec"]["scaleTargetRef"]["name"]
    )
    assert "replicas" not in target["spec"], "helm and KEDA would set it in turns"


def test_a_run_as_a_job_is_what_the_trainer_fills_in_and_has_its_folder_and_settings() -> None:
    trainer, (job,) = (
        of_process("jobs", "trainer"),
        (one for one in manifests("jobs") if one["kind"] == "Job"),
    )
    assert container(job)["command"][1:] == ["-m", RUN, str(A_RUN.path)]
    assert container(job)["image"] == container(trainer)["image"]
    own = {"SEARCHLOOP_JOB_TEMPLATE", "SEARCHLOOP_KAFKA_MEMBER"}
    given = {name: text for name, text in variables(trainer).items() if name not in own}
    assert given.items() <= variables(job).items()
    shared = [one for one in pod(job)["volumes"] if "persistentVolumeClaim" in one]
    assert all(one in pod(trainer)["volumes"] for one in shared)
    assert {"name": "data", "persistentVolumeClaim": {"claimName": "runs"}} in shared
    (mounted,) = (one for one in pod(trainer)["volumes"] if one["name"] == "job")
    (held,) = (one for one in manifests("jobs") if one["kind"] == "ConfigMap")
    assert mounted["configMap"]["name"] == held["metadata"]["name"]
    assert variables(trainer)["SEARCHLOOP_JOB_TEMPLATE"] == "/job/job.json"
    assert container(job)["resources"]["limits"]["nvidia.com/gpu"] == 1
    assert "nvidia.com/gpu" not in container(trainer)["resources"]["limits"]
    assert job["spec"]["activeDeadlineSeconds"] > 60 * TrainerSettings().max_minutes
    assert (job["spec"]["backoffLimit"], pod(job)["restartPolicy"]) == (0, "Never")


def test_the_trainer_that_makes_jobs_has_the_rights_that_it_asks_for_and_nobody_has_more() -> None:
    (role,) = (one for one in manifests("jobs") if one["kind"] == "Role")
    given = {
        (verb, (group, kind))
        for rule in role["rules"]
        for verb in rule["verbs"]
        for group in rule["apiGroups"]
        for kind in rule["resources"]
    }
    assert given == {(verb, (version.rpartition("/")[0], kind)) for verb, (version, kind) in RIGHTS}
    (bound,) = (one for one in manifests("jobs") if one["kind"] == "RoleBinding")
    assert bound["roleRef"]["name"] == role["metadata"]["name"]
    assert [one["name"] for one in bound["subjects"]] == [
        pod(of_process("jobs", "trainer"))["serviceAccountName"]
    ]
    others = [one for one in manifests("jobs") if one["kind"] in PODS]
    accounts = [pod(one)["serviceAccountName"] for one in others]
    assert accounts.count(bound["subjects"][0]["name"]) == 1
    for example in set(EXAMPLES) - {"jobs"}:
        assert not {"Role", "RoleBinding", "ConfigMap"} & {one["kind"] for one in manifests(example)}


def test_the_rules_of_the_chart_are_those_of_deploy() -> None:
    own = (CHART / "files" / "prometheus-rules.yaml").read_text()
    assert own == (ROOT / "deploy" / "prometheus-rules.yaml").read_text()
    (rules,) = (one for one in manifests("company") if one["kind"] == "PrometheusRule")
    assert rules["spec"] == yaml.safe_load(own)


def test_jobs_are_called_as_the_rules_expect() -> None:
    (monitor,) = (one for one in manifests("company") if one["kind"] == "ServiceMonitor")
    (endpoint,) = monitor["spec"]["endpoints"]
    assert endpoint["port"] == "pages"
    assert endpoint["relabelings"][0]["targetLabel"] == "job"
    assert endpoint["relabelings"][0]["replacement"] == "searchloop-$1"
    assert endpoint["relabelings"][1] == {"targetLabel": "tenant", "replacement": "shop"}


@pytest.mark.parametrize("example", EXAMPLES)
def test_images_are_named_exactly_and_a_digest_is_of_one_repository(example: str) -> None:
    images = {container(workload)["image"] for workload in workloads(example)}
    digests = [image.partition("@")[2] for image in images if "@" in image]
    assert len(digests) == len(set(digests))
    for workload in workloads(example):
        assert re.fullmatch(r"[\w./-]+(:[0-9][\w.-]*|@sha256:[0-9a-f]{64})", container(workload)["image"])


def test_the_chart_is_of_this_version() -> None:
    version = re.search(r'^version = "(.+)"$', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert version is not None
    assert re.search(rf"^appVersion: {version[1]}\b", (CHART / "Chart.yaml").read_text(), re.MULTILINE)
