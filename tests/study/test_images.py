"""The moments of training of which a page shows images."""

from pathlib import Path

import pytest

from gans.study.images import strip_of
from tests.conftest import composed
from tests.study.synthetic import STEPS, figures_of, write_run


@pytest.mark.parametrize(("moments", "shown"), [(1, [1]), (2, [0, 1]), (3, [0, 0.5, 1]), (5, [0, 0.25, 0.5, 0.75, 1])])
def test_moments_are_evenly_spread_and_one_is_the_end(tmp_path: Path, moments: int, shown: list[float]) -> None:
    config = composed("data=digits") | {"seed": 0}
    run = write_run(tmp_path / "run", config, figures_of("better", 0), moments=5)
    strip = strip_of(run, moments)
    assert strip is not None
    assert strip.steps == tuple(int(share * STEPS) for share in shown)
