"""A small server that answers as Kubernetes' API does, for what runs as Jobs ask of it.

Over TLS, with names, namespaces, roles of one user, merge patches, and deletion that waits for finalizers. It
admits anything: what Kubernetes refuses is shown by ``real_server``.
"""

import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aiohttp import web

from tests.kubernetes.cluster import NAMESPACE, Cluster
from tests.servers.certificates import Authority

ADMIN, TRAINER = "token-of-an-administrator", "token-of-the-trainer-1"
USER = f"system:serviceaccount:{NAMESPACE}:shop-searchloop-trainer"


@asynccontextmanager
async def small_cluster(folder: Path, role: dict[str, Any]) -> AsyncIterator[Cluster]:
    """Serve for the length of the block; the trainer has the rights of ``role``."""
    authority = Authority(folder / "authority")
    account = folder / "account"
    account.mkdir()
    (account / "ca.crt").write_bytes(authority.pem.read_bytes())
    (account / "token").write_text(TRAINER)
    (account / "namespace").write_text(NAMESPACE)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(authority.server("api"))
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", _Objects(role).answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
        yield Cluster(f"https://127.0.0.1:{runner.addresses[0][1]}", account, ADMIN)
    finally:
        await runner.cleanup()


class _Objects:
    """Everything that was made, by its path."""

    def __init__(self, role: dict[str, Any]) -> None:
        root = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{NAMESPACE}/roles/"
        self._role = root + role["metadata"]["name"]
        self._found = {self._role: role}

    async def answer(self, request: web.Request) -> web.Response:
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if token not in {ADMIN, TRAINER}:
            return _refused(401, "Unauthorized")
        body = json.loads(await request.text() or "{}")
        if request.path.endswith("/selfsubjectaccessreviews"):
            asked = body["spec"]["resourceAttributes"]
            allowed = self._may(asked["verb"], asked["group"], asked["resource"])
            return web.json_response({"status": {"allowed": allowed}}, status=201)
        path = request.path.removesuffix("/status")
        words = path.strip("/").split("/")
        group = words[1] if words[0] == "apis" else ""
        at = words.index("namespaces")
        kind, named = words[at + 2], len(words) > at + 3
        verb = {"POST": "create", "DELETE": "delete", "PATCH": "patch"}.get(request.method)
        verb = verb or ("get" if named else "list")
        if token == TRAINER and not self._may(verb, group, kind):
            return _refused(
                403,
                f'{kind} is forbidden: User "{USER}" cannot {verb} resource "{kind}" in API group "{group}" '
                f'in the namespace "{NAMESPACE}"',
            )
        if verb == "list":
            return web.json_response({"items": self._list(path, request.query)})
        if verb == "create":
            return self._create(f"{path}/{body['metadata']['name']}", body)
        return self._one(path, verb, body)

    def _may(self, verb: str, group: str, kind: str) -> bool:
        return any(
            verb in rule["verbs"] and group in rule["apiGroups"] and kind in rule["resources"]
            for rule in self._found[self._role]["rules"]
        )

    def _list(self, path: str, query: Any) -> list[dict[str, Any]]:
        found = [one for name, one in self._found.items() if name.rpartition("/")[0] == path]
        for said, of in (
            ("labelSelector", lambda o: o["metadata"].get("labels", {})),
            ("fieldSelector", fields),
        ):
            wanted = dict(pair.split("=") for pair in query.get(said, "").split(",") if pair)
            found = [one for one in found if wanted.items() <= of(one).items()]
        return found

    def _create(self, name: str, made: dict[str, Any]) -> web.Response:
        if name in self._found:
            return _refused(409, f'"{made["metadata"]["name"]}" already exists')
        self._found[name] = made
        return web.json_response(made, status=201)

    def _one(self, name: str, verb: str, body: dict[str, Any]) -> web.Response:
        one = self._found.get(name)
        if one is None:
            return _refused(404, f'"{name.rpartition("/")[2]}" not found')
        if verb == "patch":
            _merge(one, body)
        elif verb == "delete":
            one["metadata"]["deletionTimestamp"] = "2026-01-31T12:00:00Z"
            if body.get("propagationPolicy") == "Foreground":
                one["metadata"].setdefault("finalizers", ["foregroundDeletion"])
        if one["metadata"].get("deletionTimestamp") and not one["metadata"].get("finalizers"):
            del self._found[name]
        return web.json_response(one)


def fields(found: dict[str, Any]) -> dict[str, str]:
    """Return what an event is selected by."""
    about = found.get("involvedObject", {})
    return {
        "involvedObject.kind": about.get("kind", ""),
        "involvedObject.name": about.get("name", ""),
        "reason": found.get("reason", ""),
    }


def _merge(one: dict[str, Any], patch: dict[str, Any]) -> None:
    """Lay a patch over an object (RFC 7396)."""
    for key, value in patch.items():
        if value is None:
            one.pop(key, None)
        elif isinstance(value, dict) and isinstance(one.get(key), dict):
            _merge(one[key], value)
        else:
            one[key] = value


def _refused(status: int, message: str) -> web.Response:
    return web.json_response({"kind": "Status", "code": status, "message": message}, status=status)
