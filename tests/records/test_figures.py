import math

import pytest

from attnviz.records import Claim, Figure, Verified
from attnviz.vocabulary import Verdict

CLAIM = Claim(
    name="a claim", model="a model", how="so", source="a paper", tolerance=0.25, published={"5.1": 0.5, "3.0": 0.75}
)


@pytest.mark.parametrize(
    ("measured", "verdict"),
    [
        (0.75, Verdict.PASSED),
        (0.25, Verdict.PASSED),
        (0.7501, Verdict.FAILED),
        (0.2499, Verdict.FAILED),
        (math.nan, Verdict.FAILED),
    ],
)
def test_a_figure_may_be_off_by_its_tolerance_either_way_and_must_be_defined(measured: float, verdict: Verdict) -> None:
    figure = Figure("5.1", 0.5, measured, 0.25)
    assert figure.verdict is verdict
    assert figure.difference == pytest.approx(measured - 0.5, nan_ok=True)


def test_a_claim_holds_if_all_of_its_figures_do() -> None:
    held = Verified(claim=CLAIM, model="mine", measured={"3.0": 0.75, "5.1": 0.5})
    assert held.figures == [Figure("5.1", 0.5, 0.5, 0.25), Figure("3.0", 0.75, 0.75, 0.25)]
    assert held.verdict is Verdict.PASSED
    assert Verified(claim=CLAIM, model="mine", measured={"3.0": 0.75, "5.1": 0.0}).verdict is Verdict.FAILED
    lacking = Verified(claim=CLAIM, model="mine", measured={"3.0": 0.75})
    assert math.isnan(lacking.figures[0].measured) and lacking.verdict is Verdict.FAILED


@pytest.mark.parametrize(("skipped", "verdict"), [(True, Verdict.SKIPPED), (False, Verdict.FAILED)])
def test_of_what_could_not_be_measured_there_are_no_figures(skipped: bool, verdict: Verdict) -> None:
    unmeasured = Verified(claim=CLAIM, model="mine", reason="no such head", skipped=skipped)
    assert (unmeasured.figures, unmeasured.verdict) == ([], verdict)
