"""What a process has read as a secret stands in nothing that it shows."""

import logging
from pathlib import Path

import pytest
import structlog

from commands.support.session import show_json
from process.logs import configure_logs
from schemas.connections import secret_of
from schemas.hidden import redacted
from schemas.settings import PROCESS_SETTINGS, Settings

PLANTED = "x7-planted-secret-x7"


def secret_settings() -> list[str]:
    """Return every setting that holds a secret, of any process."""
    return sorted(
        {
            name
            for kind in PROCESS_SETTINGS.values()
            for name, field in kind.model_fields.items()
            if "Secret" in str(field.annotation) or not field.repr
        }
    )


def test_the_settings_that_hold_secrets_are_known():
    assert {"client_salt", "client_salts_before", "kafka_password"} <= set(secret_settings())


@pytest.mark.parametrize("name", secret_settings())
def test_a_secret_of_any_setting_is_in_no_log_line_and_no_output(
    name: str, capsys: pytest.CaptureFixture[str]
):
    secret = f"{PLANTED}-{name}".replace("_", "-")
    Settings.load({f"SEARCHLOOP_{name.upper()}": secret})
    root, handlers, level = logging.getLogger(), logging.getLogger().handlers[:], logging.getLogger().level
    try:
        configure_logs("INFO")
        structlog.get_logger("test").warning("refused", reason=f"no such user: {secret}")
        logging.getLogger("aiokafka").error("Unable connect: %s", secret)
        structlog.get_logger("test").error("crashed", exc_info=ValueError(f"a library says {secret}"))
        show_json({"error": secret})
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
        structlog.reset_defaults()
    shown = capsys.readouterr()
    assert shown.err.count("***") >= 3
    assert shown.out == '{"error": "***"}\n'
    assert secret not in shown.err


def test_a_secret_of_a_file_is_one_too(tmp_path: Path):
    (tmp_path / "password").write_text(f"{PLANTED}-of-a-file\n")
    assert secret_of(Settings().kafka_password, str(tmp_path / "password")) == f"{PLANTED}-of-a-file"
    assert redacted(f"wrong: {PLANTED}-of-a-file") == "wrong: ***"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("at https://a:b@h/x, https://c@i", "at https://***@h/x, https://***@i"),
        ("at http://a:b@c@h:1", "at http://***@h:1"),
        ("a//b is for ann@example.org", "a//b is for ann@example.org"),
    ],
)
def test_users_and_passwords_of_addresses_are_taken_out(text: str, shown: str):
    assert redacted(text) == shown
