"""Settings: read from the environment, refused when unknown, handed on to child processes."""

import ast
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import SecretStr

from schemas.settings import (
    FOREIGN,
    GATE,
    PREFIX,
    PROCESS_SETTINGS,
    IndexerSettings,
    Settings,
    SettingsError,
    StreamSettings,
    known_names,
)


@pytest.mark.parametrize("kind", PROCESS_SETTINGS.values())
def test_an_empty_environment_gives_the_defaults(kind: type[Settings]) -> None:
    assert kind.load({"PATH": "/bin"}) == kind()
    assert kind().environ() == {}


@pytest.mark.parametrize("kind", PROCESS_SETTINGS.values())
def test_a_name_that_no_process_knows_is_refused_by_name(kind: type[Settings]) -> None:
    with pytest.raises(SettingsError, match="SEARCHLOOP_KAFAK is not a setting"):
        kind.load({"SEARCHLOOP_KAFAK": "127.0.0.1:9092"})


def test_the_settings_of_another_process_and_of_the_tests_are_ignored() -> None:
    assert (
        StreamSettings.load({"SEARCHLOOP_CRON": "0 3 * * *", **dict.fromkeys(FOREIGN, "x")})
        == StreamSettings()
    )


@pytest.mark.parametrize("kind", PROCESS_SETTINGS.values())
@pytest.mark.parametrize(
    "service", ["SEARCHLOOP", "SEARCHLOOP_SEARCHER", "SEARCHLOOP_HTTP", "SEARCHLOOP_KAFKA", "SEARCHLOOP_EU_1"]
)
def test_what_kubernetes_puts_into_every_pod_for_a_service_is_no_setting(
    kind: type[Settings], service: str
) -> None:
    link = {
        f"{service}_SERVICE_HOST": "10.0.171.239",
        f"{service}_SERVICE_PORT": "80",
        f"{service}_SERVICE_PORT_HTTP_METRICS": "80",
        f"{service}_PORT": "tcp://10.0.171.239:80",
        f"{service}_PORT_80_TCP": "tcp://10.0.171.239:80",
        f"{service}_PORT_80_TCP_PROTO": "tcp",
        f"{service}_PORT_80_TCP_PORT": "80",
        f"{service}_PORT_80_TCP_ADDR": "10.0.171.239",
        f"{service}_PORT_53_UDP": "udp://[fd00::7]:53",
    }
    assert kind.load(link) == kind()
    assert kind.load({**link, "SEARCHLOOP_PARTITIONS": "6"}).partitions == 6


@pytest.mark.parametrize(
    "name",
    ["SEARCHLOOP_HTTP_PROT", "SEARCHLOOP_KAFKA_PORT", "SEARCHLOOP_SERVICE", "SEARCHLOOP_SERVICE_HOSTS"],
)
def test_a_typo_that_looks_a_little_like_a_service_is_refused(name: str) -> None:
    with pytest.raises(SettingsError, match=f"{name} is not a setting"):
        Settings.load({name: "8080"})


def test_a_value_that_does_not_fit_is_refused_and_the_field_is_named() -> None:
    with pytest.raises(SettingsError, match="partitions"):
        Settings.load({"SEARCHLOOP_PARTITIONS": "many"})
    with pytest.raises(SettingsError, match="click_window"):
        StreamSettings.load({"SEARCHLOOP_CLICK_WINDOW": "PT0S"})


def test_an_override_wins_over_the_environment() -> None:
    assert Settings.load({"SEARCHLOOP_PARTITIONS": "2"}, partitions=8).partitions == 8


@pytest.mark.parametrize("kind", PROCESS_SETTINGS.values())
def test_the_environment_that_settings_write_builds_them_again(kind: type[Settings]) -> None:
    changed = kind.model_validate({name: another(kind, name) for name in kind.model_fields})
    assert changed != kind()
    environ = changed.environ()
    assert kind.load(environ) == changed
    assert set(environ) == {f"{PREFIX}{name.upper()}" for name, _ in changed}


CHOICES = {
    "kafka": "127.0.0.1:9092,[::1]:9093",
    "kafka_security": "SASL_SSL",
    "kafka_mechanism": "SCRAM-SHA-256",
    "kafka_token_file": "",
    "kafka_token_provider": "",
    "milvus_index": "DISKANN",
    "tried_fields": "description,attributes",
    "milvus_index_params": '{"M": 8}',
    "milvus_search_params": '{"ef": 64}',
    "popularity": "clicks",
    "weight_map": "linear",
    "cron": "0 3 * * *",
    "log_level": "DEBUG",
    "device": "cpu",
    "picture_networks": "10.1.0.0/16, fd00::/8",
    "picture_schemes": "https,http",
    "data_dir": Path("else where/x"),
    "topic_prefix": "t.",
    "client_salt": "no-word-of-anybody",
}


def another(kind: type[Settings], name: str) -> object:
    """Return a value of a setting that fits and, where there is room, is not its default."""
    default = kind.model_fields[name].default
    if name in CHOICES:
        return CHOICES[name]
    if isinstance(default, bool):
        return not default
    if isinstance(default, int):
        return max(default - 1, 2) if default > 2 else default + 1
    if isinstance(default, float):
        return default * 0.75
    if isinstance(default, timedelta):
        return default + timedelta(days=1, microseconds=1)
    return SecretStr("x") if isinstance(default, SecretStr) else f"{default}x"


def test_every_setting_says_what_it_is_for() -> None:
    for kind in PROCESS_SETTINGS.values():
        for name, field in kind.model_fields.items():
            assert field.description, f"{kind.__name__}.{name}"
    assert set(IndexerSettings.model_fields) <= known_names()


def test_a_salt_is_long_enough_not_to_be_guessed_and_those_of_before_are_told_apart() -> None:
    for wrong in ("short", "x" * 65, "sixteen, and more", "none"):
        with pytest.raises(SettingsError, match="client_salt"):
            StreamSettings.load({"SEARCHLOOP_CLIENT_SALT": wrong})
    settings = StreamSettings.load(
        {"SEARCHLOOP_CLIENT_SALT": "x" * 16, "SEARCHLOOP_CLIENT_SALTS_BEFORE": f" none,{'y' * 20}"}
    )
    assert settings.salts_before == ("", "y" * 20)
    assert StreamSettings().salts_before == ()
    assert "xxxx" not in repr(settings)
    assert "yyyy" not in repr(settings)


def test_settings_do_not_change() -> None:
    with pytest.raises(ValueError, match="frozen"):
        Settings().partitions = 2  # type: ignore[misc]


ROOT = Path(__file__).resolve().parents[2]
# A value that switches something off, or says that nobody chose, is no second copy of a default.
NEUTRAL = (None, False, 0, "")


def defaults_in(tree: ast.AST) -> Iterator[tuple[int, str, object]]:
    """Yield line, name and value of each literal default of a parameter or a field."""
    for node in ast.walk(tree):
        found: list[tuple[str, ast.expr | None]] = []
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            own = [*node.args.posonlyargs, *node.args.args]
            found += [
                (arg.arg, value)
                for arg, value in zip(reversed(own), reversed(node.args.defaults), strict=False)
            ]
            found += [
                (arg.arg, value)
                for arg, value in zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True)
            ]
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            found.append((node.target.id, node.value))
        for name, value in found:
            if isinstance(value, ast.Constant):
                yield node.lineno, name, value.value  # type: ignore[attr-defined]


def test_no_default_of_a_setting_is_written_a_second_time() -> None:
    settings: dict[str, set[object]] = {}
    for kind in PROCESS_SETTINGS.values():
        for name, field in kind.model_fields.items():
            settings.setdefault(name.removeprefix(GATE), set()).add(field.default)
    files = [
        path
        for path in ROOT.glob("*/*.py")
        if path.parent.name not in {"tests", ".venv"} and path.name != "settings.py"
    ]
    assert len(files) > 200
    again = [
        f"{path.relative_to(ROOT)}:{line} {name}={value!r}"
        for path in files
        for line, name, value in defaults_in(ast.parse(path.read_text()))
        if value not in NEUTRAL and value in settings.get(name, ())
    ]
    assert not again, "take it from the settings, or make it required"


def test_a_setting_of_several_processes_has_one_default() -> None:
    seen: dict[str, object] = {}
    for kind in PROCESS_SETTINGS.values():
        for name, field in kind.model_fields.items():
            assert seen.setdefault(name, field.default) == field.default, name
