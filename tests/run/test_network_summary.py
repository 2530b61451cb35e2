"""Networks as tables."""

import pytest
import torch
from torch import nn

from gans.config.build import build_gan
from gans.run.network_summary import parameter_count, summarize
from tests.configs import run_config


def test_report_bs_acgan_has_as_many_parameters_as_the_report_prints() -> None:
    gan = build_gan(run_config("data=digits", "model=acgan"))
    assert (parameter_count(gan.generator), parameter_count(gan.discriminator)) == (3_757_176, 527_627)


@pytest.mark.parametrize("training", [True, False])
def test_a_table_has_each_layer_and_leaves_no_trace(training: bool) -> None:
    network = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3), nn.ReLU()).train(training)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    lines = summarize("a network", network, lambda: network(torch.ones(2, 4))).splitlines()
    assert "a network: 27 parameters" in lines[0]  # 15 of the linear layer, 6 of BatchNorm, and its averages
    assert [line.split() for line in lines[-3:]] == [
        ["Linear", "3", "15"],
        ["BatchNorm1d", "3", "12"],
        ["ReLU", "3", "0"],
    ]
    assert all(module.training is training for module in network.modules())
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_a_layer_with_several_outputs_has_a_line_too() -> None:
    network = nn.LSTM(4, 3, batch_first=True)
    *_, line = summarize("a network", network, lambda: network(torch.ones(2, 5, 4))).splitlines()
    assert line.split() == ["LSTM", "5", "x", "3", "108"]
