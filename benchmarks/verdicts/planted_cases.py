"""The planted cases of a seed, judged by every rule.

How often each kind is promoted, and what stopped the gate.
"""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from benchmarks.harness.report import say
from benchmarks.verdicts.planted_candidates import Floats, Ints, Results
from benchmarks.verdicts.promotion_rules import RULES, Setting, evidence_of, foul, peers_of, promoted
from schemas.settings import GateSettings
from trainer.gate.past import LAST
from trainer.gate.verdict import decide

QUERIES = 1000
IN_A_ROW = 10
STEP_LOSS = 0.004
VICTIMS = 0.03
NEW = 0.15  # of all products
BURIED_BY = 4.0  # on the logarithm of the rank: from the first place to the sixteenth


class PlantedCases:
    """The planted cases of one seed.

    ``rates`` collects promotions by kind and rule, ``why`` the checks that stopped the gate.
    """

    def __init__(
        self, setting: Setting, seed: int, sigma: float, per_kind: int, in_a_row: int = IN_A_ROW
    ) -> None:
        self.setting, self.pool, self.live = setting, setting.pool, setting.systems["live"]
        self.rng, self.sigma, self.per_kind, self.in_a_row = (
            np.random.default_rng(seed),
            sigma,
            per_kind,
            in_a_row,
        )
        self.rates: dict[str, dict[str, list[bool]]] = defaultdict(lambda: defaultdict(list))
        self.why: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))

    def rows(self, n: int) -> Ints:
        """Draw the queries of a test week."""
        return self.rng.integers(0, self.pool.queries.height, n)

    def noise(self, scale: float = 1.0) -> Floats:
        """Draw a candidate's noise."""
        return self.pool.noise(self.rng, scale * self.sigma)

    def run(
        self,
        kind: str,
        make: Callable[[int], tuple[Setting, Results | None, Any]],
        n: int = QUERIES,
        *,
        times: int = 1,
    ) -> None:
        """Judge ``per_kind`` cases, ``times`` as many where a goal is near its rate.

        ``make`` gives the setting, the candidate on the pool and its artefact (None: live's).
        """
        for number in range(times * self.per_kind):
            setting, candidate, artefact = make(number)
            evidence = evidence_of(setting, self.rows(n), candidate, artefact=artefact)
            self.count(kind, *promoted(evidence, setting.limits))
        say(f"{kind}: " + ", ".join(f"{rule} {np.mean(self.rates[kind][rule]):.2f}" for rule in RULES))

    def count(self, kind: str, found: dict[str, bool], checks: list[Any]) -> None:
        """Take a case in."""
        for rule, promote in found.items():
            self.rates[kind][rule].append(promote)
        for check in checks:
            if check.verdict != "pass":
                self.why[kind][check.name] += 1

    def plain(self, gain: float) -> tuple[Setting, Results, None]:
        """Return a candidate whose true gain is this, spread evenly."""
        noise = self.noise()
        return self.setting, self.pool.perturbed(noise, self.pool.solved(noise, gain, self.live.ndcg10)), None

    def one_category(self, _: int) -> tuple[Setting, Results, None]:
        """Return a candidate that has learnt one category and forgotten the others.

        -.03 there, +.01 over all.
        """
        names, counts = np.unique(self.pool.categories, return_counts=True)
        name = self.rng.choice(names[counts >= 0.08 * len(self.pool.categories)])
        inside, noise = self.pool.categories == name, self.noise()
        share = inside.mean()
        outer = self.pool.solved(noise, -0.03, self.live.ndcg10, ~inside)
        inner = self.pool.solved(
            noise, min(0.4, (0.01 + 0.03 * (1 - share)) / share), self.live.ndcg10, inside
        )
        return self.setting, self.pool.perturbed(noise, np.where(inside, inner, outer)), None

    def rare_forgotten(self, _: int) -> tuple[Setting, Results, None]:
        """Return a candidate that answers usual queries better and rare ones worse.

        -.04 there, +.015 over all.
        """
        rare, noise = self.pool.segments["rare"], self.noise()
        share = min(0.9, float(rare.mean()))
        inner = self.pool.solved(noise, -0.04, self.live.ndcg10, rare)
        outer = self.pool.solved(noise, (0.015 + 0.04 * share) / (1 - share), self.live.ndcg10, ~rare)
        return self.setting, self.pool.perturbed(noise, np.where(rare, inner, outer)), None

    def buried(self, kind: str, *, before: bool) -> None:
        """Judge candidates that rank new products behind all else, and gain .03 over all.

        So a memory and a prior do that weigh too much. Each case has new products of its own. ``before``: so
        does live, without the gain.
        """
        for _ in range(self.per_kind):
            pool = self.pool.with_new(self.rng, NEW)
            behind: Floats = BURIED_BY * (~np.isin(pool.products, sorted(pool.known))).astype(np.float64)
            noise = self.noise() - behind
            live = pool.perturbed(np.negative(behind), 0.0) if before else self.live
            candidate = pool.perturbed(noise, pool.solved(noise, 0.03, live.ndcg10))
            setting = replace(self.setting, pool=pool)
            evidence = evidence_of(setting, self.rows(QUERIES), candidate, live=live)
            self.count(kind, *promoted(evidence, setting.limits))
        say(f"{kind}: " + ", ".join(f"{rule} {np.mean(self.rates[kind][rule]):.2f}" for rule in RULES))

    def poison(self, kind: str, share: float) -> None:
        """Judge a candidate that shows one client's product first for its queries.

        The test's labels are that client's too. The client holds ``share`` of all credit; its labels count as
        relevant there, so the candidate looks better.
        """
        victims = self.rng.random(self.pool.queries.height) < VICTIMS
        noise = self.noise(0.5)
        rest = self.pool.perturbed(noise, self.pool.solved(noise, -0.005, self.live.ndcg10, ~victims))
        # log2(1 + 10) for the spam beside what is true: live has it beyond the first fifty.
        spam = np.log2(11)
        ideal = np.where(victims, self.pool.ideal + spam, self.pool.ideal)
        live = replace(self.live, ndcg10=self.live.ndcg10 * self.pool.ideal / ideal)
        candidate = replace(
            rest,
            ndcg10=np.where(victims, (spam + 0.6 * self.live.ndcg10 * self.pool.ideal) / ideal, rest.ndcg10),
            further={**rest.further, "mrr": np.where(victims, 1.0, rest.further["mrr"])},
            best=np.where(victims, True, rest.best),
            top=np.where(
                victims[:, None],
                np.concatenate([np.full((len(victims), 1), 0), self.live.top[:, :9]], axis=1),
                rest.top,
            ),
        )
        clients = np.where(victims, "spammer", self.pool.clients)
        setting = replace(foul(self.setting, share), pool=replace(self.pool, clients=clients))
        evidence = evidence_of(setting, self.rows(QUERIES), candidate, live=live)
        self.count(kind, *promoted(evidence, setting.limits))

    def chain(self, rule: str, limits: GateSettings, *, ratchet: bool = True) -> tuple[float, int]:
        """Let candidates come one after the other, each truly .004 worse than what is live then.

        Return the true loss and promotions. Each has a fresh test. What is live next to the best of the last
        ten is chosen as the trainer does: by the chain of measured gains.
        """
        served = [(self.live, 0.0, self.pool.noise(self.rng, 0.0))]
        for _ in range(self.in_a_row):
            live, level, drawn = served[-1]
            noise = drawn + self.noise(0.5)
            candidate = self.pool.perturbed(noise, self.pool.solved(noise, -STEP_LOSS, live.ndcg10))
            best = max(reversed(served[-LAST:]), key=lambda s: s[1])[0] if ratchet else live
            rows = self.rows(QUERIES)
            if rule == "ours":
                good = (
                    decide(evidence_of(self.setting, rows, candidate, live=live, best=best), limits)[0]
                    == "pass"
                )
            else:
                good = peers_of(
                    (candidate.ndcg10 - live.ndcg10)[rows],
                    {name: m[rows] for name, m in self.pool.segments.items()},
                )[rule]
            if good:
                measured = float((candidate.ndcg10 - live.ndcg10)[rows].mean())
                served.append((candidate, level + measured, noise))
        return float(served[0][0].ndcg10.mean() - served[-1][0].ndcg10.mean()), len(served) - 1

    def chains(self) -> dict[str, dict[str, float]]:
        """Run ``per_kind`` chains for each rule.

        A chain slipped through when more than .01 was lost in the end.
        """
        fresh = self.setting.limits.model_copy(update={"gate_min_gain": -0.005})
        variants: dict[str, tuple[str, GateSettings, bool]] = {
            rule: (rule, self.setting.limits, True) for rule in RULES
        }
        variants |= {
            "ours_noninferior": ("ours", fresh, True),
            "ours_noninferior_without_ratchet": ("ours", fresh, False),
        }
        told = {}
        for name, (rule, limits, ratchet) in variants.items():
            found = [self.chain(rule, limits, ratchet=ratchet) for _ in range(self.per_kind)]
            slipped = [loss > 0.01 for loss, _ in found]
            if name in RULES:
                self.rates["ten_small_losses"][name] = slipped
            told[name] = {"slipped": float(np.mean(slipped)),
                          "worst_loss": round(max(loss for loss, _ in found), 4),
                          "promotions": round(float(np.mean([n for _, n in found])), 2)}  # fmt: skip
            say(f"ten small losses, {name}: {told[name]}")
        return told
