"""What a broker refuses, in one sentence that says who was refused what, and what to do about it.

aiokafka tells why it reached nobody to its log alone, so a client that did not start asks once more here.
"""

import socket
import ssl
from collections.abc import Iterable, Iterator
from datetime import timedelta
from typing import Any, Protocol

from aiokafka.conn import create_conn
from aiokafka.errors import (
    ClusterAuthorizationFailedError,
    GroupAuthorizationFailedError,
    KafkaConnectionError,
    KafkaError,
    SaslAuthenticationFailed,
    TopicAuthorizationFailedError,
    TransactionalIdAuthorizationFailed,
    UnsupportedSaslMechanismError,
)

from broker.connecting import link_options
from broker.errors import AccessError
from schemas.connections import KafkaConnection
from schemas.hidden import redacted
from schemas.rights import Kind, Right, needed

_ASKS_FOR_CERTIFICATE = (
    "does it ask for a certificate (SEARCHLOOP_KAFKA_CERTIFICATE) signed by an authority that it trusts"
)
_ASK = timedelta(seconds=10)
_EXPIRED, _NOT_YET, _NAMES = 10, 9, {62, 64}  # OpenSSL's X509_V_ERR_*
_RESOURCES: dict[type[KafkaError], Kind] = {
    TopicAuthorizationFailedError: "topic",
    GroupAuthorizationFailedError: "group",
    TransactionalIdAuthorizationFailed: "transactional-id",
}
_PORT = 9092


class Startable(Protocol):
    """A client of aiokafka."""

    async def start(self) -> None:
        """Reach a broker."""


async def start(client: Startable, connection: KafkaConnection) -> None:
    """Start a client.

    Raises ``AccessError`` when a broker does not take us for who we say, or is not who it says; other
    ``KafkaError`` when none is reached.
    """
    try:
        await client.start()
    except KafkaConnectionError:
        if (reason := await why_refused(connection)) is not None:
            raise reason from None
        raise


async def why_refused(connection: KafkaConnection) -> KafkaError | None:
    """Ask each broker of the address, and return what the first says that refuses.

    None when one takes us, or nobody answers at all.
    """
    options = link_options(connection, within=_ASK)
    for host, port in _addresses(connection.kafka):
        try:
            conn = await create_conn(host, port, **options)
        except (KafkaError, OSError, TimeoutError, ValueError) as error:
            if (reason := _reason(error, f"{host}:{port}", connection)) is not None:
                return reason
        else:
            conn.close()
            return None
    return None


def _addresses(text: str) -> Iterator[tuple[str, int]]:
    for part in text.split(","):
        host, _, port = part.strip().rpartition(":")
        whole = not port.isdigit()
        yield (part.strip() if whole else host).strip("[]"), _PORT if whole else int(port)


def _reason(error: Exception, broker: str, connection: KafkaConnection) -> KafkaError | None:
    match error:
        case ssl.SSLCertVerificationError():
            said = f"{broker} {_of_certificate(error, connection)}"
        case ssl.SSLError(reason="WRONG_VERSION_NUMBER"):
            said = f"{broker} does not speak TLS: SEARCHLOOP_KAFKA_SECURITY is {connection.kafka_security}"
        case ssl.SSLError() if error.reason and "ALERT" in error.reason:
            said = f"{broker} refuses our TLS connection ({error.reason}): {_ASKS_FOR_CERTIFICATE}?"
        case SaslAuthenticationFailed():
            said = (
                f"{broker} refuses {principal_of(connection)}: wrong user, password or token for "
                f"{connection.kafka_mechanism}, or no such user"
            )
        case UnsupportedSaslMechanismError():
            said = f"{broker} takes no {connection.kafka_mechanism}: set SEARCHLOOP_KAFKA_MECHANISM"
        case ConnectionRefusedError() | TimeoutError() | socket.gaierror():
            return None
        case KafkaConnectionError() | ConnectionError() | ssl.SSLError():
            # It may be ending, too: no proof that it would refuse us again. Under TLS 1.3 who asks for a
            # certificate says no after the handshake, and aiokafka keeps of that only the closed connection.
            asks = "" if connection.uses_sasl or not connection.uses_tls else f", {_ASKS_FOR_CERTIFICATE}"
            return KafkaConnectionError(
                f"{broker} closes the connection before it answers: does it fit SEARCHLOOP_KAFKA_SECURITY, "
                f"which is {connection.kafka_security}{asks}?"
            )
        case _:
            return None
    return AccessError(said)


def _of_certificate(error: ssl.SSLCertVerificationError, connection: KafkaConnection) -> str:
    if error.verify_code == _EXPIRED:
        return "shows a certificate that has expired: it needs a new one"
    if error.verify_code == _NOT_YET:
        return "shows a certificate that is not valid yet: is a clock wrong?"
    if error.verify_code in _NAMES:
        return "shows a certificate that is not for this name: use the name it is for in SEARCHLOOP_KAFKA"
    trusted = connection.kafka_ca or "the system's authorities"
    return (
        f"shows a certificate that no authority of {trusted} has signed: name its own with "
        "SEARCHLOOP_KAFKA_CA"
    )


def principal_of(connection: KafkaConnection) -> str:
    """Return who we are to the brokers, as far as we know it."""
    if connection.kafka_user:
        return f"User:{connection.kafka_user}"
    if connection.uses_sasl:
        return "the user of our token"
    return "the user of our certificate" if connection.kafka_certificate else "User:ANONYMOUS"


def missing_right(error: BaseException, connection: KafkaConnection, rights: Iterable[Right]) -> str | None:
    """Return which right is missing, when that is what an error is about: who, which operations, on what.

    A broker says the resource alone; the operations are those of ``rights``. None for another error.
    """
    for found in _all_of(error):
        if isinstance(found, ClusterAuthorizationFailedError):
            who = principal_of(connection)
            return f"{who} lacks Write on every topic, and IdempotentWrite on the cluster; {_REMEDY}"
        kind = _RESOURCES.get(type(found))
        if kind is not None:
            name = _resource(found)
            *most, last = needed(rights, kind, name) or ("a right",)
            operations = " and ".join(filter(None, (", ".join(most), last)))
            return f"{principal_of(connection)} lacks {operations} on {kind} {name!r}; {_REMEDY}"
    return None


_REMEDY = "`searchloop acl` prints what each process needs"


def _all_of(error: BaseException) -> Iterator[BaseException]:
    """Yield an error, those of its group, and those that it came from."""
    waiting, seen = [error], set[int]()
    while waiting:
        found = waiting.pop()
        if id(found) in seen:
            continue
        seen.add(id(found))
        yield found
        if isinstance(found, BaseExceptionGroup):
            waiting += found.exceptions
        waiting += filter(None, (found.__cause__, found.__context__))


def _resource(error: BaseException) -> str:
    """Return the name that aiokafka put into the error: as such, or in a set."""
    told: Any = error.args[0] if error.args else ""
    name = str(next(iter(told), "") if isinstance(told, set | frozenset) else told)
    return redacted(name)
