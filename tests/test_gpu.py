"""What the code promises of an NVIDIA GPU."""

import sys
from pathlib import Path

import pytest
import torch

from gans.config.build import build_data, build_gan
from gans.run.checkpoint_files import load_verified, newest_whole
from gans.sweep.member import Member
from gans.sweep.processes import Processes
from tests.configs import run_config
from tests.run.runs import resume, start

pytestmark = pytest.mark.gpu


@pytest.mark.parametrize("model", ["dcgan", "acgan", "wgan", "autoencoder"])
def test_a_forward_pass_on_the_gpu_is_that_of_the_cpu(model: str) -> None:
    gan = build_gan(run_config("data=digits", f"model={model}")).double().eval()
    images = build_data(run_config("data=digits")).train_images.content[:8].double() / 255
    with torch.no_grad():
        here = gan.discriminator(images)
        there = gan.cuda().discriminator(images.cuda())
    torch.testing.assert_close(there.cpu(), here, rtol=1e-6, atol=1e-6)


def test_a_run_trains_tests_and_resumes(tmp_path: Path) -> None:
    run = start(tmp_path, "trainer.accelerator=gpu")
    resumed = resume(run, budget={"max_epochs": 3})
    assert resumed.history.last == "finished"
    path = newest_whole(run.checkpoints, "last")
    assert path is not None
    assert load_verified(path)["training_steps"] == resumed.last_step


def test_members_share_the_gpus(tmp_path: Path) -> None:
    engine = Processes(n_jobs=-1, per_gpu=2)
    engine.prepare(8, {"auto"})
    assert engine.at_once == min(8, 2 * torch.cuda.device_count())
    command = [sys.executable, "-c", "import torch; assert torch.cuda.device_count() == 1; torch.ones(3).cuda()"]
    members = [Member("", command, tmp_path / f"{number}.log") for number in range(4)]
    engine.run(members, lambda: None)
    assert [member.exit_code for member in members] == [0] * 4
