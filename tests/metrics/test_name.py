"""Names of figures, which tell their protocol."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gans.metrics.name import MetricName, of_class

figures = st.from_regex(r"[a-z]+(_[a-z0-9]+)*", fullmatch=True)
extractors = st.none() | st.from_regex(r"[a-z]+(_[a-z]+)*[0-9]+", fullmatch=True)


@settings(deadline=None, max_examples=50)
@given(figures, st.integers(0, 10**6), extractors, st.none() | st.integers(1, 100), st.none() | st.just("80drs"))
def test_a_name_is_read_as_it_was_written(
    figure: str, images: int, features: str | None, epochs: int | None, sampling: str | None
) -> None:
    name = MetricName(figure, images, features, epochs, sampling)
    assert MetricName.parse(str(name)) == name


def test_names_of_test_results() -> None:
    assert str(MetricName("fid", 10_000, "mnist1")) == "fid_10000_mnist1"
    assert str(MetricName("mse_of_8", 974)) == "mse_of_8_974"


@pytest.mark.parametrize(
    ("figure", "found"),
    [
        ("class_share_3", ("class_share", 3)), ("mse_of_11", ("mse", 11)), ("share_of_ink_of_2", ("share_of_ink", 2)),
        ("share_of_ink", None), ("class_share_of_ink", None), ("top_5", None), ("ink_of_the_3", None), ("fid", None),
    ],
)  # fmt: skip
def test_a_figure_of_a_class_ends_with_its_number(figure: str, found: tuple[str, int] | None) -> None:
    assert of_class(figure) == found


@pytest.mark.parametrize("loss", ["discriminator_loss", "generator_accuracy", "fid"])
def test_a_loss_has_no_protocol(loss: str) -> None:
    assert MetricName.parse(loss) is None
