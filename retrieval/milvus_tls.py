"""Why a Milvus cannot be reached by TLS, or without it.

Of every such fault pymilvus says that it could not connect.
"""

import socket
import ssl
from urllib.parse import urlsplit

from schemas.connections import MilvusConnection

_ASK_S = 5.0
_HTTPS_PORT = 443
_MILVUS_PORT = 19530


def why_no_tls(connection: MilvusConnection) -> str | None:
    """Ask the server for a handshake, and return what it is refused for; None when TLS is not the reason.

    Blocks for some seconds at most.
    """
    found = urlsplit(connection.milvus)
    if found.scheme not in {"http", "https"} or not found.hostname:
        return None
    place = found.hostname, found.port or (_HTTPS_PORT if found.scheme == "https" else _MILVUS_PORT)
    if found.scheme == "http":
        spoken = _handshake(place, ssl._create_unverified_context()) is None  # noqa: SLF001, S323 (nothing is sent)
        return "speaks TLS: write https:// in SEARCHLOOP_MILVUS" if spoken else None
    ca = connection.milvus_ca
    try:
        context = ssl.create_default_context(cafile=ca or None)
    except ssl.SSLError:
        return f"cannot be trusted: {ca}, which SEARCHLOOP_MILVUS_CA names, holds no certificate"
    error = _handshake(place, context)
    if isinstance(error, ssl.SSLCertVerificationError):
        trusted = ca or "the system's authorities"
        return (
            f"shows a certificate that {trusted} cannot vouch for ({error.verify_message}): name its "
            "authority with SEARCHLOOP_MILVUS_CA, and the host as the certificate does"
        )
    if isinstance(error, ssl.SSLError) and error.reason == "WRONG_VERSION_NUMBER":
        return "does not speak TLS: write http:// in SEARCHLOOP_MILVUS"
    return None


def _handshake(place: tuple[str, int], context: ssl.SSLContext) -> OSError | None:
    try:
        with (
            socket.create_connection(place, timeout=_ASK_S) as plain,
            context.wrap_socket(plain, server_hostname=place[0]),
        ):
            return None
    except OSError as error:
        return error
