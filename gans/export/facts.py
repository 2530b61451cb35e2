"""What there is to say about a trained generator: its data, its training, its test figures beside their floors."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gans.export.network import Exportable
from gans.figures.names import class_names, metric_label, run_title
from gans.metrics.name import MetricName, of_class
from gans.run.folder import RunFolder
from gans.run.test_results import read_results


@dataclass(frozen=True)
class TestFigure:
    """A metric of the final test."""

    __test__ = False  # for pytest: not a test, despite the name

    name: str
    """With its protocol: fid_10000_mnist1."""
    label: str
    value: float
    floor: float | None
    """Of real training images in place of generated ones; None if it is not known."""
    sampling: str | None
    """How the samples were chosen, which the generator alone can't do; None if all were used."""


@dataclass(frozen=True)
class Facts:
    title: str
    data: str
    """The data's options, as they are typed."""
    training: dict[str, str]
    figures: list[TestFigure]
    why_none: str
    """Why there are no figures."""
    class_names: list[str]
    """Of a generator that takes classes, by index."""


def facts_of(made: Exportable, run: RunFolder | None) -> Facts:
    """The facts of a generator; without a run folder there are no test figures and no versions."""
    config = made.config
    model, data = config["model"], config["data"]
    versions = (run.versions if run else None) or {}
    training = {
        "steps": f"{made.training_steps:,}, of {data.get('batch_size')} samples each",
        "generator": _call(model["generator"]),
        "discriminator": _call(model.get("discriminator")),
        "objective": _call(config.get("objective")),
        "generator's optimizer": _call(model.get("generator_optimizer")),
        "discriminator's optimizer": _call(model.get("discriminator_optimizer")),
        "stabilizers": ", ".join(map(_call, config.get("stabilize", {}).values())) or "none",
        "seed": str(config.get("seed")),
        "versions": ", ".join(f"{name} {version}" for name, version in _packages(versions).items()),
    }
    count = made.generator.class_count
    figures = _figures(run, made.training_steps) if run else []
    return Facts(
        title=run_title(config),
        data=_call(data),
        training={name: text for name, text in training.items() if text},
        figures=[each for each in figures if each.sampling is None],
        why_none=(
            "the test is of samples that a discriminator has chosen"
            if figures
            else "there is no test with metrics of this training step"
        ),
        class_names=class_names(config, count, run.class_names if run else {})[:count],
    )


def _figures(run: RunFolder, training_steps: int) -> list[TestFigure]:
    """The metrics of the tested checkpoint that this generator is from; none if it was not tested."""
    if not run.test_results_file.is_file():
        return []
    results = read_results(run.test_results_file)
    tested = next((each for each in results.checkpoints.values() if each.training_steps == training_steps), None)
    figures = []
    for name, value in tested.results.items() if tested else ():
        parsed = MetricName.parse(name)
        if parsed and not of_class(parsed.figure):
            floor = results.floors.get(str(parsed.of_real_images))
            figures.append(TestFigure(name, metric_label(parsed.figure), value, floor, parsed.sampling))
    return figures


def _call(node: Any) -> str:
    """A class with its options: Adam(lr=0.0002, betas=[0.5, 0.999])."""
    if not isinstance(node, Mapping) or not isinstance(node.get("_target_"), str):
        return ""
    left_out = ("_target_", "_partial_", "root")  # root: a folder of the user's machine
    options = ", ".join(f"{name}={value}" for name, value in node.items() if name not in left_out and value is not None)
    return f"{node['_target_'].rpartition('.')[2]}({options})"


def _packages(versions: Mapping[str, Any]) -> dict[str, str]:
    packages = versions.get("packages")
    return {str(name): str(value) for name, value in packages.items() if value} if isinstance(packages, Mapping) else {}
