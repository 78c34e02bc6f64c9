"""Carry out what ``deployment`` decides: publish a generation, end a build, retire and drop.

One change at a time. The pointer on ``releases`` is written first and is the change; the alias and the
decision follow from it and are repaired at a start.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import UTC, datetime

import structlog

from broker.guarding import unforeseen
from broker.reading import Reader
from indexer import changes
from indexer.approval import Approvals, composed_otherwise, misplaced, model_folders
from indexer.catalog_sync import CatalogSync
from indexer.deployment import (
    Abort,
    Accept,
    Build,
    Mark,
    Refresh,
    Reject,
    Repeated,
    Switch,
    decide,
    may_publish,
)
from indexer.lanes import Lane
from indexer.ledger import Ledger
from indexer.metrics import COMMANDS
from indexer.models import Models
from indexer.refresh_proof import gone, proven
from indexer.retention import retain
from indexer.startup_repair import recover
from indexer.state import HOLDING, UNFINISHED, failed, moved
from indexer.verify import failures
from retrieval.index import VectorStore
from retrieval.model_folder import ModelError
from retrieval.naming import collection_name, collection_prefix, earlier_prefix, is_generation_name, stamp_of
from schemas.releases import (
    Candidate,
    DeploymentCommand,
    Release,
    ReleaseFailure,
    ReleaseState,
    SearcherReport,
)
from schemas.settings import IndexerSettings
from schemas.training import Check

REST_S = 0.5  # between two corrections: whoever floods the topic must not make us do the same
log = structlog.get_logger(__name__)


class Deployer:
    """Owns the changes of deployment. ``orders`` holds the generations that are to be built."""

    def __init__(
        self,
        settings: IndexerSettings,
        ledger: Ledger,
        store: VectorStore,
        lane: Lane,
        sync: CatalogSync,
        approved: Callable[[], Awaitable[Approvals]],
        models: Models,
    ) -> None:
        self.ledger = ledger
        self.orders: asyncio.Queue[Release] = asyncio.Queue()
        self._settings = settings
        self._store = store
        self._lane = lane
        self._sync = sync
        self._one = asyncio.Lock()
        self._approved = approved
        self._models = models
        self.lost: tuple[Release, str] | None = None
        self._prefix = collection_prefix(settings.topic_prefix, settings.deployment)
        self._alias = f"{self._prefix}_live"
        self._earlier_alias = f"{earlier_prefix(settings.topic_prefix, settings.deployment)}_live"

    async def recover(self) -> None:
        """Make Milvus and the records agree with the live pointer; go on with the build that a crash ended.

        What another deployment owns is not looked at; collections of ours that were named by an earlier
        version serve on.
        """
        named = {r.collection for r in self.ledger.state.releases.values() if r.state in HOLDING | UNFINISHED}
        there = [
            n
            for n in await self._lane(self._store.collections)
            if n in named or is_generation_name(n, self._prefix)
        ]
        plan = recover(self.ledger.state, there, _now())
        for release in plan.records:
            log.warning(
                "repaired", generation=release.generation, state=release.state.value, reason=release.error
            )
        await self.ledger.recorded(*plan.records)
        if plan.resume:
            self.orders.put_nowait(plan.resume)
        if plan.alias in there:
            await self._point_alias(plan.alias)
        if (
            self._earlier_alias != self._alias
            and await self._lane(self._store.alias_target, self._earlier_alias) in named
        ):
            # It would keep its collection for ever
            await self._lane(self._store.drop_alias, self._earlier_alias)
        for name in plan.orphans:
            log.warning("dropping an orphaned collection", collection=name)
            await self._lane(self._store.drop, name)

    async def carry_out(self, command: DeploymentCommand, *, objection: str | None = None) -> None:
        """Do what the command asks, or refuse it with a decision; an ``objection`` refuses it.

        The effect is durable on return; a repeat changes nothing.
        """
        async with self._one:
            state = self.ledger.state
            verdict = Reject(objection) if objection else self._verdict(command)
            if isinstance(verdict, Build | Refresh) and (unfit := await self._objection(verdict.candidate)):
                verdict = Reject(unfit)
            if isinstance(verdict, Switch) and (
                lost := await asyncio.to_thread(gone, verdict.target.ranking)
            ):
                verdict = Reject(f"generation {verdict.target.generation} cannot serve: {lost}")
            outcome = type(verdict).__name__.lower()
            why = verdict.reason if isinstance(verdict, Reject) else None
            log.info(
                "deployment command processed",
                action=command.action,
                actor=command.actor,
                command_id=command.command_id,
                outcome=outcome,
                reason=why,
            )
            COMMANDS.labels(command.action, outcome).inc()
            if isinstance(verdict, Reject):
                await self.ledger.decided(changes.of_refusal(command, verdict.reason, state.live, _now()))
            else:
                await self._accept(command, verdict)

    def _verdict(self, command: DeploymentCommand) -> Accept | Reject:
        """Decide; what nobody foresaw of a command refuses it."""
        try:
            return decide(self.ledger.state, command, now=_now(), cooldown=self._settings.cooldown)
        except Exception as error:
            return Reject(f"processing_error: {unforeseen(error).problems[0].message}")

    async def _objection(self, candidate: Candidate) -> str | None:
        """Say why a candidate must not be built, after everything that stands on ``decisions`` was read."""
        approvals = await self._approved()
        folders = model_folders(self._settings.data_dir, self._settings.model_folders)
        try:
            lies = misplaced(candidate, base_model=self._settings.base_model, folders=folders)
        except (OSError, ValueError) as error:  # a path that is none, such as one with a null character
            lies = f"the path of the candidate cannot be followed: {error}"
        return approvals.objection(candidate) or lies or composed_otherwise(candidate)

    async def _accept(self, command: DeploymentCommand, accepted: Accept) -> None:
        state = self.ledger.state
        match accepted:
            case Build(candidate):
                await self._order(command, candidate)
            case Refresh(candidate):
                await self._refresh(command, candidate)
            case Switch(target):
                await self._switch(target, command)
            case Mark(paused, pinned):
                if state.pointer is None:
                    return
                pointer = changes.marked(state.pointer, command, paused=paused, pinned=pinned, now=_now())
                await self.ledger.pointed(pointer)
                await self.ledger.decided(changes.of_pointer(pointer, before=state.live, command=command))
            case Abort(generation):
                release = failed(
                    state.releases[generation],
                    ReleaseFailure.ABORTED,
                    _now(),
                    f"aborted by {command.actor}: {command.reason}",
                )
                await self.ledger.recorded(release)
                await self.ledger.decided(
                    changes.of_failure(
                        release, [release.error or ""], [], state.live, _now(), actor=command.actor
                    )
                )
            case Repeated():
                return

    async def keep_truth(self, releases: Reader) -> None:
        """Overrule what somebody else writes to ``releases``, for ever.

        ``releases`` is read from the ledger's beginning on.
        """
        while True:
            foreign = self.ledger.foreign(await releases.poll(timeout_ms=100))
            if foreign:
                async with self._one:
                    await self.ledger.overrule(foreign)
                await asyncio.sleep(REST_S)

    async def order_first(self, pretrained: Candidate) -> None:
        """Order generation 1, unless something is live or being built."""
        async with self._one:
            state = self.ledger.state
            if state.pointer is None and state.building is None:
                await self._order(None, pretrained)

    async def _order(self, command: DeploymentCommand | None, candidate: Candidate) -> None:
        state = self.ledger.state
        release = Release(
            generation=state.next_generation,
            model=candidate.model,
            model_sha256=candidate.model_sha256,
            ranking=candidate.ranking,
            dim=candidate.dim,
            composition=candidate.composition,
            collection=collection_name(self._prefix, state.next_generation),
            parent=stamp_of(state.pointer.live) if state.pointer else None,
            run_id=candidate.run_id,
            decision_id=candidate.decision_id,
            command=command,
            state=ReleaseState.BUILDING,
            at=_now(),
        )
        await self.ledger.recorded(release)
        self.orders.put_nowait(release)

    async def _refresh(self, command: DeploymentCommand, candidate: Candidate) -> None:
        """Prove and publish a refresh at once: there is nothing to build.

        Killed in between it is recorded as failed at the next start, and the next refresh does its work.
        """
        state = self.ledger.state
        if state.pointer is None:
            return
        live = state.pointer.live
        release = changes.refreshing(live, candidate, command, number=state.next_generation, now=_now())
        await self.ledger.recorded(release)
        checks = await proven(release, self._sync.catalog.products, self._models)
        if reasons := failures(checks):
            log.error("refresh failed", generation=release.generation, reasons=reasons)
            ended = failed(release, ReleaseFailure.REFUSED, _now(), "; ".join(reasons))
            await self.ledger.recorded(ended)
            await self.ledger.decided(changes.of_failure(ended, reasons, checks, live.generation, _now()))
            return
        release = moved(release, ReleaseState.VERIFIED, _now())
        await self.ledger.recorded(release)
        await self._switch(release, command, checks)

    async def verified(self, release: Release) -> Release:
        """Record that a generation was built and proven."""
        release = moved(release, ReleaseState.VERIFIED, _now())
        async with self._one:
            if self.wanted(release):
                await self.ledger.recorded(release)
        return release

    def wanted(self, release: Release) -> bool:
        """Say whether the build still has its order: False once it was aborted."""
        return self.ledger.state.releases[release.generation].state in UNFINISHED

    async def publish(self, release: Release, checks: Sequence[Check]) -> str | None:
        """Let a proven, adopted generation serve. Returns why not, if it must not any more."""
        async with self._one:
            command = release.command
            if not self.wanted(release):
                return "aborted"
            reason = may_publish(self.ledger.state, command) if command else None
            if reason is None:
                await self._switch(release, command, checks)
            return reason

    async def fail(self, release: Release, reasons: Sequence[str], checks: Sequence[Check] = ()) -> None:
        """End a generation that is not to serve: record, evidence, and its collection dropped.

        What is live is not touched.
        """
        await self._sync.remove(release)
        async with self._one:
            if self.wanted(release):
                log.error("generation failed", generation=release.generation, reasons=list(reasons))
                ended = failed(release, ReleaseFailure.REFUSED, _now(), "; ".join(reasons))
                await self.ledger.recorded(ended)
                await self.ledger.decided(
                    changes.of_failure(ended, reasons, checks, self.ledger.state.live, _now())
                )
            await self._lane(self._store.drop, release.collection)

    async def prune(self, reports: Iterable[SearcherReport]) -> None:
        """Retire what is beyond ``keep_generations``.

        Drop what was retired long enough and serves nowhere.
        """
        s = self._settings
        async with self._one:
            plan = retain(
                self.ledger.state,
                reports,
                keep=s.keep_generations,
                refreshes=s.keep_refreshes,
                grace=s.retire_grace,
                searcher_timeout=s.searcher_timeout,
                now=_now(),
            )
            await self.ledger.recorded(*(moved(r, ReleaseState.RETIRED, _now()) for r in plan.retire))
            for release in plan.drop:
                await self.give_up(release)
            await self.ledger.erased(*plan.forget)

    async def give_up(self, release: Release, error: str | None = None) -> None:
        """Drop a generation that does not serve, and its collection where no other has it.

        The record first, so that a crash leaves an orphan at most.
        """
        await self.ledger.recorded(moved(release, ReleaseState.DROPPED, _now(), error))
        if any(r.collection == release.collection for r in self.ledger.state.holding):
            return
        log.info(
            "dropping a collection",
            generation=release.generation,
            collection=release.collection,
            reason=error,
        )
        await self._sync.remove(release)
        await self._lane(self._store.drop, release.collection)

    async def restore(self, models: Models) -> None:
        """Load and repair every collection that follows the catalogue, the live one first.

        One whose model is lost is given up. The live one is not: it serves on as it stands, ``lost`` says why
        it does not follow, and commands can take it out of service.
        """
        state = self.ledger.state
        for release in sorted(state.holding, key=lambda r: r.generation != state.live):
            try:
                await models.load(release.model, release.model_sha256)
            except ModelError as error:
                if release.generation == state.live:
                    log.warning(
                        "model of the live generation is missing",
                        generation=release.generation,
                        reason=str(error),
                    )
                    self.lost = (release, str(error))
                else:
                    await self.give_up(release, str(error))
            else:
                await self._sync.ensure(release)
        if state.pointer:
            await self._point_alias(state.pointer.live.collection)

    async def find_again(self, models: Models) -> None:
        """Try once to take up the generation whose model was lost."""
        if self.lost is None:
            return
        release, _ = self.lost
        try:
            await models.load(release.model, release.model_sha256)
        except ModelError as error:
            self.lost = (release, str(error))
            return
        await self._sync.ensure(release)
        self.lost = None
        log.warning("model of the live generation is available again", generation=release.generation)

    async def _switch(
        self, release: Release, command: DeploymentCommand | None, checks: Sequence[Check] = ()
    ) -> None:
        before = self.ledger.state.pointer
        live = (
            release
            if release.state == ReleaseState.RELEASED
            else moved(release, ReleaseState.RELEASED, _now())
        )
        live = live.model_copy(update={"rolled_back": None})
        pointer = changes.switched(before, live, command, deployment=self._settings.deployment, now=_now())
        await self.ledger.pointed(pointer)
        out = changes.taken_out(pointer)
        await self.ledger.recorded(*([live] if live != release else []), *([out] if out else []))
        await self.ledger.decided(
            changes.of_pointer(
                pointer, before=before.live.generation if before else None, command=command, checks=checks
            )
        )
        await self._point_alias(live.collection)
        log.info(
            "live generation changed",
            generation=live.generation,
            sequence=pointer.sequence,
            cause=pointer.cause,
            actor=pointer.actor,
        )

    async def _point_alias(self, collection: str) -> None:
        target: str | None = await self._lane(self._store.alias_target, self._alias)
        if target != collection:
            await self._lane(self._store.set_alias, self._alias, collection)


def _now() -> datetime:
    return datetime.now(UTC)
