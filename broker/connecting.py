"""From the connection of the settings to what a Kafka client is made with; the only place that does so.

aiokafka's consumers, producers and admin clients take the same options; Faust's driver hands them on.
"""

import ssl
from collections.abc import Awaitable, Callable
from datetime import timedelta
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from aiokafka.abc import AbstractTokenProvider

from broker.client_ids import client_id
from schemas.connections import KafkaConnection, secret_of
from schemas.settings import SettingsError

TOKEN_PROVIDERS = "searchloop.kafka_tokens"  # noqa: S105 (a group of entry points)


class TokenProvider(AbstractTokenProvider):  # type: ignore[misc] # ships no types
    """TokenProvider of OAUTHBEARER, asked for each connection."""

    def __init__(self, ask: Callable[[], Awaitable[str]]) -> None:
        self._ask = ask

    async def token(self) -> str:
        """Return a token that is valid now."""
        return await self._ask()


def client_options(
    connection: KafkaConnection, role: str = "", *, within: timedelta | None = None, writes: bool = False
) -> dict[str, Any]:
    """Return the options that every client of aiokafka takes.

    ``within``: an answer is waited for no longer than that, whatever the settings allow. ``writes``: it is a
    producer. Raises ``SettingsError`` for a file or a token provider that cannot be read.
    """
    return {
        "bootstrap_servers": connection.kafka,
        **link_options(connection, role, within=within, writes=writes),
    }


def link_options(
    connection: KafkaConnection, role: str = "", *, within: timedelta | None = None, writes: bool = False
) -> dict[str, Any]:
    """Return the same without an address: those of a connection to one broker. Raises ``SettingsError``."""
    timeout = connection.kafka_write_timeout if writes else connection.kafka_timeout
    return {
        "client_id": client_id(connection.kafka_client_id, role),
        "request_timeout_ms": round(min(timeout, within or timeout).total_seconds() * 1000),
        **access_options(connection),
    }


def consumer_options(
    connection: KafkaConnection, role: str = "", *, within: timedelta | None = None
) -> dict[str, Any]:
    """Return those of a consumer, which also says where it stands. Raises ``SettingsError``."""
    return {**client_options(connection, role, within=within), "client_rack": connection.kafka_rack or None}


def access_options(connection: KafkaConnection) -> dict[str, Any]:
    """Return how brokers are talked to and who we are to them. Raises ``SettingsError``."""
    options: dict[str, Any] = {"security_protocol": connection.kafka_security}
    if connection.uses_tls:
        options["ssl_context"] = _tls(connection)
    if connection.uses_sasl:
        options["sasl_mechanism"] = connection.kafka_mechanism
        options |= _token_options(connection) if _has_token(connection) else _password_options(connection)
    return options


def _has_token(connection: KafkaConnection) -> bool:
    return connection.kafka_mechanism == "OAUTHBEARER"


def _password_options(connection: KafkaConnection) -> dict[str, str]:
    return {
        "sasl_plain_username": connection.kafka_user,
        "sasl_plain_password": _secret(connection, "kafka_password"),
    }


def _token_options(connection: KafkaConnection) -> dict[str, TokenProvider]:
    if connection.kafka_token_provider:
        return {"sasl_oauth_token_provider": TokenProvider(_provider(connection.kafka_token_provider))}
    file = Path(connection.kafka_token_file)
    _readable("kafka_token_file", file)

    async def read() -> str:
        return file.read_text(encoding="utf-8").strip()  # noqa: ASYNC240 (a few hundred bytes)

    return {"sasl_oauth_token_provider": TokenProvider(read)}


@cache
def _provider(name: str) -> Callable[[], Awaitable[str]]:
    found = entry_points(group=TOKEN_PROVIDERS, name=name)
    if not found:
        raise SettingsError(
            f"kafka_token_provider: no installed package has an entry point {name!r} of the group "
            f"{TOKEN_PROVIDERS}"
        )
    provider: Callable[[], Awaitable[str]] = next(iter(found)).load()
    return provider


def _tls(connection: KafkaConnection) -> ssl.SSLContext:
    if connection.kafka_ca:
        _readable("kafka_ca", Path(connection.kafka_ca))
    try:
        context = ssl.create_default_context(cafile=connection.kafka_ca or None)
    except ssl.SSLError as error:
        raise SettingsError(f"kafka_ca: {connection.kafka_ca} holds no certificate in PEM form") from error
    if connection.kafka_certificate:
        for name, path in (
            ("kafka_certificate", connection.kafka_certificate),
            ("kafka_key", connection.kafka_key or connection.kafka_certificate),
        ):
            _readable(name, Path(path))
        password = _secret(connection, "kafka_key_password")
        try:
            # A password is always given: without one OpenSSL asks at the terminal
            context.load_cert_chain(
                connection.kafka_certificate, connection.kafka_key or None, lambda: password
            )
        except (ssl.SSLError, ValueError):
            raise SettingsError(
                f"kafka_certificate: {connection.kafka_certificate} and its key do not fit together, or "
                "kafka_key_password does not open the key"
            ) from None
    return context


def _secret(connection: KafkaConnection, name: str) -> str:
    file = getattr(connection, f"{name}_file")
    if file:
        _readable(f"{name}_file", Path(file))
    return secret_of(getattr(connection, name), file)


def _readable(setting: str, path: Path) -> None:
    try:
        with path.open("rb"):
            return
    except OSError as error:
        raise SettingsError(f"{setting}: {path} cannot be read: {error.strerror}") from error
