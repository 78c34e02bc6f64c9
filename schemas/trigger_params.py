"""What a trigger may say of its run: which settings, in which form.

Trainer, verbs and HTTP judge by it. Pure.
"""

from pydantic import ValidationError

from schemas.settings import MAX_SEED, TrainerSettings
from schemas.training import Trigger

# Settings that a trigger may override for its run.
OVERRIDES = frozenset(
    {"max_steps", "passes", "test_days", "seed", "learning_rate", "weight_map", "logq_beta"}
)
LABEL_SHUFFLE = "label_shuffle_seed"


class TriggerError(ValueError):
    """A trigger asks for what it may not, or not in this form; says which field and what is expected."""


def label_shuffle_of(trigger: Trigger) -> int | None:
    """Return the seed by which a run's labels are shuffled, None for a run as usual.

    Raises ``TriggerError``.
    """
    seed = trigger.params.get(LABEL_SHUFFLE)
    if seed is None or (isinstance(seed, int) and not isinstance(seed, bool) and 0 <= seed <= MAX_SEED):
        return seed
    raise TriggerError(f"params.{LABEL_SHUFFLE}: an integer from 0 to {MAX_SEED} is expected")


def settings_for(trigger: Trigger, settings: TrainerSettings) -> TrainerSettings:
    """Return the settings of the run that a trigger asks for.

    Raises ``TriggerError`` for a force without reason and for params outside the list.
    """
    if trigger.force and not (trigger.force_reason or "").strip():
        raise TriggerError("force_reason: force needs a reason")
    unknown = sorted(trigger.params.keys() - OVERRIDES - {LABEL_SHUFFLE})
    if unknown:
        raise TriggerError(
            f"params: {', '.join(unknown)} may not be set by a trigger; these may: "
            f"{', '.join(sorted(OVERRIDES))}"
        )
    label_shuffle_of(trigger)
    overrides = {name: value for name, value in trigger.params.items() if name in OVERRIDES}
    try:
        return TrainerSettings.model_validate({**dict(settings), **overrides})
    except ValueError as error:
        problems = (
            error.errors(include_url=False, include_input=False) if isinstance(error, ValidationError) else []
        )
        words = "; ".join(f"params.{'.'.join(map(str, p['loc']))}: {p['msg']}" for p in problems)
        raise TriggerError(words or f"params: {error}") from error
