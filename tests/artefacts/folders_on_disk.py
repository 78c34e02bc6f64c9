"""Folders to be stored, and what lies in one that was fetched."""

from pathlib import Path

from artefacts.folders import CONTENTS

FILES = {"model.safetensors": b"weights" * 1000, "1_Pooling/config.json": b"{}", "empty.txt": b""}


def a_folder(place: Path, files: dict[str, bytes] = FILES) -> Path:
    for name, data in files.items():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_bytes(data)
    return place


def read(folder: Path) -> dict[str, bytes]:
    found = {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    found.pop(CONTENTS)
    return found
