"""The snippets of ``docs/clients.md`` as programs.

Taken from the page as they stand, with the library each one needs, and run. Libraries come from the
registries of their languages into ``folder``; nothing of it touches the environment of searchloop.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import venv
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PAGE = Path(__file__).parents[2] / "docs" / "clients.md"
INSTALL_S, RUN_S = 600, 120
_SNIPPET = re.compile(r"<!-- run: (?P<name>[\w-]+) -->\n```\w+\n(?P<code>.*?)^```$", re.DOTALL | re.MULTILINE)
_SPRING_KAFKA = "3.3.4"
_POM = f"""<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>shop</groupId><artifactId>shop</artifactId><version>1</version>
  <dependencies>
    <dependency><groupId>org.springframework.kafka</groupId><artifactId>spring-kafka</artifactId><version>{_SPRING_KAFKA}</version></dependency>
    <dependency><groupId>org.slf4j</groupId><artifactId>slf4j-nop</artifactId><version>2.0.17</version></dependency>
  </dependencies>
</project>
"""


class KitError(RuntimeError):
    """A client could not be installed or did not end well; the message ends with what it said."""


def snippets() -> dict[str, str]:
    """Return the code of the page's snippets that are run, by name."""
    return {found["name"]: found["code"] for found in _SNIPPET.finditer(PAGE.read_text(encoding="utf-8"))}


@dataclass(frozen=True)
class Kit:
    """How a client is installed and run.

    ``mark`` begins the ids of what it sends; ``needs``: programs that must be on the machine.
    """

    mark: str
    needs: tuple[str, ...]
    source: str
    install: Callable[[Path], None]
    command: Callable[[Path], list[str]]

    def missing(self) -> list[str]:
        """Return the programs that are not there."""
        return [name for name in self.needs if shutil.which(name) is None]

    def prepare(self, code: str, folder: Path) -> None:
        """Install the library into ``folder``, which is empty, beside the snippet. Raises ``KitError``."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / self.source).write_text(code, encoding="utf-8")
        self.install(folder)

    def run(self, folder: Path, **where: str) -> dict[str, Any]:
        """Run the snippet that was prepared in ``folder``, and return the object of its last line.

        ``where``: KAFKA, PREFIX and API, as the snippet reads them. Raises ``KitError``.
        """
        said = _call(self.command(folder), folder, RUN_S, **where)
        found: dict[str, Any] = json.loads(said.strip().splitlines()[-1])
        return found


def _call(command: list[str], folder: Path, timeout_s: int, **environ: str) -> str:
    """Run a command and return what it said."""
    clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            env={**clean, **environ},
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise KitError(f"{command[0]} did not end within {timeout_s} s") from error
    if done.returncode:
        raise KitError(
            f"{' '.join(command[:3])} ended with {done.returncode}: {(done.stderr or done.stdout)[-2000:]}"
        )
    return done.stdout


def _python(mark: str, *packages: str) -> Kit:
    def install(folder: Path) -> None:
        venv.create(folder / "venv")
        pip = [sys.executable, "-m", "pip", "--python", str(folder / "venv/bin/python")]
        _call([*pip, "install", "-q", *packages], folder, INSTALL_S)

    return Kit(mark, (), "shop.py", install, lambda folder: [str(folder / "venv/bin/python"), "shop.py"])


def _go(mark: str, *modules: str) -> Kit:
    def install(folder: Path) -> None:
        _call(["go", "mod", "init", "shop"], folder, INSTALL_S)
        _call(["go", "get", *modules], folder, INSTALL_S)
        _call(["go", "mod", "tidy"], folder, INSTALL_S)
        _call(["go", "build", "-o", "shop", "shop.go"], folder, INSTALL_S)

    return Kit(mark, ("go",), "shop.go", install, lambda folder: [str(folder / "shop")])


def _node(mark: str, package: str) -> Kit:
    def install(folder: Path) -> None:
        _call(["npm", "install", "--silent", "--no-save", "--prefix", ".", package], folder, INSTALL_S)

    return Kit(mark, ("node", "npm"), "shop.js", install, lambda _: ["node", "shop.js"])


def _nothing(_: Path) -> None:
    """Install nothing."""


def _install_spring(folder: Path) -> None:
    (folder / "pom.xml").write_text(_POM, encoding="utf-8")
    _call(["mvn", "-q", "-B", "dependency:copy-dependencies", "-DoutputDirectory=lib"], folder, INSTALL_S)


KITS = {
    "confluent-kafka": _python("py", "confluent-kafka>=2.6,<3"),
    "cloudevents": _python("ce", "confluent-kafka>=2.6,<3", "cloudevents>=1.11,<2"),
    "kafkajs": _node("js", "kafkajs@2"),
    "spring-kafka": Kit(
        "java", ("java", "mvn"), "Shop.java", _install_spring, lambda _: ["java", "-cp", "lib/*", "Shop.java"]
    ),
    "franz-go": _go("go", "github.com/twmb/franz-go@v1.22.3"),
    "kafka-go": _go("kgo", "github.com/segmentio/kafka-go@v0.4.51"),
    "curl": Kit("curl", ("curl", "sh"), "shop.sh", _nothing, lambda _: ["sh", "shop.sh"]),
    "cloudevents-http": _python("ceh", "cloudevents>=1.11,<2"),
    "search-insights": _node("alg", "search-insights@2.17.3"),
    "analytics-node": _node("seg", "@segment/analytics-node@3.1.0"),
}
