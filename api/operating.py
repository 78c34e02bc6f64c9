"""Carry out what operators ask for: written once the broker has it, and waited for where they say so."""

import asyncio
import uuid
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

from api.bodies import Capacity, HttpFault, Place
from api.following import StateFollower
from api.judgment_state import ratings_after, set_of
from api.taking import Taking
from api.telling import command_told, trigger_told
from broker.records import Headers, Outgoing
from operations.command_outcome import other_model, rollback_note
from schemas.events import Erasure
from schemas.judged_queries import RatedQuery, judged_key
from schemas.operator_http import CommandTold, JudgmentsWish, JudgmentsWritten, TriggerTold
from schemas.releases import DeploymentCommand
from schemas.rules import MerchandisingRule
from schemas.settings import Settings
from schemas.topics import DEPLOYMENT_COMMANDS, ERASURES, JUDGMENTS, RULES, TRAINING_TRIGGERS
from schemas.training import Trigger


class Operating:
    """``follower`` tells what has been; ``taking`` writes."""

    def __init__(
        self, settings: Settings, taking: Taking, follower: StateFollower, capacity: Capacity
    ) -> None:
        self.capacity = capacity
        self.follower = follower
        self.state = follower.state
        self._settings = settings
        self._taking = taking
        self._judging = asyncio.Lock()

    def now(self) -> datetime:
        """Return the time at which something is asked, in milliseconds as it comes back from its topic."""
        now = datetime.now(UTC)
        return now.replace(microsecond=now.microsecond // 1000 * 1000)

    def new_id(self) -> str:
        """Return an id that nothing has."""
        return uuid.uuid4().hex

    async def command(
        self, command: DeploymentCommand, place: Place, *, wait_s: float
    ) -> CommandTold | HttpFault:
        """Write a command, unless one of its id is there, and return what became of it within ``wait_s``."""
        known = self.state.commands.get(command.command_id)
        if known is not None and not _same(known, command):
            return HttpFault(409, "conflict", f"command {command.command_id!r} asked for something else")
        if known is None:
            topic, key = DEPLOYMENT_COMMANDS.name, command.deployment.encode()
            if (fault := await self._write(topic, command.to_json(), key, place)) is not None:
                return fault
            await self.follower.seen(lambda: self.state.commands.get(command.command_id) is not None)
        asked = known or command
        await self.follower.seen(lambda: self.state.outcome_of(asked) is not None, within_s=wait_s)
        told = command_told(self.state, asked, self.now())
        if told.state == "refused":
            return HttpFault(409, "refused", "; ".join(told.reasons)[:500])
        return told.model_copy(update={"note": self._note(told)})

    async def trigger(self, trigger: Trigger, place: Place) -> TriggerTold | HttpFault:
        """Write a trigger, unless one of its id is there."""
        known = self.state.triggers.get(trigger.trigger_id)
        if known is not None:
            if known.model_copy(update={"requested_at": trigger.requested_at}) != trigger:
                return HttpFault(409, "conflict", f"trigger {trigger.trigger_id!r} asked for something else")
            return trigger_told(self.state, known)
        topic, key = TRAINING_TRIGGERS.name, self._settings.deployment.encode()
        if (fault := await self._write(topic, trigger.to_json(), key, place)) is not None:
            return fault
        await self.follower.seen(lambda: self.state.triggers.get(trigger.trigger_id) is not None)
        return trigger_told(self.state, trigger)

    async def rule(self, rule: MerchandisingRule, place: Place) -> HttpFault | None:
        """Write a rule."""
        fault = await self._write(RULES.name, rule.to_json(), rule.rule_id.encode(), place)
        if fault is None:
            await self.follower.seen(lambda: self.state.rules.get(rule.rule_id) == rule)
        return fault

    async def removal(self, rule_id: str, actor: str, reason: str, place: Place) -> HttpFault | None:
        """Take a rule out; who and why stands in the headers of the record that does it."""
        headers = (("actor", actor.encode()), ("reason", reason.encode()))
        fault = await self._write(RULES.name, None, rule_id.encode(), place, headers)
        if fault is None:
            await self.follower.seen(lambda: rule_id not in self.state.rules)
        return fault

    async def judge(self, wish: JudgmentsWish, place: Place) -> JudgmentsWritten | HttpFault:
        """Put ratings into a set, once this has been done for who came before: each joins what is there."""
        async with self._judging:
            changed = ratings_after(self.state, wish.name, wish.judgments)
            if isinstance(changed, HttpFault):
                return changed
            judged = [
                RatedQuery(name=wish.name, query=query, ratings=dict(own), actor=wish.actor, at=self.now())
                for query, own in changed.items()
                if own
            ]
            gone = [query for query, own in changed.items() if not own]
            values = [(one.query, one.to_json()) for one in judged] + [(query, None) for query in gone]
            headers = (("actor", wish.actor.encode()),)
            topic = self._settings.topic(JUDGMENTS.name)
            records = [
                Outgoing(topic, value, key=judged_key(wish.name, query), headers=headers)
                for query, value in values
            ]
            if records and (fault := await self._write_all(records, place)) is not None:
                return fault
            await self.follower.seen(
                lambda: (
                    all(self.state.judged.get((wish.name, one.query)) == one for one in judged)
                    and not any((wish.name, query) in self.state.judged for query in gone)
                )
            )
        now = set_of(self.state, wish.name)
        return JudgmentsWritten(
            name=wish.name,
            written=len(judged),
            removed=len(gone),
            queries=len(now),
            ratings=sum(len(one.ratings) for one in now),
        )

    async def erasure(self, erasure: Erasure, place: Place) -> HttpFault | None:
        """Write a request to forget. Without a key: a shopper's name would stand in it."""
        return await self._write(ERASURES.name, erasure.to_json(), None, place)

    def _note(self, told: CommandTold) -> str | None:
        if told.action != "rollback" or told.state != "done":
            return None
        pointer = self.state.releases.pointer
        return rollback_note(pointer, other_model(pointer, self.state.releases.releases)) or None

    async def _write(
        self,
        topic: str,
        value: bytes | None,
        key: bytes | None,
        place: Place,
        headers: Headers = (),
    ) -> HttpFault | None:
        return await self._write_all(
            [Outgoing(self._settings.topic(topic), value, key=key, headers=headers)], place
        )

    async def _write_all(self, records: Sequence[Outgoing], place: Place) -> HttpFault | None:
        fault = await self._taking.write(records, place)
        if fault is None:
            return None
        message = f"{fault.message.partition(';')[0]}: it may be written; ask again under the same id"
        return replace(fault, message=message)


def _same(known: DeploymentCommand, command: DeploymentCommand) -> bool:
    """Say whether a command is one that was sent before.

    Where a rollback of the model goes is looked up when it is asked for: the first one may have changed it.
    """
    moves = command.action == "rollback"
    return known.action == command.action and (moves or known.target_generation == command.target_generation)
