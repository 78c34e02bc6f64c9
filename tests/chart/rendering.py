"""The chart, and what helm makes of it with each of its examples: kept, so that tests need no helm.

``python -m tests.chart.rendering`` writes it again, with a helm 3 on the path or in HELM.
"""

import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "deploy" / "helm" / "searchloop"
EXAMPLES = sorted(path.stem for path in (CHART / "examples").glob("*.yaml"))
KEPT = Path(__file__).parent / "rendered"
# Of the server that helm is told to render for: the oldest that the chart admits.
KUBERNETES = "1.27.0"


Manifest = Mapping[str, Any]


@cache
def manifests(example: str) -> list[Manifest]:
    """Return what is kept of an example."""
    return [one for one in yaml.safe_load_all((KEPT / f"{example}.yaml").read_text()) if one]


def job_template(example: str) -> Manifest | None:
    """Return the Job of all runs that a trainer is given, if it makes Jobs."""
    found = [one["data"]["job.json"] for one in manifests(example) if "job.json" in one.get("data", {})]
    return json.loads(found[0]) if found else None


def helm() -> str | None:
    """Return the program, or None."""
    return os.environ.get("HELM") or shutil.which("helm")


def run_helm(*arguments: str) -> subprocess.CompletedProcess[str]:
    program = helm()
    assert program is not None
    return subprocess.run([program, *arguments], capture_output=True, text=True, check=False)


def template(*values: str) -> subprocess.CompletedProcess[str]:
    """Render as release ``shop`` in the namespace ``search``."""
    return run_helm(
        "template", "shop", str(CHART), "--namespace", "search", "--kube-version", KUBERNETES, *values
    )


def rendered(example: str) -> str:
    """Return the manifests of an example, with the digest of the chart before them."""
    done = template("--values", str(CHART / "examples" / f"{example}.yaml"))
    assert done.returncode == 0, done.stderr
    return f"# {digest()}\n{done.stdout}"


def digest() -> str:
    """Return the sha256 over all that decides what is rendered: names and contents, in order."""
    files = sorted(path for path in CHART.rglob("*") if path.is_file() and path.name != "README.md")
    told = hashlib.sha256()
    for path in files:
        told.update(f"{path.relative_to(CHART).as_posix()}\0".encode() + path.read_bytes() + b"\0")
    return told.hexdigest()


if __name__ == "__main__":
    for name in EXAMPLES:
        (KEPT / f"{name}.yaml").write_text(rendered(name))
