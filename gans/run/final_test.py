"""The end of training: the best and the last checkpoint are tested on held-out images."""

import signal
import sys

import lightning as L
from lightning.pytorch.loggers import TensorBoardLogger
from rich.console import Console

from gans.config.build import RunComponents
from gans.config.resolve import flatten
from gans.errors import InterruptedTraining
from gans.run.callbacks.evaluation import Evaluation
from gans.run.checkpoint_files import newest_whole
from gans.run.export import read_checkpoint
from gans.run.folder import RunFolder
from gans.run.test_results import CheckpointResults, TestResults


def final_test(run: RunFolder, trainer: L.Trainer, components: RunComponents) -> None:
    """Test both checkpoints, write test.json and print it as a table."""
    files = {kind: newest_whole(run.checkpoints, kind) for kind in ("best", "last")}  # the last one's samples stay
    steps = {kind: read_checkpoint(path)["training_steps"] for kind, path in files.items() if path}
    tested: dict[str, CheckpointResults] = {}
    for kind, step in steps.items():
        if kind == "best" and step == steps["last"]:
            continue
        print(f"testing the {kind} checkpoint, of training step {step:,}", flush=True)
        try:
            trainer.test(components.gan, datamodule=components.data, ckpt_path=files[kind], verbose=False)
        except SystemExit:  # Lightning's answer to Ctrl-C
            message = f"stopped while testing. Test it again with: python train.py test={run.path}"
            raise InterruptedTraining(message, signal.SIGINT) from None
        figures = {key: float(value) for key, value in trainer.callback_metrics.items() if key.startswith("test/")}
        named = {key.removeprefix("test/"): value for key, value in figures.items()}
        tested[kind] = CheckpointResults(training_steps=step, results=named)
    tested = {"last": tested["last"], **({"best": tested.get("best", tested["last"])} if "best" in steps else {})}
    for logger in trainer.loggers:
        if isinstance(logger, TensorBoardLogger):
            logger.log_hyperparams(flatten(run.config), figures)
        logger.finalize("success")
    results = collect(trainer, components, tested)
    results.write(run.test_results_file)
    Console(width=None if sys.stdout.isatty() else 100).print(results.table(run.name))


def collect(trainer: L.Trainer, components: RunComponents, tested: dict[str, CheckpointResults]) -> TestResults:
    """The figures of the tested checkpoints with their protocol."""
    found = next((callback for callback in trainer.callbacks if isinstance(callback, Evaluation)), None)
    return TestResults(
        held_out_images=len(components.data.test_images.labels),
        evaluated_images=len(found.evaluator.held_out("test").labels) if found else 0,
        features=found.evaluator.features.sha256 if found else None,
        checkpoints=tested,
        floors=found.floors["test"] if found else {},
        left_out=found.left_out if found else {},
    )
