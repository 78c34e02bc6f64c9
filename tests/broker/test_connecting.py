"""Every client of Kafka is made from the one connection, and says who we are as it tells."""

import ast
import asyncio
import gc
import ssl
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from broker.connecting import access_options, client_options, consumer_options
from schemas.connections import KafkaConnection
from schemas.settings import Settings, SettingsError

ROOT = Path(__file__).parents[2]
PACKAGES = (
    "api",
    "broker",
    "commands",
    "embedded",
    "indexer",
    "process",
    "retrieval",
    "searcher",
    "stream",
    "trainer",
)
OPTIONS = {"client_options", "consumer_options"}
USER = {"kafka_security": "SASL_SSL", "kafka_user": "searcher", "kafka_password": "open sesame"}


def opened(source: str) -> Iterator[tuple[int, str, set[str]]]:
    """Yield line, class and the functions whose options are given, of each client that is made."""
    gc.disable()  # what earlier tests left may log when it is collected, which breaks a parse (106905)
    try:
        tree = ast.parse(source)
    finally:
        gc.enable()
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name | ast.Attribute):
            called = node.func.id if isinstance(node.func, ast.Name) else node.func.attr
            spread = [k.value for k in node.keywords if k.arg is None and isinstance(k.value, ast.Call)]
            if called.startswith("AIOKafka"):
                yield node.lineno, called, {ast.unparse(call.func) for call in spread}


def test_no_client_is_made_but_from_the_connection():
    found = [
        f"{path.relative_to(ROOT)}:{line} {called}"
        for package in PACKAGES
        for path in sorted((ROOT / package).rglob("*.py"))
        for line, called, given in opened(path.read_text(encoding="utf-8"))
        if not given & OPTIONS
    ]
    assert found == []


@pytest.mark.parametrize("word", ["bootstrap_servers", "kafka://"])
def test_a_bare_address_is_given_to_a_client_in_one_place(word: str):
    homes = {
        path.relative_to(ROOT).as_posix()
        for package in PACKAGES
        for path in (ROOT / package).rglob("*.py")
        if word in path.read_text(encoding="utf-8")
    }
    assert homes <= {"broker/connecting.py", "stream/app.py"}


def test_a_client_without_the_connection_is_seen():
    assert [given for *_, given in opened("AIOKafkaProducer(bootstrap_servers=x)")] == [set()]
    assert [given for *_, given in opened("AIOKafkaProducer(**client_options(c), acks=1)")] == [
        {"client_options"}
    ]


def test_the_default_is_plain_text_on_this_machine():
    assert client_options(KafkaConnection()) == {
        "bootstrap_servers": KafkaConnection().kafka,
        "client_id": KafkaConnection().kafka_client_id,
        "request_timeout_ms": 40_000,
        "security_protocol": "PLAINTEXT",
    }
    assert client_options(KafkaConnection(), writes=True)["request_timeout_ms"] == 60_000


def test_client_id_rack_and_time_outs_are_those_of_the_settings():
    own = KafkaConnection(kafka_client_id="shop", kafka_rack="eu-1a", kafka_timeout=timedelta(seconds=9))
    given = consumer_options(own, "pulse")
    assert (given["client_id"], given["client_rack"], given["request_timeout_ms"]) == (
        "shop-pulse",
        "eu-1a",
        9_000,
    )
    assert consumer_options(own, within=timedelta(seconds=3))["request_timeout_ms"] == 3_000
    assert consumer_options(own, within=timedelta(seconds=15))["request_timeout_ms"] == 9_000


def test_a_password_comes_from_the_setting_or_from_a_file_and_is_read_again_for_each_client(tmp_path: Path):
    file = tmp_path / "password"
    connection = KafkaConnection(**USER | {"kafka_password_file": str(file)})
    for secret in ("first", "second"):
        file.write_text(f"{secret}\n")
        assert access_options(connection)["sasl_plain_password"] == secret
    found = access_options(KafkaConnection(**USER))
    assert (found["sasl_mechanism"], found["sasl_plain_username"], found["sasl_plain_password"]) == (
        "SCRAM-SHA-512",
        "searcher",
        "open sesame",
    )


def test_certificates_and_host_names_are_always_checked():
    context = access_options(KafkaConnection(kafka_security="SSL"))["ssl_context"]
    assert context.verify_mode == ssl.CERT_REQUIRED
    assert context.check_hostname


def test_a_token_is_read_anew_for_each_connection(tmp_path: Path):
    file = tmp_path / "token"
    file.write_text("")
    connection = KafkaConnection(
        kafka_security="SASL_SSL", kafka_mechanism="OAUTHBEARER", kafka_token_file=str(file)
    )
    tokens = access_options(connection)["sasl_oauth_token_provider"]
    for token in ("first", "second"):
        file.write_text(f"{token}\n")
        assert asyncio.run(tokens.token()) == token


@pytest.mark.parametrize(
    "setting", ["kafka_ca", "kafka_certificate", "kafka_password_file", "kafka_token_provider"]
)
def test_what_cannot_be_read_is_named_with_its_setting(setting: str):
    given = USER | {setting: "/nowhere/x"}
    if setting == "kafka_token_provider":
        given = {"kafka_security": "SASL_SSL", "kafka_mechanism": "OAUTHBEARER", setting: "nobody"}
    with pytest.raises(SettingsError, match=f"^{setting}: "):
        access_options(KafkaConnection(**given))


@pytest.mark.parametrize(
    ("setting", "given"),
    [
        ("kafka_user", {"kafka_security": "SASL_SSL"}),
        ("kafka_password", {"kafka_security": "SASL_SSL", "kafka_user": "searcher"}),
        ("kafka_security", {"kafka_user": "searcher"}),
        ("kafka_security", {"kafka_ca": "ca.pem"}),
        ("kafka_certificate", {"kafka_security": "SSL", "kafka_key": "key.pem"}),
        ("kafka_mechanism", {"kafka_security": "SASL_SSL", "kafka_mechanism": "OAUTHBEARER"}),
        ("kafka", {"kafka": "user:open-sesame@broker:9092"}),
        ("kafka", {"kafka": "SASL_SSL://broker:9092"}),
    ],
)
def test_what_does_not_fit_together_is_refused_and_nothing_secret_is_shown(
    setting: str, given: dict[str, str]
):
    environ = {f"SEARCHLOOP_{name.upper()}": value for name, value in given.items()}
    with pytest.raises(SettingsError, match=setting) as refused:
        Settings.load(environ | {"SEARCHLOOP_KAFKA_KEY_PASSWORD": "open-sesame"})
    assert "open-sesame" not in repr(refused.value)


def test_no_secret_is_shown_by_the_settings_that_hold_it():
    settings = Settings.load({f"SEARCHLOOP_{name.upper()}": value for name, value in USER.items()})
    assert "sesame" not in f"{settings!r} {settings} {settings.model_dump()} {settings.model_dump_json()}"
    assert settings.environ()["SEARCHLOOP_KAFKA_PASSWORD"] == "open sesame"
