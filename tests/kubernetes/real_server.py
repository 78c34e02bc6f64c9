"""Kubernetes' own API server with its etcd, and nothing else: no controller, no node.

KUBE_APISERVER and ETCD name the programs, or they are on the path.
"""

import asyncio
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import aiohttp

from embedded.ports import free_port
from tests.kubernetes.cluster import NAMESPACE, Cluster
from tests.servers.certificates import Authority
from tests.waiting import until

ADMIN = "token-of-an-administrator"


def programs() -> tuple[str, str] | None:
    """Return etcd and kube-apiserver, or None."""
    etcd = os.environ.get("ETCD") or shutil.which("etcd")
    server = os.environ.get("KUBE_APISERVER") or shutil.which("kube-apiserver")
    return (etcd, server) if etcd and server else None


@contextmanager
def real_cluster(folder: Path, made: list[Mapping[str, Any]]) -> Iterator[Cluster]:
    """Serve for the length of the block, with one namespace that enforces the level `restricted`.

    ``made``: what is created in it first, the trainer's account and its rights among it.
    """
    found = programs()
    assert found is not None
    authority = Authority(folder / "authority")
    (folder / "tokens.csv").write_text(f'{ADMIN},admin,admin,"system:masters"\n')
    pem = authority.server("api", names=("127.0.0.1", "kubernetes.default.svc"))
    clients, peers, port = free_port(), free_port(), free_port()
    store = f"http://127.0.0.1:{clients}"
    commands = [
        [
            found[0], "--data-dir", str(folder / "etcd"), "--listen-client-urls", store,
            "--advertise-client-urls", store, "--listen-peer-urls", f"http://127.0.0.1:{peers}",
            "--initial-advertise-peer-urls", f"http://127.0.0.1:{peers}",
            "--initial-cluster", f"default=http://127.0.0.1:{peers}", "--unsafe-no-fsync",
        ],
        [
            found[1], "--etcd-servers", store, "--secure-port", str(port), "--bind-address", "127.0.0.1",
            "--tls-cert-file", str(pem), "--tls-private-key-file", str(pem), "--authorization-mode", "RBAC",
            "--token-auth-file", str(folder / "tokens.csv"), "--service-cluster-ip-range", "10.0.0.0/24",
            "--service-account-issuer", "https://kubernetes.default.svc",
            "--service-account-key-file", str(pem), "--service-account-signing-key-file", str(pem),
        ],
    ]  # fmt: skip
    environ = {**os.environ, "GOMAXPROCS": "1"}
    with ExitStack() as stack:
        for command in commands:
            if Path(command[0]).name == "etcd" and "--unsafe-no-fsync" in command and _old(command[0]):
                command.remove("--unsafe-no-fsync")
            log = stack.enter_context((folder / f"{Path(command[0]).name}.log").open("wb"))
            process = subprocess.Popen(command, stdout=log, stderr=log, env=environ)
            stack.callback(process.wait)
            stack.callback(process.kill)
        account = folder / "account"
        account.mkdir()
        (account / "ca.crt").write_bytes(authority.pem.read_bytes())
        (account / "namespace").write_text(NAMESPACE)
        cluster = Cluster(f"https://127.0.0.1:{port}", account, ADMIN)
        asyncio.run(_prepare(cluster, made))
        yield cluster


def _old(etcd: str) -> bool:
    """Say whether this etcd knows no way to leave out fsync (before 3.5)."""
    said = subprocess.run([etcd, "--version"], capture_output=True, text=True, check=True).stdout
    return "etcd Version: 3.4" in said


async def _ready(cluster: Cluster) -> bool:
    try:
        # By which every service account may ask what it may: the last that a server makes for itself
        path = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/system:basic-user"
        status, _, _ = await cluster.call("GET", path)
    except (aiohttp.ClientError, ValueError):
        return False
    return status == 200


async def _prepare(cluster: Cluster, made: list[Mapping[str, Any]]) -> None:
    await until(lambda: _ready(cluster), "the API server is ready")
    levels = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "warn")}
    space = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE, "labels": levels}}
    for path, one in (("/api/v1/namespaces", space), *((path_of(one), one) for one in made)):
        status, found, _ = await cluster.call("POST", path, one)
        assert status in {201, 409}, found.get("message")
    path = f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts/shop-searchloop-trainer/token"
    status, found, _ = await cluster.call("POST", path, {"spec": {"expirationSeconds": 3600}})
    assert status == 201, found.get("message")
    (cluster.account / "token").write_text(found["status"]["token"])


def path_of(manifest: Mapping[str, Any]) -> str:
    """Return where objects of this kind are made."""
    odd = {"NetworkPolicy": "networkpolicies", "PriorityClass": "priorityclasses"}
    plural = odd.get(manifest["kind"], manifest["kind"].lower() + "s")
    root = "apis" if "/" in manifest["apiVersion"] else "api"
    place = "" if manifest["kind"] == "PriorityClass" else f"/namespaces/{NAMESPACE}"
    return f"/{root}/{manifest['apiVersion']}{place}/{plural}"
