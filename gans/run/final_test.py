"""The final test: metrics of the best and the last checkpoint on test images."""

import sys

import lightning as L
from lightning.pytorch.loggers import TensorBoardLogger
from rich.console import Console

from gans.config.build import RunComponents
from gans.config.resolve import flatten
from gans.data.progress import ProgressBar
from gans.run.callbacks.evaluation import Evaluation
from gans.run.checkpoint_files import KINDS, recover_previous
from gans.run.folder import RunFolder
from gans.run.test_results import CheckpointResults, TestResults
from gans.run.trained import read_checkpoint


def final_test(run: RunFolder, trainer: L.Trainer, components: RunComponents) -> None:
    """Test both checkpoints, write test.json and print it as a table."""
    # the last checkpoint comes second, so that its sample files replace those of the best one
    files = {kind: recover_previous(run.checkpoints, kind) for kind in KINDS}
    steps = {kind: read_checkpoint(path)["training_steps"] for kind, path in files.items() if path}
    tested: dict[str, CheckpointResults] = {}
    for kind, step in steps.items():
        if kind == "best" and step == steps["last"]:
            continue
        print(f"testing the {kind} checkpoint, of training step {step:,}", flush=True)
        with ProgressBar(f"testing the {kind} checkpoint"):
            trainer.test(components.gan, datamodule=components.data, ckpt_path=files[kind], verbose=False)
        metrics = {key: float(value) for key, value in trainer.callback_metrics.items() if key.startswith("test/")}
        values = {key.removeprefix("test/"): value for key, value in metrics.items()}
        tested[kind] = CheckpointResults(training_steps=step, results=values)
    tested = {"last": tested["last"], **({"best": tested.get("best", tested["last"])} if "best" in steps else {})}
    for logger in trainer.loggers:
        if isinstance(logger, TensorBoardLogger):
            logger.log_hyperparams(flatten(run.config), metrics, step=steps["last"])
        logger.finalize("success")
    evaluation = next((callback for callback in trainer.callbacks if isinstance(callback, Evaluation)), None)
    results = TestResults(
        held_out_images=len(components.data.test_images.labels),
        evaluated_images=len(evaluation.evaluator.held_out("test").labels) if evaluation else 0,
        features=evaluation.evaluator.features.sha256 if evaluation else None,
        checkpoints=tested,
        floors=evaluation.floors["test"] if evaluation else {},
        left_out=evaluation.left_out if evaluation else {},
    )
    results.write(run.test_results_file)
    console = Console(width=None if sys.stdout.isatty() else 100)
    console.print(results.table(run.name, console.width))
