"""A broker with TLS, users and access control: who is let in, and what is said to who is not."""

import base64
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from broker.claiming import open_claims
from broker.connecting import access_options
from broker.consuming import open_group
from broker.denials import missing_right
from broker.errors import AccessError, BrokerError
from broker.producing import open_producer
from broker.reading import read_compacted
from broker.records import Outgoing
from broker.topics import ensure_topics
from schemas.connections import KafkaConnection
from schemas.rights import rights_of, topics_of
from schemas.settings import Settings
from tests.processes import ProcessUnderTest, environ_with, run_cli
from tests.servers.certificates import PASSWORD, Authority
from tests.servers.conftest import STRANGER, Connect
from tests.servers.secure_kafka import SecureKafka

pytestmark = [pytest.mark.broker, pytest.mark.timeout(300)]


async def refusal(connection: KafkaConnection) -> str:
    with pytest.raises(AccessError) as refused:
        await read_compacted(connection, "t")
    return str(refused.value)


@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-512", "SCRAM-SHA-256", "PLAIN"])
async def test_a_user_is_let_in_by_a_password(allowed: Connect, mechanism: str) -> None:
    settings = allowed("searcher", kafka_mechanism=mechanism)
    async with open_producer(settings, linger_ms=0) as producer:
        await producer.send(Outgoing(settings.topic("search-responses"), b"an answer", key=b"k"))
    found = await read_compacted(
        allowed("clients", kafka_mechanism=mechanism), settings.topic("search-responses")
    )
    assert found.records[b"k"].value == b"an answer"


def a_token(user: str) -> str:
    """Return one that nobody has signed; the broker of these tests believes it."""

    def part(said: dict[str, object]) -> str:
        return base64.urlsafe_b64encode(json.dumps(said).encode()).decode().rstrip("=")

    now = int(time.time())
    return f"{part({'alg': 'none'})}.{part({'sub': user, 'iat': now - 60, 'exp': now + 3600})}."


async def test_a_user_is_let_in_by_a_token_of_a_file_or_of_a_package(
    allowed: Connect, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "token").write_text(a_token("clients"))
    package = tmp_path / "site"
    for name, text in {
        "shop_tokens.py": f"async def token():\n    return {a_token('clients')!r}\n",
        "shop_tokens-1.dist-info/METADATA": "Metadata-Version: 2.1\nName: shop-tokens\nVersion: 1\n",
        "shop_tokens-1.dist-info/entry_points.txt": "[searchloop.kafka_tokens]\nshop = shop_tokens:token\n",
    }.items():
        (package / name).parent.mkdir(parents=True, exist_ok=True)
        (package / name).write_text(text)
    monkeypatch.syspath_prepend(package)
    for source in ({"kafka_token_file": str(tmp_path / "token")}, {"kafka_token_provider": "shop"}):
        settings = allowed("clients", kafka_mechanism="OAUTHBEARER", **source)
        assert (await read_compacted(settings, settings.topic("search-responses"))).records == {}


def with_certificate(of: Authority, name: str, kafka: str) -> dict[str, str]:
    """Return the settings of who shows a certificate and no password."""
    certificate, key = of.client(name)
    return {
        "kafka": kafka,
        "kafka_security": "SSL",
        "kafka_user": "",
        "kafka_password": "",
        "kafka_certificate": str(certificate),
        "kafka_key": str(key),
        "kafka_key_password": PASSWORD,
    }


async def test_a_user_is_let_in_by_a_certificate_and_may_what_its_name_may(
    allowed: Connect, secure_kafka: SecureKafka, authority: Authority, tmp_path: Path
) -> None:
    door = secure_kafka.door("mutual")
    settings = allowed("searcher", **with_certificate(authority, "searcher", door))
    responses = settings.topic("search-responses")
    async with open_producer(settings, linger_ms=0) as producer:
        await producer.send(Outgoing(responses, b"an answer", key=b"k"))
    client = allowed("clients", **with_certificate(authority, "clients", door))
    assert (await read_compacted(client, responses)).records[b"k"].value == b"an answer"
    with pytest.raises(LookupError, match="or the user of our certificate may not see it"):
        await read_compacted(client, client.topic("events"))
    none = allowed("clients", kafka=door, kafka_security="SSL", kafka_user="", kafka_password="")
    other = allowed("clients", **with_certificate(Authority(tmp_path / "other"), "clients", door))
    for refused in (none, other):
        with pytest.raises(
            BrokerError, match=r"does it ask for a certificate .SEARCHLOOP_KAFKA_CERTIFICATE."
        ):
            await read_compacted(refused, responses)


async def test_wrong_passwords_authorities_certificates_and_doors_are_each_one_sentence(
    connect: Connect, secure_kafka: SecureKafka, tmp_path: Path
) -> None:
    other = Authority(tmp_path / "other")
    at, expired, elsewhere = map(secure_kafka.door, ("secure", "expired", "elsewhere"))
    assert await refusal(connect("stream", kafka_password="open-sesame")) == (
        f"{at} refuses User:stream: wrong user, password or token for SCRAM-SHA-512, or no such user"
    )
    assert await refusal(connect("stream", kafka_ca=str(other.pem))) == (
        f"{at} shows a certificate that no authority of {other.pem} has signed: name its own with "
        "SEARCHLOOP_KAFKA_CA"
    )
    assert await refusal(connect("stream", kafka=expired)) == (
        f"{expired} shows a certificate that has expired: it needs a new one"
    )
    assert await refusal(connect("stream", kafka=elsewhere)) == (
        f"{elsewhere} shows a certificate that is not for this name: use the name it is for in "
        "SEARCHLOOP_KAFKA"
    )


async def test_a_door_of_another_kind_is_no_refusal_and_the_setting_is_named(
    secure_kafka: SecureKafka,
) -> None:
    """A broker that is ending closes connections, too."""
    for kafka, security in ((secure_kafka.address, "SSL"), (secure_kafka.secure, "PLAINTEXT")):
        wrong = KafkaConnection(kafka=kafka, kafka_security=security)
        with pytest.raises(BrokerError, match=f"{kafka} closes .* SEARCHLOOP_KAFKA_SECURITY, which is") as e:
            await read_compacted(wrong, "t")
        assert not isinstance(e.value, AccessError)


async def sentence(settings: Settings, principal: str, attempt: Callable[[], object]) -> str | None:
    with pytest.raises((BrokerError, LookupError)) as refused:
        await attempt()  # type: ignore[misc]
    return missing_right(refused.value, settings, rights_of(principal, settings))


async def test_a_right_that_is_missing_is_told_with_principal_operations_and_resource(
    allowed: Connect,
) -> None:
    settings, trainer = allowed(STRANGER), allowed("trainer")
    events, group = settings.topic("events"), settings.topic("learn")

    async def write(connection: KafkaConnection) -> None:
        async with open_producer(connection, linger_ms=0) as producer:
            await producer.send(Outgoing(events, b"x"))

    async def join() -> None:
        async with open_group(trainer, [trainer.topic("pairs")], group) as member:
            await member.batch(timeout_ms=5000, max_records=1)

    async def claim() -> None:
        async with open_claims(settings) as claims:
            await claims.take([(settings.topic("pairs"), 0)])

    async def make() -> None:
        await ensure_topics(settings, topics_of("stream"), deadline_s=10)

    remedy = "`searchloop acl` prints what each process needs"
    assert await sentence(settings, "stream", lambda: write(settings)) == (
        f"User:stranger lacks Write on every topic, and IdempotentWrite on the cluster; {remedy}"
    )
    assert await sentence(allowed("searcher"), "stream", lambda: write(allowed("searcher"))) == (
        f"User:searcher lacks Describe, DescribeConfigs, Read and Write on topic {events!r}; {remedy}"
    )
    assert await sentence(trainer, "stream", join) == (
        f"User:trainer lacks Describe and Read on group {group!r}; {remedy}"
    )
    assert await sentence(settings, "stream", claim) == (
        f"User:stranger lacks Describe and Write on transactional-id {settings.topic('pairs-0')!r}; {remedy}"
    )
    assert "User:stranger lacks Describe, DescribeConfigs" in str(await sentence(settings, "stream", make))
    unseen = f"topic {events!r} does not exist, or User:clients may not see it"
    with pytest.raises(LookupError, match=unseen):
        await read_compacted(allowed("clients"), events)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"kafka_password": "open-sesame"}, "refuses User:searcher: wrong user, password or token"),
        ({"kafka_ca": "/nowhere/ca.pem"}, "kafka_ca: /nowhere/ca.pem cannot be read"),
    ],
    ids=["password", "authority"],
)
def test_a_process_and_a_verb_that_are_refused_say_so_once_and_show_no_secret(
    connect: Connect, passwords: dict[str, str], changes: dict[str, str], said: str, tmp_path: Path
) -> None:
    environ = connect("searcher", **changes).environ()
    with ProcessUnderTest(
        [sys.executable, "-m", "searcher"], environ_with(environ), tmp_path / "log"
    ) as process:
        assert process.start().wait() == 2
        shown = process.log()
    verb = run_cli("runs", **environ)
    assert verb.returncode in {1, 2}
    for text in (shown, verb.stdout + verb.stderr):
        assert said in text
        assert "Traceback" not in text
        assert not [secret for secret in ("sesame", *passwords.values()) if secret in text]
    assert access_options(connect("searcher"))["sasl_plain_password"] == passwords["searcher"]
