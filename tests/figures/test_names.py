"""Texts in figures that come from options."""

from typing import Any

import pytest

from gans.figures.names import class_names, metric_label, protocol, row_label, run_title
from gans.metrics.name import MetricName
from tests.configs import composed, names


def test_a_title_names_data_model_objective_stabilizers_and_seed() -> None:
    title = run_title(composed("data=fashion_mnist", "data.classes=[3,8]", "stabilize=[r1,label_smoothing]", "seed=7"))
    for part in ("Fashion MNIST 3, 8", "DCGAN", "Binary cross entropy", "R1 + label smoothing"):
        assert part in title
    assert title.endswith("7")


@pytest.mark.slow
def test_titles_of_all_objectives_and_models_differ() -> None:
    titles = [run_title(composed("data=digits", f"objective={name}")) for name in names("objective")]
    assert len(set(titles)) == len(titles)


@pytest.mark.parametrize("config", [{}, {"data": None, "model": {"generator": 3}, "stabilize": []}])
def test_a_config_that_lacks_options_has_a_title(config: dict[str, Any]) -> None:
    assert "seed" in run_title(config)


def test_metrics_are_named_with_their_protocol() -> None:
    name = MetricName("fid", 10000, "mnist1")
    assert f"{metric_label(name.figure)} ({protocol(name)})" == "FID (10,000 images, mnist1 features)"
    assert metric_label("my_own") == "my own"
    assert protocol(MetricName("ink", 20)) == "20 images"


def test_rows_are_labelled_with_their_classes() -> None:
    assert row_label([3, 3]) == "3"
    assert row_label([3, 3, 7]) == "3, 7"
    assert row_label([0, 1, 2, 2]) == "0–2"
    assert row_label([2, 0, 1]) == row_label([-1, -1]) == ""


def test_classes_have_a_name_each_whatever_the_data() -> None:
    assert class_names(composed("data=digits", "data.classes=[3,8]"), 2) == ["3", "8"]
    assert len(class_names(composed("data=digits"), 4)) == 10
    assert len(class_names(composed("model=mlp"), 8)) == 8


def test_a_number_that_is_a_name_means_the_class_of_that_name() -> None:
    names = {0: "1", 1: "2", 2: "3"}
    assert class_names({"data": {"classes": [1, 2]}}, 2, names) == ["1", "2"]
    assert class_names({"data": {"classes": [1, "cat"]}}, 2, {0: "dog", 1: "cow", 2: "cat"}) == ["cow", "cat"]
