"""The end of a run: its checkpoints tested on held-out images, what happened told, figures drawn."""

import signal
import sys
from typing import Any

import lightning as L
from lightning.pytorch.loggers import TensorBoardLogger
from rich.console import Console

from gans.callbacks.evaluation import Evaluation
from gans.data.source import Source
from gans.errors import InterruptedTraining
from gans.exporting import read_checkpoint
from gans.figures import draw_figures
from gans.files import write_json
from gans.gan import GAN
from gans.options import flat
from gans.results import Tested, TestResults
from gans.run import Run
from gans.verdict import judge_run


def test_checkpoints(run: Run, trainer: L.Trainer, data: Source[Any], gan: GAN) -> None:
    """Test the best and the last checkpoint, once each; write test.json and print it as a table."""
    paths = {"best": run.best_checkpoint, "last": run.last_checkpoint}  # the last one last: its samples stay
    steps_of = {name: read_checkpoint(path)["training_steps"] for name, path in paths.items() if path.is_file()}
    tested: dict[str, Tested] = {}
    for name, steps in steps_of.items():
        if name == "best" and steps == steps_of["last"]:
            continue
        print(f"testing the {name} checkpoint, of training step {steps:,}", flush=True)
        try:
            trainer.test(gan, datamodule=data, ckpt_path=paths[name], verbose=False)
        except SystemExit:  # Lightning's answer to Ctrl-C
            message = f"stopped while testing. Test it again with: python train.py test={run.path}"
            raise InterruptedTraining(message, signal.SIGINT) from None
        figures = {key: float(value) for key, value in trainer.callback_metrics.items() if key.startswith("test/")}
        named = {key.removeprefix("test/"): value for key, value in figures.items()}
        tested[name] = Tested(training_steps=steps, results=named)
    tested = {"last": tested["last"], **({"best": tested.get("best", tested["last"])} if "best" in steps_of else {})}
    for logger in trainer.loggers:
        if isinstance(logger, TensorBoardLogger):
            logger.log_hyperparams(flat(run.config), figures)
    results = collected(trainer, data, tested)
    results.write(run.path / "test.json")
    Console(width=None if sys.stdout.isatty() else 100).print(results.table(run.name))


def collected(trainer: L.Trainer, data: Source[Any], tested: dict[str, Tested]) -> TestResults:
    """What the test found, with the protocol."""
    found = next((callback for callback in trainer.callbacks if isinstance(callback, Evaluation)), None)
    return TestResults(
        held_out_images=len(data.test_images.labels),
        evaluated_images=len(found.evaluator.held_out("test").labels) if found else 0,
        features=found.evaluator.features.sha256 if found else None,
        checkpoints=tested,
        floors=found.floors["test"] if found else {},
        left_out=found.left_out if found else {},
    )


def conclude(run: Run) -> None:
    """Say what happened, and draw what there is to see."""
    verdict = judge_run(run)
    write_json(run.path / "verdict.json", verdict.to_json())
    print(f"what happened: {str(verdict) or 'too little to tell'}")
    print(f"figures: {len(draw_figures(run))} files in {run.figures}")
