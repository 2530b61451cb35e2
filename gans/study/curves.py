"""The curves of a study's runs, on one axis of training steps."""

import math
from collections.abc import Sequence

import numpy
from numpy.typing import NDArray

from gans.metrics.name import MetricName
from gans.study.analyse import StudyResult
from gans.study.figures_of_merit import values_behind
from gans.study.plots import Curves
from gans.study.record import RunRecord

MOST_POINTS = 120
LOSSES = ("train/discriminator_loss", "train/generator_loss", "train/discriminator_accuracy")


def curves_of(result: StudyResult) -> Curves:
    """The validation curves of the study's figures, and the players' losses, where runs have them."""
    found: Curves = {}
    for name in (*validation_names(result), *LOSSES):
        arms = {arm: [record for record in result.of_arm(arm) if name in record.run.curves]
                for arm in result.definition.all_arms}  # fmt: skip
        arms = {arm: records for arm, records in arms.items() if records}
        if arms:
            every = [record for records in arms.values() for record in records]
            steps = common_steps([record.run.curves[name]["step"] for record in every])
            found[name] = steps, {arm: on_steps(records, name, steps) for arm, records in arms.items()}
    return found


def validation_names(result: StudyResult) -> list[str]:
    """The full names of what the study's figures are made of, in the runs' validation curves."""
    plain = list(dict.fromkeys(name for merit in result.definition.merits for name in values_behind(merit.name)))
    names: dict[str, None] = {}
    for record in result.records:
        for figure in plain:
            name = record.run.validation_name(figure)
            if name:
                names[name] = None
    order = {figure: place for place, figure in enumerate(plain)}
    parsed = {name: MetricName.parse(name.removeprefix("val/")) for name in names}
    return sorted(names, key=lambda name: order.get(getattr(parsed[name], "figure", ""), len(order)))


def common_steps(steps: Sequence[NDArray[numpy.float64]]) -> NDArray[numpy.float64]:
    """The steps of all curves together; evenly spread ones where these are too many."""
    together = numpy.unique(numpy.concatenate(steps))
    if len(together) <= MOST_POINTS:
        return together
    return numpy.unique(numpy.linspace(together[0], together[-1], MOST_POINTS).round())


def on_steps(records: Sequence[RunRecord], name: str, steps: NDArray[numpy.float64]) -> NDArray[numpy.float64]:
    """The runs' values at the steps (runs, steps): linear between recorded points, NaN outside them."""
    rows = [(record.run.curves[name]["step"], record.run.curves[name]["value"]) for record in records]
    return numpy.stack([numpy.interp(steps, own, values, left=math.nan, right=math.nan) for own, values in rows])
