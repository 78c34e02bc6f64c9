"""Kubernetes' API as a pod reaches it: the token, authority and namespace of its service account.

Objects are the dicts of the API. Every fault is a ``LaunchError`` of one sentence; no token stands in one.
"""

import ssl
from pathlib import Path
from typing import Any

import aiohttp

from schemas.hidden import hide, redacted
from trainer.run.job_status import Kind
from trainer.run.launcher import LaunchError

JOBS = ("batch/v1", "jobs")
PODS = ("v1", "pods")
EVENTS = ("v1", "events")
_TIMEOUT = aiohttp.ClientTimeout(total=20)


class KubernetesApi:
    """One namespace of a cluster. ``account``: the folder in which a pod finds what it is let in with.

    The token is read for each call, since it is renewed every hour.
    """

    def __init__(self, address: str, account: Path) -> None:
        self._address, self._account = address.rstrip("/"), account

    @property
    def namespace(self) -> str:
        """Return the namespace of this pod."""
        return self._read("namespace")

    async def create(self, kind: tuple[str, str], made: Kind) -> bool:
        """Make an object; False when there is one of its name."""
        status, found = await self._call("POST", self._path(kind), body=made)
        if status == 409:
            return False
        self._raise(status, found, f"create {kind[1]}")
        return True

    async def get(self, kind: tuple[str, str], name: str) -> dict[str, Any] | None:
        """Return the object of a name, or None."""
        status, found = await self._call("GET", f"{self._path(kind)}/{name}")
        if status == 404:
            return None
        self._raise(status, found, f"get {kind[1]}")
        return found

    async def find(self, kind: tuple[str, str], **selectors: str) -> list[dict[str, Any]]:
        """Return the objects that ``labelSelector`` and ``fieldSelector`` name."""
        status, found = await self._call("GET", self._path(kind), query=selectors)
        self._raise(status, found, f"list {kind[1]}")
        return list(found.get("items") or [])

    async def delete(self, kind: tuple[str, str], name: str) -> None:
        """Have an object go, after all that belongs to it; nothing happens when there is none."""
        options = {"propagationPolicy": "Foreground"}
        status, found = await self._call("DELETE", f"{self._path(kind)}/{name}", body=options)
        if status != 404:
            self._raise(status, found, f"delete {kind[1]}")

    async def may(self, verb: str, kind: tuple[str, str]) -> bool:
        """Say whether this service account may do so in its namespace."""
        group = kind[0].rpartition("/")[0]
        asked = {"namespace": self.namespace, "verb": verb, "group": group, "resource": kind[1]}
        path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
        status, found = await self._call("POST", path, body={"spec": {"resourceAttributes": asked}})
        self._raise(status, found, "create selfsubjectaccessreviews")
        return bool(found.get("status", {}).get("allowed"))

    def _path(self, kind: tuple[str, str]) -> str:
        root = "apis" if "/" in kind[0] else "api"
        return f"/{root}/{kind[0]}/namespaces/{self.namespace}/{kind[1]}"

    def _read(self, name: str) -> str:
        try:
            return (self._account / name).read_text().strip()
        except OSError as error:
            why = f"there is no service account to launch runs with: {self._account / name}: {error.strerror}"
            raise LaunchError(why, passes=False) from None

    async def _call(
        self, method: str, path: str, *, query: Kind | None = None, body: Kind | None = None
    ) -> tuple[int, dict[str, Any]]:
        token = self._read("token")
        hide(token)
        try:
            trusted = ssl.create_default_context(cafile=self._account / "ca.crt")
            async with (
                aiohttp.ClientSession(
                    timeout=_TIMEOUT, headers={"Authorization": f"Bearer {token}"}
                ) as session,
                session.request(method, self._address + path, params=query, json=body, ssl=trusted) as answer,
            ):
                found = await answer.json(content_type=None)
                return answer.status, found if isinstance(found, dict) else {}
        except (aiohttp.ClientError, OSError, ValueError) as error:  # OSError: time-outs and TLS, too
            # Not aiohttp's own words: they hold the address of the TLS context, another one at every call
            said = redacted(str(getattr(error, "os_error", error))) or type(error).__name__
            why = f"Kubernetes' API at {self._address} does not answer: {said}"
            raise LaunchError(why[:500], passes=True) from None

    def _raise(self, status: int, found: Kind, what: str) -> None:
        """Raise what an answer refuses: it passes where the API is busy or a quota is used up."""
        if status < 300:
            return
        said = redacted(str(found.get("message") or f"status {status}")).replace("\n", " ")
        busy = status in {409, 429} or status >= 500 or "exceeded quota" in said
        raise LaunchError(f"Kubernetes refused to {what}: {said}"[:500], passes=busy)
