"""A command that cannot do its work says so in a sentence.

With the right exit code, and never in a traceback.
"""

from pathlib import Path

import pytest

from broker.errors import MissingTopicError
from commands.support.failures import sentence
from commands.support.session import REFUSED
from tests.commands.in_process import given
from tests.processes import run_cli


@pytest.mark.parametrize(
    "verb", [["search", "x"], ["status"], ["runs"], ["train"], ["rollback"], ["dlq", "list"]]
)
def test_with_nothing_running_a_command_says_what_to_start(tmp_path: Path, verb: list[str]):
    done = run_cli(*verb, "--data-dir", str(tmp_path))
    assert (done.returncode, done.stdout) == (1, "")
    assert "searchloop up" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "environ", "words"),
    [
        (["search", "x", "--k", "0"], {"SEARCHLOOP_KAFKA": "127.0.0.1:1"}, "greater than or equal to 1"),
        (["send", "searches", "/nowhere.jsonl"], {}, "does not exist"),
        (["send", "nonsense", "x"], {}, "unknown topic"),
        (["send", "searches"], {}, "pairs"),
        (["dlq", "list", "--since-hours", "1e12"], {}, "--since-hours"),
        (["gate", "power", "--gain", "1e-300"], {}, "--gain"),
        (["runs", "--at", "0001-01-01T00:00+14:00"], {"SEARCHLOOP_KAFKA": "127.0.0.1:1"}, "is no time"),
        (["train", "--param", "nonsense=3"], {"SEARCHLOOP_KAFKA": "127.0.0.1:1"}, "may not be set"),
    ],
)
def test_wrong_usage_is_told_with_exit_code_2(
    tmp_path: Path, arguments: list[str], environ: dict[str, str], words: str
):
    done = run_cli(*arguments, "--data-dir", str(tmp_path), **environ)
    assert done.returncode == 2, done
    assert words in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr


@pytest.mark.model
@pytest.mark.parametrize(
    ("environ", "words"),
    [({"SEARCHLOOP_CRON": "bad"}, "cron"), ({"SEARCHLOOP_TYPO": "1"}, "SEARCHLOOP_TYPO")],
)
def test_doctor_tells_a_wrong_setting_as_wrong_usage(tmp_path: Path, environ: dict[str, str], words: str):
    done = given("doctor", "--data-dir", str(tmp_path), **environ)
    assert done.code == 2, done
    assert words in " ".join(done.stderr.split())


def test_a_broker_that_is_not_there_is_a_sentence(tmp_path: Path):
    done = run_cli("runs", "--data-dir", str(tmp_path), SEARCHLOOP_KAFKA="127.0.0.1:1")
    assert (done.returncode, "Traceback" in done.stderr) == (1, False)
    assert "Kafka" in done.stderr


def test_up_on_a_file_is_a_sentence(tmp_path: Path):
    (tmp_path / "file").write_text("")
    done = run_cli("up", "--data-dir", str(tmp_path / "file"))
    assert (done.returncode, "Traceback" in done.stderr) == (1, False)


def test_a_topic_that_is_not_there_yet_is_a_sentence_and_any_other_look_up_a_defect():
    told = sentence(MissingTopicError("topic 'pairs' does not exist"))
    assert told is not None
    assert (told[0].startswith("topic 'pairs' does not exist; `searchloop status`"), told[1]) == (
        True,
        REFUSED,
    )
    assert [sentence(error) for error in (KeyError("topic"), IndexError(), LookupError())] == [None] * 3


def test_a_verb_that_wants_more_than_is_installed_names_it_and_the_extra():
    """``searchloop runs`` in the image of stream and api, which has no polars."""
    found = sentence(ModuleNotFoundError("No module named 'polars'", name="polars"))
    assert found is not None
    assert "polars" in found[0]
    assert "searchloop[all]" in found[0]
    assert found[1] == 2
