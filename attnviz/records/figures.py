"""Published figures of a model, beside what is measured of them here."""

from collections.abc import Mapping

from msgspec import Struct, field

from attnviz.vocabulary import Verdict


class Claim(Struct, frozen=True, kw_only=True):
    """Figures that are published of a model, by name, such as `5.1` for head 1 of layer 5.

    `how` says what they are and how they are computed here, `source` who published them, and `tolerance` how far off
    what is measured may be at most.
    """

    name: str
    model: str
    how: str
    source: str
    tolerance: float
    published: Mapping[str, float]


class Figure(Struct, frozen=True):
    """A published number and the measured one, NaN if the model has none."""

    name: str
    published: float
    measured: float
    tolerance: float

    @property
    def difference(self) -> float:
        """Return by how much more was measured."""
        return self.measured - self.published

    @property
    def verdict(self) -> Verdict:
        """Return whether they agree within the tolerance, which nothing does that is undefined."""
        return Verdict.PASSED if abs(self.difference) <= self.tolerance else Verdict.FAILED


class Verified(Struct, frozen=True, kw_only=True):
    """A claim, and what is `measured` of it with a model that has this name here, by the names of its figures.

    Where nothing could be measured, `reason` says why, and whether the claim is `skipped` for it or fails.
    """

    claim: Claim
    model: str
    measured: Mapping[str, float] = field(default_factory=dict)
    reason: str = ""
    skipped: bool = False

    @property
    def figures(self) -> list[Figure]:
        """Return the figures, in the order in which they are published; none where nothing could be measured."""
        if self.reason:
            return []
        nothing = float("nan")
        return [
            Figure(name, published, self.measured.get(name, nothing), self.claim.tolerance)
            for name, published in self.claim.published.items()
        ]

    @property
    def verdict(self) -> Verdict:
        """Return the verdict on all of them together."""
        if self.skipped:
            return Verdict.SKIPPED
        failed = self.reason or any(figure.verdict is Verdict.FAILED for figure in self.figures)
        return Verdict.FAILED if failed else Verdict.PASSED
