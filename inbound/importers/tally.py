"""Count where every line of an imported file went. The numbers add up, or there is a fault here."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

from inbound.importers.outcome import Records, Skipped
from schemas.rejections import Rejection

_EXAMPLES, _DETAILS = 10, 50


@dataclass
class Tally:
    """Where every line of a file went. ``lines`` is always the sum of imported, skipped and refused."""

    lines: int = 0
    imported: int = 0
    skipped: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    details: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    records: Counter[str] = field(default_factory=Counter)
    actions: Counter[str] = field(default_factory=Counter)  # of the interactions among the records
    parts_skipped: Counter[str] = field(default_factory=Counter)  # within lines that were imported
    derived_refused: Counter[str] = field(default_factory=Counter)  # of records that come from no single line
    examples: list[str] = field(default_factory=list)

    def skip(self, lines: int, skipped: Skipped) -> None:
        """Count lines that we have no use for."""
        self.lines += lines
        self.skipped[skipped.why.value] += lines
        if skipped.detail:
            details = self.details[skipped.why.value]
            detail = skipped.detail[:60]
            details[detail if detail in details or len(details) < _DETAILS else "(others)"] += lines

    def skip_parts(self, parts: Iterable[Skipped]) -> None:
        """Count what says nothing we use within lines that are taken."""
        self.parts_skipped.update(f"{part.why.value} {part.detail[:60]}".strip() for part in parts)

    def refuse(self, lines: tuple[int, ...], rejection: Rejection) -> None:
        """Count lines that are broken, and keep the first as examples."""
        self.lines += len(lines)
        (self.refused if lines else self.derived_refused)[rejection.reason.value] += len(lines) or 1
        if len(self.examples) < _EXAMPLES:
            where = f"line {lines[0]}" if lines else "derived record"
            self.examples.append(
                f"{where}: {rejection.reason}: "
                f"{'; '.join(f'{p.loc} {p.message}'.strip() for p in rejection.problems)}"
            )

    def accept(self, lines: int, records: Records) -> None:
        """Count lines that became records."""
        self.lines += lines
        self.imported += lines
        self.records.update(topic for topic, _ in records)
        self.actions.update(str(body["action_name"]) for topic, body in records if topic == "interactions")

    def summary(self) -> dict[str, object]:
        """Return the tally as JSON values."""
        return {
            "lines": self.lines,
            "imported": self.imported,
            "skipped": dict(self.skipped),
            "skipped_details": {why: dict(found) for why, found in self.details.items()},
            "refused": dict(self.refused),
            "parts_skipped": dict(self.parts_skipped),
            "derived_refused": dict(self.derived_refused),
            "records": dict(self.records),
            "actions": dict(self.actions),
            "examples": self.examples,
        }
