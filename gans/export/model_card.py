"""The model card beside an exported generator (Mitchell et al. 2019)."""

import json

from gans.config.validate import foreign_targets
from gans.export.facts import Facts
from gans.export.formats import Format
from gans.export.network import TRIED, Exportable
from gans.generator import Generator
from gans.run.network_summary import parameter_count

LICENCE = (
    "Not chosen yet: whoever publishes this file chooses one, and checks what the licence of the training data allows."
)


def model_card(made: Exportable, facts: Facts, file_format: Format, file: str, difference: float) -> str:
    """The card as Markdown."""
    network = type(made.generator).__name__
    parts = [
        f"# {facts.title}",
        f"`{file}` holds {_article(network)} `{network}` with "
        f"{parameter_count(made.generator):,} parameters, averages of BatchNorm among them, after "
        f"{made.training_steps:,} training steps of a GAN. Of {TRIED} random samples, the file's differ by at most "
        f"{difference:.1e} from PyTorch's.",
        "## Inputs and output",
        _inputs(made, facts, file_format),
        "## Use",
        f"```python\n{usage(made, file_format, file)}\n```",
        "## Training data",
        f"`{facts.data}`",
        "## Training",
        "\n".join(f"- {name}: {text}" for name, text in facts.training.items()),
        "## Test figures",
        _figures(facts),
        "## Licence",
        LICENCE,
    ]
    return "\n\n".join(parts) + "\n"


def usage(made: Exportable, file_format: Format, file: str) -> str:
    """How the file is used, in at most five lines of Python."""
    shapes = {name: tuple(value.shape[1:]) for name, value in zip(made.input_names, made.inputs(1), strict=True)}
    count = 16
    arrays, tensors = [], []
    for name, shape in shapes.items():
        sizes = ", ".join(map(str, (count, *shape)))
        if name == "classes":
            arrays.append(f'"classes": numpy.arange({count}) % {made.generator.class_count}')
            tensors.append(f"torch.arange({count}) % {made.generator.class_count}")
        elif name == "input_images" or made.generator.has_uniform_latents:
            low = "" if name == "input_images" else "2 * "
            high = "" if name == "input_images" else " - 1"
            arrays.append(f'"{name}": {low}numpy.random.rand({sizes}).astype("float32"){high}')
            tensors.append(f"{low}torch.rand({sizes}){high}")
        else:
            arrays.append(f'"{name}": numpy.random.randn({sizes}).astype("float32")')
            tensors.append(f"torch.randn({sizes})")
    packages = sorted({target.partition(".")[0] for target in foreign_targets(made.config["model"]["generator"])})
    return file_format.usage.format(
        file=file,
        trust=f", trust={json.dumps(packages)}" if packages else "",
        inputs="{" + ", ".join(arrays) + "}",
        tensors=", ".join(tensors),
        output=made.output_name,
        range="" if made.generator.makes_points else f"  # pixels in {list(made.generator.pixel_range)}",
    )


def _inputs(made: Exportable, facts: Facts, file_format: Format) -> str:
    lines = []
    for name, value in zip(made.input_names, made.inputs(1), strict=True):
        shape = ", ".join(["n", *map(str, value.shape[1:])])
        if name == "classes":
            what = f"({shape},) int64: the class of each sample: " + ", ".join(
                f"{index} is {label}" for index, label in enumerate(facts.class_names)
            )
        elif name == "input_images":
            what = f"({shape}) float32: images in [0, 1]"
        else:
            what = f"({shape}) float32: random numbers, {_distribution(made.generator)}"
        lines.append(f"- `{name}` {what}")
    made_by = made.network(*made.inputs(1))
    shape = ", ".join(["n", *map(str, made_by.shape[1:])])
    pixels = list(made.generator.pixel_range) if file_format.keeps_pixel_range else [0, 1]
    what = "points" if made.generator.makes_points else f"images in {pixels}"
    lines.append(f"- `{made.output_name}` ({shape}) float32: {what}")
    return "\n".join(lines)


def _distribution(generator: Generator) -> str:
    """What the latents are drawn from."""
    if generator.has_uniform_latents:
        return "uniform in [-1, 1]"
    if generator.has_normal_latents:
        return "normal, N(0, 1)"
    return "drawn by its own `inputs`; the code below draws normal ones in their place"


def _figures(facts: Facts) -> str:
    if not facts.figures:
        return f"None are known: {facts.why_none}."
    rows = [
        f"| `{each.name}` | {each.value:.4g} | {'' if each.floor is None else f'{each.floor:.4g}'} |"
        for each in facts.figures
    ]
    head = "| metric_images_features | this generator | real training images |\n|---|---|---|\n"
    explained = (
        "A name says how many images of each kind were compared, and by which features. The last column is the floor: "
        "the same metric of real training images in place of generated ones."
    )
    return f"{explained}\n\n{head}" + "\n".join(rows)


def _article(word: str) -> str:
    return "an" if word[0] in "AEIOU" else "a"
