"""Certificates of tests: an authority, and servers and clients that it has signed."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import trustme
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

PASSWORD = "password-of-a-key"
HERE = ("127.0.0.1", "localhost")


class Authority:
    """An authority of its own in one folder. ``pem`` is what others are to trust."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True)
        self._folder = folder
        self._ca = trustme.CA()
        self.pem = folder / "ca.pem"
        self._ca.cert_pem.write_to_path(str(self.pem))

    def server(
        self,
        name: str,
        *,
        names: tuple[str, ...] = HERE,
        starts: timedelta = timedelta(days=-1),
        lasts: timedelta = timedelta(days=365),
    ) -> Path:
        """Return a PEM file with the key and the certificates of a server that is reached by ``names``.

        Valid from ``starts`` on, counted from now.
        """
        path = self._folder / f"{name}.server.pem"
        begin = datetime.now(UTC) + starts
        signed = self._ca.issue_cert(*names, common_name=name, not_before=begin, not_after=begin + lasts)
        path.write_bytes(_key(signed, NoEncryption()) + _chain(signed))
        return path

    def client(self, name: str) -> tuple[Path, Path]:
        """Return PEM files of a client's certificate and of its key, which ``PASSWORD`` opens."""
        certificate, key = (self._folder / f"{name}.{what}.pem" for what in ("certificate", "key"))
        signed = self._ca.issue_cert(f"{name}.example", common_name=name)  # Java takes no empty list of names
        certificate.write_bytes(_chain(signed))
        key.write_bytes(_key(signed, BestAvailableEncryption(PASSWORD.encode())))
        return certificate, key


def _key(signed: trustme.LeafCert, hidden: KeySerializationEncryption) -> bytes:
    key = load_pem_private_key(signed.private_key_pem.bytes(), None)
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, hidden)


def _chain(signed: trustme.LeafCert) -> bytes:
    return b"".join(part.bytes() for part in signed.cert_chain_pems)
