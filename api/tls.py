"""The certificate of the API and its key, from files, and read again when they change.

What is new is tried first: a pair of files of which one is written and the other not yet, or one that does
not fit, leaves the certificate that serves as it is. Connections that stand keep theirs.
"""

import asyncio
import ssl
from pathlib import Path

import structlog

from schemas.settings import ApiSettings, SettingsError

log = structlog.get_logger(__name__)

_LOOK_S = 2.0


class ServerCertificate:
    """``context`` is what the server uses. Raises ``SettingsError`` where the files do not do."""

    def __init__(self, certificate: str, key: str) -> None:
        self._certificate, self._key = Path(certificate), Path(key or certificate)
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._seen = self._look()
        try:
            self._load()
        except (OSError, ValueError) as error:
            raise SettingsError(
                f"the certificate of the API is not taken ({_reason(error)}): SEARCHLOOP_API_TLS_CERT and "
                "SEARCHLOOP_API_TLS_KEY name PEM files that fit one another, the key without a password"
            ) from error

    @classmethod
    def of(cls, settings: ApiSettings) -> "ServerCertificate | None":
        """Return the certificate that the settings name; None where they name none."""
        if settings.api_tls_cert:
            return cls(settings.api_tls_cert, settings.api_tls_key)
        if settings.api_tls_key:
            raise SettingsError("SEARCHLOOP_API_TLS_KEY is set, and SEARCHLOOP_API_TLS_CERT is not")
        return None

    async def follow(self) -> None:
        """Take what the files become, until cancelled."""
        while True:
            await asyncio.sleep(_LOOK_S)
            if (seen := self._look()) == self._seen:
                continue
            self._seen = seen
            try:
                self._load()
            except (OSError, ValueError) as error:
                log.warning("the new certificate is not taken: the last one serves", reason=_reason(error))
            else:
                log.info("the certificate is read again")

    def _load(self) -> None:
        for context in (ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), self.context):
            # With a password that is none: OpenSSL would ask for one on the terminal
            context.load_cert_chain(self._certificate, self._key, password="")

    def _look(self) -> list[tuple[int, int, int] | None]:
        return [_state(self._certificate), _state(self._key)]


def _state(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns


def _reason(error: Exception) -> str:
    """Return what is wrong in words. OpenSSL's own hold no content of the files."""
    if isinstance(error, ssl.SSLError):
        return (error.reason or "it cannot be read").replace("_", " ").lower()
    return error.strerror or type(error).__name__ if isinstance(error, OSError) else type(error).__name__
