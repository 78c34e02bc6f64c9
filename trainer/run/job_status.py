"""What the API says of a Job, its pods and its events, in our words. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

Kind = Mapping[str, Any]


def ended_as(job: Kind) -> int | None:
    """Return 0 for a Job that is complete, 1 for one that has failed, None for one that goes on."""
    for condition in _conditions(job):
        if condition.get("status") == "True" and condition.get("type") in {"Complete", "Failed"}:
            return int(condition["type"] == "Failed")
    return None


def why_ended(job: Kind, pods: Sequence[Kind]) -> tuple[int, str]:
    """Return the exit code of a failed Job, 1 when it is unknown, and why it ended."""
    for pod in _newest_first(pods):
        ended = _of_container(pod, "terminated")
        if ended.get("exitCode"):
            return int(ended["exitCode"]), f"exit code {ended['exitCode']}, {ended.get('reason') or 'Error'}"
    for condition in _conditions(job):
        if condition.get("type") == "Failed":
            return 1, f"{condition.get('reason', 'Failed')}: {condition.get('message', '')}"
    return 1, ""


def why_waiting(job: Kind, pods: Sequence[Kind], events: Sequence[Kind]) -> str:
    """Return in one sentence why nothing runs yet. ``events``: failures to make a pod."""
    if (job.get("spec") or {}).get("suspend"):
        return "the Job is suspended: a queue has not admitted it yet"
    for pod in _newest_first(pods):
        return _why_pod_waits(pod)
    for event in sorted(events, key=_at, reverse=True):
        return f"no pod can be made: {event.get('message')}"
    return "its pod is being made"


def _why_pod_waits(pod: Kind) -> str:
    waiting = _of_container(pod, "waiting")
    reason = str(waiting.get("reason") or "")
    said = waiting.get("message") or reason
    conditions = {one.get("type"): one for one in _conditions(pod)}
    taken, placed = conditions.get("DisruptionTarget", {}), conditions.get("PodScheduled", {})
    if taken.get("status") == "True":
        by = taken.get("message") or pod["status"].get("message") or taken.get("reason")
        return f"its pod was taken away, and another one is to go on: {by}"
    if "Image" in reason:
        return f"the image {pod['spec']['containers'][0].get('image')} cannot be pulled: {said}"
    if reason not in {"", "ContainerCreating", "PodInitializing"}:
        return f"its container does not start: {said}"
    if placed.get("status") == "False":
        return f"no node takes its pod: {placed.get('message') or placed.get('reason')}"
    return "its pod is being started"


def _conditions(found: Kind) -> Sequence[Kind]:
    return (found.get("status") or {}).get("conditions") or []


def _newest_first(pods: Sequence[Kind]) -> list[Kind]:
    return sorted(pods, key=lambda pod: str(pod["metadata"].get("creationTimestamp")), reverse=True)


def _at(event: Kind) -> str:
    return str(event.get("lastTimestamp") or event.get("eventTime"))


def _of_container(pod: Kind, state: str) -> Kind:
    """Return what is said of the container's state, empty where it is in another."""
    for container in (pod.get("status") or {}).get("containerStatuses") or []:
        found = (container.get("state") or {}).get(state)
        if found is not None:
            return dict(found)
    return {}
