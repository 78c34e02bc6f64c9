"""The API over TLS: its certificate from files, and what these become."""
# ruff: noqa: PLC0415 (trustme is loaded by the tests that make certificates)

import asyncio
import socket
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import aiohttp
import pytest

from api.tls import ServerCertificate
from schemas.settings import ApiSettings, SettingsError
from tests.api.api_process import ApiProcess

if TYPE_CHECKING:
    from trustme import CA, LeafCert


@pytest.fixture
def authority() -> "CA":
    import trustme

    return trustme.CA()


def write(issued: "LeafCert", certificate: Path, key: Path) -> None:
    """The key first: for a moment the two do not fit one another, as with many that renew certificates."""
    issued.private_key_pem.write_to_path(str(key))
    certificate.write_bytes(b"".join(part.bytes() for part in issued.cert_chain_pems))


def test_what_cannot_serve_is_a_sentence_that_names_the_settings(authority: "CA", tmp_path: Path):
    one, other = authority.issue_cert("127.0.0.1"), authority.issue_cert("127.0.0.1")
    certificate, key, foreign, empty = (tmp_path / name for name in ("cert", "key", "foreign", "empty"))
    write(one, certificate, key)
    other.private_key_pem.write_to_path(str(foreign))
    empty.write_bytes(b"")
    whole = tmp_path / "whole"
    one.private_key_and_cert_chain_pem.write_to_path(str(whole))
    good = ServerCertificate.of(ApiSettings(api_tls_cert=str(whole)))
    assert good is not None
    assert good.context.minimum_version >= ssl.TLSVersion.TLSv1_2
    assert ServerCertificate.of(ApiSettings()) is None
    for named in (
        {"api_tls_cert": str(certificate), "api_tls_key": str(foreign)},
        {"api_tls_cert": str(certificate)},
        {"api_tls_cert": str(empty), "api_tls_key": str(key)},
        {"api_tls_cert": str(tmp_path / "nowhere")},
        {"api_tls_cert": str(tmp_path)},
        {"api_tls_key": str(key)},
    ):
        with pytest.raises(SettingsError, match="SEARCHLOOP_API_TLS_CERT"):
            ServerCertificate.of(ApiSettings(**named))


@pytest.mark.broker
async def test_it_speaks_tls_alone_and_takes_a_new_certificate_and_no_bad_one(
    settings_env: Callable[..., dict[str, str]], authority: "CA", tmp_path: Path
):
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    write(authority.issue_cert("127.0.0.1"), certificate, key)
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    env = settings_env(partitions=2, api_tls_cert=certificate, api_tls_key=key)
    async with ApiProcess(env) as api:
        api.start()
        address = await api.address()
        assert address.startswith("https://127.0.0.1:")
        port = int(address.rpartition(":")[2])

        def shown() -> bytes | None:
            with (
                socket.create_connection(("127.0.0.1", port), timeout=60) as plain,
                trusting.wrap_socket(plain, server_hostname="127.0.0.1") as secured,
            ):
                return secured.getpeercert(binary_form=True)

        first = await asyncio.to_thread(shown)
        connector = aiohttp.TCPConnector(ssl=trusting)
        async with aiohttp.ClientSession(connector=connector) as session:
            async with session.get(f"{address}/v1/search") as said:
                assert said.status == 400
            with pytest.raises(aiohttp.ClientError):
                await session.get(f"http://127.0.0.1:{port}/docs")

            write(authority.issue_cert("127.0.0.1"), certificate, key)
            await api.until(
                lambda: asyncio.to_thread(lambda: shown() != first), "the new certificate is shown"
            )
            second = await asyncio.to_thread(shown)
            certificate.write_bytes(b"no certificate")
            await api.says("the last one serves")
            assert await asyncio.to_thread(shown) == second
            async with session.get(f"{address}/docs") as said:
                assert said.status == 200
