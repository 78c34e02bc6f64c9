"""A Milvus that asks who we are: who is let in, and what is said to who is not."""

import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from pymilvus import MilvusClient

from retrieval.index import StoreError, VectorStore
from retrieval.milvus_tls import why_no_tls
from retrieval.profile import PROFILES, profile_of
from schemas.connections import MilvusConnection
from schemas.settings import Settings, SettingsError
from tests.processes import environ_with
from tests.servers.certificates import Authority

PASSWORD = "planted-secret-of-milvus"
TOKEN = f"root:{PASSWORD}"


@pytest.fixture(scope="module")
def guarded(milvus_wheel: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """URI of a server whose root has a password of ours."""
    from embedded.milvus_server import MilvusServer  # noqa: PLC0415 (most runs of these tests need none)

    with MilvusServer(tmp_path_factory.mktemp("guarded"), authorization=True) as server:
        root = MilvusClient(server.address, token="root:Milvus")
        root.update_password("root", "Milvus", PASSWORD)
        root.close()
        root = MilvusClient(server.address, token=TOKEN)
        root.create_database("shop", timeout=30.0)
        root.close()
        yield server.address


def settings(**given: object) -> Settings:
    return Settings.load({f"SEARCHLOOP_{name.upper()}": str(value) for name, value in given.items()})


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_token_from_each_place_lets_us_in_and_a_wrong_one_is_one_sentence(
    guarded: str, tmp_path: Path
) -> None:
    file = tmp_path / "token"
    file.write_text(f"{TOKEN}\n")
    within = guarded.replace("//", f"//{TOKEN}@")
    for given in ({"milvus_token": TOKEN}, {"milvus_token_file": file}, {"milvus": within}):
        with VectorStore(settings(**{"milvus": guarded} | given)) as store:
            assert store.answers()
            assert not store.exists("nothing")
    for wrong in ({}, {"milvus_token": "root:open-sesame"}):
        began = time.monotonic()
        with pytest.raises(StoreError, match=f"{guarded} refuses us: wrong user, password or API key") as e:
            VectorStore(settings(milvus=guarded, **wrong))
        assert time.monotonic() - began < 60.0  # not as long as for one that is still starting
        assert "sesame" not in str(e.value)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_collections_lie_in_the_database_that_is_named_and_have_the_index_that_is_named(guarded: str) -> None:
    own = {"milvus": guarded, "milvus_token": TOKEN}
    index = {
        "milvus_index": "IVF_FLAT",
        "milvus_index_params": '{"nlist": 16}',
        "milvus_search_params": '{"nprobe": 16}',
    }
    with VectorStore(settings(**own, **index, milvus_database="shop")) as shop:
        shop.create("of_the_shop", 4)
        shop.build_index("of_the_shop")
        shop.load("of_the_shop")
        described = shop._client.describe_index("of_the_shop", "vector")
        assert (described["index_type"], str(described["nlist"])) == ("IVF_FLAT", "16")
    with VectorStore(settings(**own)) as default:
        assert not default.exists("of_the_shop")


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_server_with_tls_is_reached_by_its_authority_and_what_does_not_fit_is_told_at_once(
    milvus_wheel: None, tmp_path: Path
) -> None:
    from embedded.milvus_server import MilvusServer  # noqa: PLC0415 (most runs of these tests need none)

    own, other = Authority(tmp_path / "own"), Authority(tmp_path / "other")
    with MilvusServer(tmp_path / "server", certificate=own.server("milvus")) as server:
        with VectorStore(settings(milvus=server.address, milvus_ca=own.pem)) as store:
            store.create("products", 4)
            assert store.exists("products")
        refused = f"{server.address} shows a certificate that .* cannot vouch for .*: .* SEARCHLOOP_MILVUS_CA"
        plain = server.address.replace("https", "http")
        wrong = (
            ({"milvus": server.address, "milvus_ca": other.pem}, refused),
            ({"milvus": server.address}, refused),
            ({"milvus": plain}, f"{plain} speaks TLS: write https:// in SEARCHLOOP_MILVUS"),
        )
        for given, said in wrong:
            began = time.monotonic()
            # In a process of its own: pymilvus keeps connections by address, whatever they were made with
            done = subprocess.run(
                [sys.executable, "-c", _OPEN],
                env=environ_with({f"SEARCHLOOP_{k.upper()}": str(v) for k, v in given.items()}),
                capture_output=True,
                text=True,
                check=False,
            )
            assert re.search(said, done.stdout), done.stdout + done.stderr
            assert time.monotonic() - began < 50.0  # not as long as for one that is still starting
    assert why_no_tls(MilvusConnection(milvus="https://127.0.0.1:1")) is None
    (tmp_path / "empty.pem").write_text("nothing")
    empty = MilvusConnection(milvus="https://127.0.0.1:1", milvus_ca=str(tmp_path / "empty.pem"))
    assert "holds no certificate" in str(why_no_tls(empty))


_OPEN = """
import os
from retrieval.index import StoreError, VectorStore
from schemas.settings import Settings
try:
    VectorStore(Settings.load(os.environ))
except StoreError as error:
    print(error)
"""


def test_user_and_password_of_an_address_become_the_token_and_are_shown_nowhere() -> None:
    found = settings(milvus=f"https://root:{PASSWORD}%40x@milvus.example:19530")
    assert found.milvus == "https://milvus.example:19530"
    assert found.token() == f"root:{PASSWORD}@x"
    assert PASSWORD not in f"{found!r} {found.model_dump_json()}"
    assert Settings.load(found.environ()) == found


def test_the_index_is_that_of_the_settings_or_of_the_backend() -> None:
    assert profile_of("server", MilvusConnection()) is PROFILES["server"]
    own = MilvusConnection(
        milvus_index="HNSW", milvus_index_params='{"M": 8}', milvus_search_params='{"ef": 99}'
    )
    found = profile_of("server", own)
    assert (found.build, found.search, found.narrowed) == ({"M": 8}, {"ef": 99}, {"ef": 99})
    assert profile_of("lite", own).build == {"params": {"M": 8}}


@pytest.mark.parametrize(
    ("setting", "given"),
    [
        ("milvus_index_params", {"milvus_index": "HNSW", "milvus_index_params": "M=8"}),
        ("milvus_index", {"milvus_search_params": "{}"}),
        ("milvus_index", {"milvus_index": "hnsw; drop"}),
        ("milvus_replicas", {"milvus_replicas": 0}),
        ("milvus_attributes", {"milvus_attributes": "colour,,size"}),
        ("milvus_attributes", {"milvus_attributes": ",".join(f"a{n}" for n in range(21))}),
    ],
)
def test_what_does_not_fit_is_refused_by_name(setting: str, given: dict[str, object]) -> None:
    with pytest.raises(SettingsError, match=setting):
        settings(**given)


def test_a_file_that_cannot_be_read_is_named() -> None:
    for name in ("milvus_token_file", "milvus_ca"):
        with pytest.raises(StoreError, match="/nowhere/x cannot be read"):
            VectorStore(settings(**{name: "/nowhere/x"}), deadline_s=0.1)
