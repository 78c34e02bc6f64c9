"""What works in this shop, in plain words: a paragraph from what each part of the score adds. Pure.

*Sure* is a 95 % interval that leaves zero out. Knows no model and decides nothing.
"""

from collections.abc import Mapping, Sequence

from retrieval.ranking import CHARACTERS, COVERAGE, DENSE, DESCRIPTION, MEMORY, PRIOR, RANKER, SERVED, WORDS
from schemas.training import Score
from trainer.evaluation.leave_one_out import ALL, REPEATED, TRAINING, UNSEEN

MIN_QUERIES = 30  # of a group: of fewer nothing is said
# What stands at the beginning of a sentence, and in one; True: it is many
_NAMES: Mapping[str, tuple[str, str, bool]] = {
    DENSE: ("Vectors", "vectors", True),
    WORDS: ("Words", "words", True),
    COVERAGE: ("Coverage of query words", "coverage of query words", False),
    DESCRIPTION: ("Words of the descriptions", "words of the descriptions", True),
    CHARACTERS: ("Characters", "characters", True),
    MEMORY: ("The memory of earlier queries", "the memory of earlier queries", False),
    PRIOR: ("Popularity", "popularity", False),
    RANKER: ("The ranker", "a ranker", False),
}


def in_words(gains: Mapping[str, Mapping[str, Score]]) -> str:
    """Return one paragraph for a person; nothing measured gives nothing.

    ``gains``: ``leave_one_out.part_gains``. A part that is not among them weighs nothing.
    """
    parts = {name: by[ALL] for name, by in gains.items() if name in _NAMES and ALL in by}
    if not parts:
        return ""
    order = sorted(parts, key=lambda name: (-parts[name].mean, SERVED.index(name)))
    helping = [name for name in order if parts[name].ci_low > 0]
    hurting = [name for name in order if parts[name].ci_high < 0]
    unsure = [name for name in order if name not in {*helping, *hurting}]
    said = [f"Measured on {parts[order[0]].n} test queries."]
    if not helping:
        said.append("No part of the score is surely missed.")
    for place, name in enumerate(helping):
        begins, _, many = _NAMES[name]
        if place == 0 and len(parts) > 1:
            told = f"{begins} {'carry' if many else 'carries'} most: without {'them' if many else 'it'} "
            told += f"nDCG@10 falls by {_number(parts[name])}"
        else:
            told = f"{begins} {'add' if many else 'adds'} {_number(parts[name])}"
        said.append(f"{told}{_by_group(gains[name]) if name == MEMORY else ''}.")
    for name in hurting:
        begins, _, many = _NAMES[name]
        said.append(f"{begins} {'cost' if many else 'costs'} {_number(parts[name], sign=-1)}.")
    if unsure:
        listed = [f"{_NAMES[name][1]} ({_spread(parts[name])})" for name in unsure]
        said.append(f"Not sure to add anything: {_listed(listed)}.")
    unused = [_NAMES[name][1] for name in SERVED if name not in parts]
    if unused:
        said.append(f"Not used: {_listed(unused)}.")
    if (trained := gains.get(TRAINING, {}).get(ALL)) is not None:
        said.append(_of_training(trained))
    return " ".join(said)


def _by_group(by: Mapping[str, Score]) -> str:
    told = [
        f"{_number(by[group]) if by[group].ci_low > 0 else f'nothing sure ({_spread(by[group])})'} on {words}"
        for group, words in ((REPEATED, "queries that were asked before"), (UNSEEN, "new ones"))
        if group in by and by[group].n >= MIN_QUERIES
    ]
    return f"; {' and '.join(told)}" if told else ""


def _of_training(gain: Score) -> str:
    if gain.mean == gain.ci_low == gain.ci_high == 0:
        return "The model ranks as the pretrained one does."
    if gain.ci_low > 0:
        return f"Training adds {_number(gain)} to the pretrained model, each with its own parts."
    if gain.ci_high < 0:
        return (
            f"Training costs {_number(gain, sign=-1)} against the pretrained model, each with its own parts."
        )
    return f"Training is not sure to add anything to the pretrained model ({_spread(gain)})."


def _number(gain: Score, *, sign: int = 1) -> str:
    low, high = sorted((sign * gain.ci_low, sign * gain.ci_high))
    return f"{sign * gain.mean:.3f} ({low:.3f} to {high:.3f})"


def _spread(gain: Score) -> str:
    return f"{gain.mean:+.3f}, {gain.ci_low:+.3f} to {gain.ci_high:+.3f}"


def _listed(names: Sequence[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
