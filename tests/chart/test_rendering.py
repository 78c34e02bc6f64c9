"""helm itself on the chart, where it is installed: it lints, renders what is kept, refuses what is wrong."""

import pytest

from tests.chart.rendering import CHART, EXAMPLES, KEPT, digest, helm, rendered, run_helm, template

needs_helm = pytest.mark.skipif(
    helm() is None, reason="there is no helm; what it rendered last is tested in test_manifests.py"
)


@pytest.mark.parametrize("example", EXAMPLES)
def test_what_is_kept_was_rendered_from_this_very_chart(example: str) -> None:
    """Without helm, too: who changes the chart renders it again (python -m tests.chart.rendering)."""
    assert (KEPT / f"{example}.yaml").read_text().splitlines()[0] == f"# {digest()}"


def test_nothing_else_is_kept() -> None:
    assert sorted(path.stem for path in KEPT.iterdir()) == EXAMPLES


@needs_helm
@pytest.mark.parametrize("example", EXAMPLES)
def test_helm_renders_what_is_kept(example: str) -> None:
    assert rendered(example) == (KEPT / f"{example}.yaml").read_text()


@needs_helm
@pytest.mark.parametrize("example", EXAMPLES)
def test_helm_finds_nothing_to_say(example: str) -> None:
    done = run_helm("lint", "--strict", str(CHART), "--values", str(CHART / "examples" / f"{example}.yaml"))
    assert done.returncode == 0, done.stdout
    assert "[WARNING]" not in done.stdout


LEAST = ("settings.kafka=k:9092", "settings.milvus=http://m:19530")


@needs_helm
@pytest.mark.parametrize(
    ("values", "said"),
    [
        ((), "kafka"),
        (LEAST, "store.address or store.claim"),
        ((*LEAST, "store.claim=a", "store.address=s3://b"), "one place"),
        ((*LEAST, "store.address=/mnt"), "store"),
        ((*LEAST, "store.claim=a", "searchers.replicas=3"), "searchers"),
        ((*LEAST, "store.claim=a", "searcher.replicas=many"), "replicas"),
        ((*LEAST, "store.claim=a", "image.tag=latest"), "tag"),
        ((*LEAST, "store.claim=a", "trainer.image.tag=2"), "repository"),
        ((*LEAST, "store.claim=a", "files.kafka_ca.secret=authority"), "key"),
        ((*LEAST, "store.claim=a", "trainer.jobs.enabled=true"), "trainer.jobs.claim"),
        ((*LEAST, "store.claim=a", "trainer.jobs.settings.device=cuda"), "settings"),
    ],
)
def test_helm_refuses_values_that_cannot_be_meant(values: tuple[str, ...], said: str) -> None:
    done = template(*(word for value in values for word in ("--set", value)))
    assert done.returncode != 0
    assert said in done.stderr


@needs_helm
def test_what_is_said_of_one_process_goes_before_what_is_said_for_all() -> None:
    """Also where it is false or 0, which helm's own merge takes for nothing."""
    said = {
        "settings.kafka": "k:9092",
        "settings.milvus": "http://m:19530",
        "settings.emit_searches": "true",
        "searcher.settings.emit_searches": "false",
        "settings.remembered_rows": "50000",
        "searcher.settings.remembered_rows": "0",
        "store.claim": "a",
    }
    done = template(*(word for name, value in said.items() for word in ("--set", f"{name}={value}")))
    searcher = done.stdout.split("component: searcher")[1]
    for name, value in (("EMIT_SEARCHES", "false"), ("REMEMBERED_ROWS", "0")):
        assert f'- name: SEARCHLOOP_{name}\n              value: "{value}"' in done.stdout, searcher[:3000]
