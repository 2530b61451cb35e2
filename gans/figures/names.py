"""Names that readers know, of runs, classes and metrics: every text in a figure that comes from an option."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from gans.metrics.name import MetricName

ACRONYMS = {
    "r1": "R1", "r2": "R2", "ema": "EMA", "wgan": "WGAN", "gp": "GP", "dragan": "DRAGAN", "fid": "FID", "kid": "KID",
    "kl": "KL", "mse": "MSE", "ssim": "SSIM", "bcr": "bCR", "lecam": "LeCam", "diggan": "DigGAN", "drs": "DRS",
}  # fmt: skip
METRICS = {
    "class_kl": "KL(generated classes || real), nats",
    "mode_kl": "KL(modes || equal shares), nats",
    "class_share": "share of each class",
    "modes": "modes reached",
    "high_quality": "share of high quality",
    "class_agreement": "share with the requested class",
    "class_kept": "share with the input's class",
    "mse": "mean squared error",
    "ssim": "structural similarity",
}
"""Metrics whose names do not say enough."""
NUMBERS: Mapping[int, str] = {}
"""Names of classes of which only the numbers are known."""


def run_title(config: Mapping[str, Any]) -> str:
    """Data, model, objective, stabilizers and seed of a run's config."""
    generator = _class(_node(_node(config, "model"), "generator"))
    classes = _classes(config)
    objective = _node(config, "objective")
    switched_on = [readable(name) for name, value in objective.items() if value is True]
    chosen = ", ".join(map(class_name, classes)) if len(classes) < 10 else ""
    parts = (
        f"{_words(_class(_node(config, 'data')))} {chosen}".strip(),
        _words(generator.removesuffix("Generator") or generator),
        _words(_class(objective)) + (f" ({', '.join(switched_on)})" if switched_on else ""),
        " + ".join(readable(name) for name in _node(config, "stabilize")) or "no stabilizer",
        f"seed\N{NO-BREAK SPACE}{config.get('seed')}",
    )
    return " · ".join(filter(None, parts))


def readable(name: str) -> str:
    """An option's or a metric's own name in words: wgan_gp is WGAN GP."""
    return " ".join(ACRONYMS.get(word, word) for word in name.split("_"))


def metric_label(figure: str) -> str:
    """A metric's label without its protocol."""
    return METRICS.get(figure, readable(figure))


def protocol(name: MetricName, samples: str = "images") -> str:
    """A metric's protocol in words: 200 images, digits1 features."""
    count = f"{name.images:,} {samples}"
    return f"{count}, {name.features} features" if name.features else count


def class_names(config: Mapping[str, Any], count: int, names: Mapping[int, str] = NUMBERS) -> list[str]:
    """The names of the run's classes by index: count or more.

    Args:
        names: of the source's classes, where they are known. A number that is a name means the class of that name.
    """
    classes = _classes(config)
    if len(classes) < count:
        return [class_name(label, names) for label in range(count)]
    known = {*names.values()}
    return [str(each) if str(each) in known else class_name(each, names) for each in classes]


def class_name(label: int | str, names: Mapping[int, str] = NUMBERS) -> str:
    """The name of a source's class: its number, where no other is known."""
    return names.get(label, str(label)) if isinstance(label, int) else label


def row_label(labels: Sequence[int], names: Mapping[int, str] = NUMBERS) -> str:
    """The classes in a row of images: one or two, or the first and the last of a sorted row; else nothing."""
    known = [class_name(label, names) for label in dict.fromkeys(labels) if label >= 0]
    if len(known) <= 2:
        return ", ".join(known)
    return f"{known[0]}–{known[-1]}" if list(labels) == sorted(labels) else ""


def _classes(config: Mapping[str, Any]) -> list[int | str]:
    """The classes that a run of images uses, as its config names them; none for other data."""
    classes = _node(config, "data").get("classes")
    return classes if isinstance(classes, list) else []


def _node(config: Mapping[str, Any], group: str) -> Mapping[str, Any]:
    """The options of a group; none if there are none."""
    node = config.get(group)
    return node if isinstance(node, Mapping) else {}


def _class(node: Mapping[str, Any]) -> str:
    """The name of a node's class, without its module."""
    return str(node.get("_target_", "")).rpartition(".")[2]


def _words(name: str) -> str:
    """A class's name in words: BinaryCrossEntropy is Binary cross entropy, and StackedMNIST is Stacked MNIST."""
    words = re.findall(r"[A-Z]+(?![a-z])\d*|[A-Z]?[a-z]+|\d+", name)
    words = [word if word.isupper() or number == 0 else word.lower() for number, word in enumerate(words)]
    return " ".join(words)
