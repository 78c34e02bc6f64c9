"""A cluster as a test needs it: an administrator who does what Kubernetes' controllers and nodes would do."""

import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

NAMESPACE = "search"
MERGE = "merge-patch+json"
# What the controller of Jobs says of one.
RUNNING = {"startTime": "2026-01-31T12:00:00Z", "active": 1, "ready": 1}
COMPLETE = {
    "startTime": "2026-01-31T12:00:00Z",
    "completionTime": "2026-01-31T12:30:00Z",
    "active": 0,
    "ready": 0,
    "succeeded": 1,
    "conditions": [
        {"type": "SuccessCriteriaMet", "status": "True", "reason": "CompletionsReached"},
        {"type": "Complete", "status": "True", "reason": "CompletionsReached"},
    ],
}


@dataclass(frozen=True)
class Cluster:
    """One API server. ``account``: the folder of the trainer's account; ``admin``: a token of all rights."""

    address: str
    account: Path
    admin: str

    async def call(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, *, form: str = "json"
    ) -> tuple[int, dict[str, Any], list[str]]:
        """Ask as the administrator; return status, answer and the API's warnings."""
        headers = {"Authorization": f"Bearer {self.admin}", "Content-Type": f"application/{form}"}
        trusted = ssl.create_default_context(cafile=self.account / "ca.crt")
        async with (
            aiohttp.ClientSession(headers=headers) as session,
            session.request(method, self.address + path, json=body, ssl=trusted) as answer,
        ):
            found = await answer.json(content_type=None)
            return answer.status, found, answer.headers.getall("Warning", [])

    async def jobs(self) -> list[dict[str, Any]]:
        return (await self._done("GET", f"/apis/batch/v1/namespaces/{NAMESPACE}/jobs"))["items"]

    async def job_is(self, name: str, status: Mapping[str, Any]) -> None:
        """Say how a Job is, as its controller would."""
        path = f"/apis/batch/v1/namespaces/{NAMESPACE}/jobs/{name}/status"
        await self._done("PATCH", path, {"status": status})

    async def pod_is(self, job: Mapping[str, Any], status: Mapping[str, Any]) -> None:
        """Make a pod of a Job, as its controller would, and say how it is, as its node would."""
        name = f"{job['metadata']['name']}-x"
        labels = {**job["spec"]["template"]["metadata"]["labels"], "batch.kubernetes.io/job-name": name[:-2]}
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": labels}}
        path = f"/api/v1/namespaces/{NAMESPACE}/pods"
        await self._done("POST", path, {**pod, "spec": job["spec"]["template"]["spec"]})
        await self._done("PATCH", f"{path}/{name}/status", {"status": status})

    async def pod_was_refused(self, job: str, message: str) -> None:
        """Tell of a pod that could not be made, as the controller of Jobs does."""
        told = {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": f"{job}.1"},
            "involvedObject": {"kind": "Job", "namespace": NAMESPACE, "name": job},
            "reason": "FailedCreate",
            "message": message,
            "type": "Warning",
            "lastTimestamp": "2026-01-31T12:00:00Z",
        }
        await self._done("POST", f"/api/v1/namespaces/{NAMESPACE}/events", told)

    async def bound(self, what: str, most: str) -> None:
        """Make a quota, as an administrator and the controller of quotas do."""
        path = f"/api/v1/namespaces/{NAMESPACE}/resourcequotas"
        quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "bound"}}
        await self._done("POST", path, {**quota, "spec": {"hard": {what: most}}})
        status = {"hard": {what: most}, "used": {what: "0"}}
        await self._done("PATCH", f"{path}/bound/status", {"status": status})

    async def unbound(self) -> None:
        await self._done("DELETE", f"/api/v1/namespaces/{NAMESPACE}/resourcequotas/bound")

    async def collect(self) -> int:
        """Let deleted Jobs go, as the collector does once their pods have ended; return how many."""
        deleted = [job for job in await self.jobs() if job["metadata"].get("deletionTimestamp")]
        for job in deleted:
            path = f"/apis/batch/v1/namespaces/{NAMESPACE}/jobs/{job['metadata']['name']}"
            await self._done("PATCH", path, {"metadata": {"finalizers": None}})
        return len(deleted)

    async def clear(self) -> None:
        """Remove Jobs, pods and events at once."""
        for path in (f"/apis/batch/v1/namespaces/{NAMESPACE}/jobs", f"/api/v1/namespaces/{NAMESPACE}/pods"):
            for found in (await self._done("GET", path))["items"]:
                at_once = {"gracePeriodSeconds": 0, "propagationPolicy": "Background"}
                await self.call("DELETE", f"{path}/{found['metadata']['name']}", at_once)
        events = f"/api/v1/namespaces/{NAMESPACE}/events"
        for found in (await self._done("GET", events))["items"]:
            await self.call("DELETE", f"{events}/{found['metadata']['name']}")

    async def _done(self, method: str, path: str, body: Any = None) -> Any:
        form = MERGE if method == "PATCH" else "json"
        status, found, _ = await self.call(method, path, body, form=form)
        assert status < 300, (method, path, found.get("message"))
        return found


@asynccontextmanager
async def no_right(cluster: Cluster, verb: str) -> AsyncIterator[None]:
    """Take a right on Jobs from the trainer for the length of the block."""
    path = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{NAMESPACE}/roles/shop-searchloop-jobs"
    _, role, _ = await cluster.call("GET", path)
    less = [{**rule, "verbs": [v for v in rule["verbs"] if v != verb]} for rule in role["rules"]]
    await cluster.call("PATCH", path, {"rules": [rule for rule in less if rule["verbs"]]}, form=MERGE)
    try:
        yield
    finally:
        await cluster.call("PATCH", path, {"rules": role["rules"]}, form=MERGE)
