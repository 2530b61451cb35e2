"""Mistakes in classes of one's own are refused in one line that names the class, before training where they can be."""

import math
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, cast

import numpy
import pytest
import torch
from torch import Tensor, nn
from typing_extensions import override

from gans.config.build import build, build_data, build_gan
from gans.config.compatibility import require_match
from gans.data.batches import Dataset
from gans.data.images import ImageData
from gans.data.source import Source
from gans.errors import InputError
from gans.features.none import NoFeatures
from gans.gan import GAN
from gans.generator import Generator
from gans.metrics.base import EvaluationData, Metric
from gans.metrics.evaluator import Evaluator, GeneratedSamples
from gans.models.mlp import MaxoutDiscriminator, MLPGenerator
from gans.objectives import BinaryCrossEntropy, Objective
from gans.randomness import Streams
from gans.stabilize import Stabilizer, Stabilizers
from gans.stabilize.base import METHODS, StabilizedGAN, require_hooks
from gans.stabilize.gradient_penalties import R1
from gans.update import PlayerBatch, ScoredBatch, Terms
from tests.configs import run_config
from tests.data.own import noise, own
from tests.run.runs import Crash, start
from tests.training import points_gan, random_points, small_config, train


@pytest.fixture(scope="module")
def points() -> Source:
    return build_data(run_config("data=ring", "model=mlp"))


def refusal(do: Callable[[], object]) -> str:
    with pytest.raises(InputError) as refused:
        do()
    assert "\n" not in str(refused.value)
    return str(refused.value)


def changed(loss: Callable[[ScoredBatch], Tensor]) -> Objective:
    @dataclass(frozen=True)
    class Own(BinaryCrossEntropy):
        @override
        def discriminator(self, batch: ScoredBatch) -> Tensor:
            return loss(batch)

    return Own()


@pytest.mark.parametrize(
    "loss",
    [
        lambda batch: (batch.scores - batch.targets[:, None]).square(),
        lambda batch: batch.outputs.square(),
        lambda batch: batch.scores.mean(),
        lambda _: 1.0,
    ],
    ids=["(n, n)", "(n, 1)", "()", "a number"],
)
def test_a_loss_that_is_not_one_value_per_sample(points: Source, loss: Callable[[ScoredBatch], Tensor]) -> None:
    gan = points_gan(objective=changed(loss))
    assert "Own" in refusal(lambda: require_match(gan, points))


def test_a_loss_of_the_generator_alone(points: Source) -> None:
    @dataclass(frozen=True)
    class Own(BinaryCrossEntropy):
        @override
        def generator(self, batch: ScoredBatch) -> Tensor:
            return batch.scores[:, None] - batch.scores

    assert "Own" in refusal(lambda: require_match(points_gan(objective=Own()), points))


@pytest.mark.parametrize("player", ["discriminator", "generator"])
def test_a_loss_without_gradient(player: str) -> None:
    def loss(_: Objective, batch: ScoredBatch) -> Tensor:
        return batch.scores.detach().square()

    own = type("Own", (BinaryCrossEntropy,), {player: loss})
    assert f"Own.{player}" in refusal(lambda: train(points_gan(objective=own()), [random_points()]))


@pytest.mark.parametrize(("hook", "player"), [("penalties", "discriminator"), ("generator_terms", "generator")])
def test_a_term_without_gradient(hook: str, player: str) -> None:
    """It would be recorded, and change nothing. Zeros without one are a penalty that pauses."""

    def training_with(values: Tensor) -> Callable[[], object]:
        def terms(*given: Any) -> Terms:
            kept = given[2] if hook == "generator_terms" else {}
            return kept | {"mine": values}

        return lambda: train(points_gan(type("Mine", (Stabilizer,), {hook: terms})()), [random_points()])

    assert f"the {player}'s loss 'mine' has no gradient" in refusal(training_with(torch.ones(8)))
    training_with(torch.zeros(8))()


def test_a_stabilizer_that_holds_the_gan() -> None:
    class Mine(Stabilizer):
        @override
        def attach(self, gan: StabilizedGAN) -> None:
            self.gan = gan

    assert "self.gan = [gan]" in refusal(lambda: points_gan(Mine()))


def test_an_error_in_ones_own_class_says_where(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = [
        "from gans.stabilize import Stabilizer",
        "class Mine(Stabilizer):",
        "    def attach(self, gan):",
        "        {}['weight']",
    ]
    (tmp_path / "my_broken_idea.py").write_text("\n".join(lines))
    monkeypatch.syspath_prepend(tmp_path)
    config = small_config("model=mlp", {"stabilize": {"mine": {"_target_": "my_broken_idea.Mine"}}})
    assert refusal(lambda: build_gan(config)) == "model: 'weight' (my_broken_idea.py, line 4)"


@pytest.mark.parametrize("name", ["double", "update", "training", "v1.2"])
def test_a_name_that_pytorch_takes(name: str) -> None:
    assert f"stabilize.{name}: " in refusal(lambda: Stabilizers({name: R1()}))


def test_inputs_that_are_changed_in_place() -> None:
    class Mine(Stabilizer):
        @override
        def transform_inputs(self, images: Tensor, random: Streams) -> Tensor:
            images += 1
            return images

    gan = points_gan(Mine(), discriminator_updates="separate")
    assert "Mine.transform_inputs changes" in refusal(lambda: train(gan, [random_points()]))


class Penalty(Stabilizer):
    """One penalty of this name, with the values of the scores in this shape."""

    def __init__(self, name: str, *shape: int) -> None:
        super().__init__()
        self.name, self.shape = name, shape or (-1,)

    @override
    def penalties(self, batch: PlayerBatch, random: Streams) -> Terms:
        return {self.name: batch.scored().scores.reshape(self.shape)}


@pytest.mark.parametrize("updates", ["joint", "alternating"])
@pytest.mark.parametrize(
    ("name", "others"), [("adversarial", ()), ("r1", (R1(),)), ("mine", (Penalty("mine"),)), ("loss", ())]
)
def test_a_penalty_whose_name_is_taken(name: str, others: tuple[Stabilizer, ...], updates: str) -> None:
    gan = points_gan(*others, Penalty(name), discriminator_updates=updates)
    assert f"'{name}'" in refusal(lambda: train(gan, [random_points()]))


def test_what_is_tried_before_training_leaves_no_trace(points: Source) -> None:
    gan = points_gan(Penalty("mine"))
    before, state = deepcopy(gan.state_dict()), torch.get_rng_state()
    require_match(gan, points)
    assert gan.training
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(value, before[name]) for name, value in gan.state_dict().items())


def test_a_penalty_called_as_an_accuracy() -> None:
    assert "'accuracy'" in refusal(lambda: train(points_gan(Penalty("accuracy")), [random_points()]))


def test_penalties_with_names_of_their_own_add_up() -> None:
    means = train(points_gan(Penalty("one"), Penalty("other")), [random_points()]).means.pop()
    parts = [means[f"discriminator_{name}"] for name in ("adversarial", "one", "other")]
    assert means["discriminator_loss"] == pytest.approx(sum(parts))


def test_a_penalty_or_a_generators_term_that_is_not_one_value_per_sample() -> None:
    assert "Penalty" in refusal(lambda: train(points_gan(Penalty("mine", 1, -1)), [random_points()]))

    class Own(Stabilizer):
        @override
        def generator_terms(
            self, gan: StabilizedGAN, terms: Terms, batch: ScoredBatch, discriminator_batch: PlayerBatch
        ) -> Terms:
            return terms | {"mine": batch.scores - batch.scores[:, None]}

    assert "Own" in refusal(lambda: train(points_gan(Own()), [random_points()]))


def gan_with(generator: Any = None, discriminator: nn.Module | None = None) -> GAN:
    adam = partial(torch.optim.Adam, lr=1e-3)
    return GAN(
        generator or MLPGenerator(width=8, depth=1),
        discriminator or MaxoutDiscriminator(width=8, depth=1, pieces=2),
        BinaryCrossEntropy(),
        Stabilizers(),
        adam,
        adam,
    )


@pytest.mark.parametrize("layers", [[nn.Linear(2, 2)], [nn.Linear(2, 1), nn.Flatten(0)]], ids=["(n, 2)", "(n,)"])
def test_a_discriminator_that_makes_not_one_score_per_sample(points: Source, layers: list[nn.Module]) -> None:
    class Own(nn.Sequential): ...

    assert "Own" in refusal(lambda: require_match(gan_with(discriminator=Own(*layers)), points))


@pytest.mark.parametrize(
    ("attribute", "value"),
    [
        ("pixel_range", None),
        ("pixel_range", (1.0, -1.0)),
        ("pixel_range", (1, 1)),
        ("pixel_range", (0.0, math.nan)),
        ("pixel_range", 1.0),
        ("latent_size", None),
        ("latent_size", 10.0),
        ("latent_size", 0),
        ("class_count", 2.0),
    ],
)
def test_a_generator_that_says_its_samples_or_inputs_wrong(attribute: str, value: object) -> None:
    class Own(MLPGenerator): ...

    own = Own(width=8, depth=1)
    setattr(own, attribute, value)
    said = refusal(lambda: gan_with(own))
    assert "Own" in said
    assert attribute in said


def test_a_generator_whose_state_is_no_tensor(points: Source) -> None:
    """Its file, which is written after training, holds tensors only."""

    class Own(MLPGenerator):
        @override
        def get_extra_state(self) -> Any:
            return {"count": 1}

        @override
        def set_extra_state(self, state: Any) -> None:
            pass

    assert "_extra_state is a dict" in refusal(lambda: require_match(gan_with(Own(width=8, depth=1)), points))


def test_a_generator_that_says_nothing_or_is_none(points: Source) -> None:
    class Own(Generator):
        pixel_range = (0.0, 1.0)

    assert "latent_size" in refusal(lambda: gan_with(Own()))
    assert "Linear" in refusal(lambda: gan_with(nn.Linear(2, 2)))
    require_match(gan_with(), points)


@pytest.mark.parametrize(
    ("model", "player"), [("mlp", "generator"), ("mlp", "discriminator"), ("cgan", "discriminator")]
)
def test_a_network_without_return(model: str, player: str) -> None:
    config = small_config(f"model={model}")
    gan, data = build_gan(config), build_data(config)
    network = getattr(gan, player)
    network.__class__ = type("Own", (type(network),), {"forward": lambda *_: None})
    assert "Own.forward returns NoneType" in refusal(lambda: require_match(gan, data))


@pytest.mark.parametrize("player", ["discriminator", "generator"])
def test_a_gan_whose_losses_are_not_returned(points: Source, player: str) -> None:
    gan = points_gan()
    gan.__class__ = type("Own", (GAN,), {f"{player}_terms": lambda *_: None})
    assert f"Own.{player}_terms returns NoneType" in refusal(lambda: require_match(gan, points))


def test_a_network_that_shows_samples_and_that_checkpoints_would_not_save(points: Source) -> None:
    class Own(Stabilizer):
        @override
        def sampling_generator(self, generator: nn.Module) -> nn.Module:
            return deepcopy(generator)

    assert "Own" in refusal(lambda: require_match(points_gan(Own()), points))


class Forgetful(Stabilizer):
    def __init__(self) -> None:
        self.weight = 1.0


class ForgetfulMetric(Metric):
    def __init__(self) -> None:
        self.weight = 1.0

    @override
    def compute(self, data: EvaluationData) -> dict[str, float]:
        return {}


class Images(ImageData):
    """A source whose ``read`` returns this."""

    source = "mine"

    def __init__(self, made: Any = None, **options: Any) -> None:
        super().__init__(**options)
        self.made = made

    @override
    def read(self) -> tuple[Dataset, Dataset]:
        return self.made


class ForgetfulImages(Images):
    def __init__(self) -> None:
        self.made = None


@pytest.mark.parametrize("kind", [Forgetful, ForgetfulMetric, ForgetfulImages])
def test_a_class_that_does_not_initialize_its_base(kind: type) -> None:
    said = refusal(lambda: build({"_target_": f"{__name__}.{kind.__name__}"}, "group.own"))
    assert "group.own" in said
    assert "super().__init__()" in said


DATASET = noise(10, 1, 8)
ARRAYS: Any = [numpy.array(part) for part in DATASET]


@pytest.mark.parametrize(
    "made",
    [
        None,
        DATASET,
        (DATASET,),
        (tuple(DATASET), tuple(DATASET)),
        (DATASET, None),
        (Dataset(*ARRAYS),) * 2,
    ],
    ids=["None", "train", "a tuple of train", "tuples", "no test", "arrays"],
)
def test_a_source_that_does_not_return_two_sets(made: Any) -> None:
    said = refusal(Images(made, classes=[0, 1], batch_size=4).setup)
    assert "data=mine" in said
    assert "Images.read" in said


def test_a_source_may_return_its_sets_one_after_the_other() -> None:
    data = Images((each for each in (DATASET, DATASET)), classes=[0, 1], batch_size=2)
    data.setup()
    assert len(data.train_images.labels) == 2


class Nameless(ImageData):
    @override
    def read(self) -> tuple[Dataset, Dataset]:
        return DATASET, DATASET


def test_classes_whose_names_are_numbers() -> None:
    class Numbered(Images):
        @property
        @override
        def class_names(self) -> list[str]:
            return cast(list[str], [0, 1])

    said = refusal(Numbered((DATASET, DATASET), classes=[0, 1], batch_size=2).setup)
    assert "names are text" in said


def test_a_source_without_a_name() -> None:
    options = own("Unlabelled", classes=1), f"data._target_={__name__}.Nameless"
    said = refusal(lambda: build_data(run_config(*options[0], options[1])))
    assert "Nameless" in said
    assert "source =" in said


class Returning(Metric):
    """A metric that returns this."""

    uses_features = False

    def __init__(self, values: Any) -> None:
        super().__init__(during_training=True)
        self.values_to_return = values

    @override
    def compute(self, data: EvaluationData) -> dict[str, float]:
        return self.values_to_return


def judged(data: Source, **values: Any) -> tuple[dict[str, float], dict[str, float]]:
    """The values of generated points and the floors, of metrics that return these values."""
    metrics = {name: Returning(value) for name, value in values.items()}
    evaluator = Evaluator(metrics, NoFeatures(data.class_names), data, max_samples=10)
    fakes = torch.zeros(10, 2), torch.zeros(10, dtype=torch.long)
    made = GeneratedSamples(*fakes, more=lambda _: fakes, conditional=False, transforms=False)
    floors = evaluator.floors("test", conditional=False, transforms=False)
    return evaluator.evaluate("test", made).values, floors


class Idle(Stabilizer):
    def transform_input(self, images: Tensor, random: Streams) -> Tensor:  # one letter is missing
        return 2 * images


def test_a_stabilizer_without_a_hook_is_refused() -> None:
    message = refusal(lambda: require_hooks({"mine": Idle()}))
    assert "Idle" in message
    assert "transform_inputs" in message


def acting(hook: str, made: Any) -> Stabilizer:
    """A stabilizer whose hook returns this."""
    return type("Mine", (Stabilizer,), {hook: lambda *_: made})()


@pytest.mark.parametrize(
    ("hook", "made"),
    [
        ("transform_inputs", None),
        ("transform_inputs", torch.zeros(3)),
        ("transform_targets", torch.zeros(2)),
        ("transform_targets", (torch.zeros(3), torch.zeros(3))),
        ("transform_targets", None),
        ("penalties", None),
        ("penalties", torch.zeros(3)),
        ("generator_terms", None),
        ("generator_terms", torch.zeros(3)),
        ("skips_generator", None),
    ],
)
def test_a_hook_that_returns_something_else_is_named(hook: str, made: Any) -> None:
    assert f"Mine.{hook} returns" in refusal(lambda: train(points_gan(acting(hook, made)), [random_points()]))


def test_a_network_that_shows_samples_and_is_none(points: Source) -> None:
    said = refusal(lambda: require_match(points_gan(acting("sampling_generator", None)), points))
    assert "Mine.sampling_generator returns NoneType" in said


@pytest.mark.parametrize("size", [lambda _: 2, "2", 0, 2.0, property(lambda _: None)])
def test_a_pack_size_that_is_no_number(size: Any, points: Source) -> None:
    own = type("Mine", (Stabilizer,), {"pack_size": size})()
    assert refusal(lambda: require_match(points_gan(own), points)).startswith("Mine.pack_size is ")


def one_more(*_: Any, other: Any) -> Any:
    return other


def any_arguments(*others: Any, more: int = 1, **options: Any) -> Any:
    return others, more, options


@pytest.mark.parametrize("hook", METHODS)
@pytest.mark.parametrize("wrong", [lambda _: None, one_more, 3], ids=["too few", "one more", "no method"])
def test_a_hook_with_other_arguments(hook: str, wrong: Any) -> None:
    """Other names of them are not refused."""
    require_hooks({"mine": type("Mine", (Stabilizer,), {hook: any_arguments})()})
    said = refusal(lambda: require_hooks({"mine": type("Mine", (Stabilizer,), {hook: wrong})()}))
    assert said.startswith(f"stabilize.mine: Mine.{hook}: ")
    assert f"def {hook}(self, " in said


class FailingLater(Stabilizer):
    """Raises an error in a training step, counted from 0."""

    def __init__(self, step: int, expected: bool) -> None:
        super().__init__()
        self.step, self.expected = step, expected

    @override
    def skips_generator(self, step: int) -> bool:
        if step == self.step:
            raise InputError("refused") if self.expected else Crash
        return False


@pytest.mark.parametrize("once", [False, True], ids=["alone", "member"])
@pytest.mark.parametrize(("step", "expected", "stays"), [(0, True, False), (1, True, True), (0, False, True)])
def test_a_run_that_its_first_step_refuses_leaves_nothing(
    tmp_path: Path, step: int, expected: bool, stays: bool, once: bool
) -> None:
    runs, options = tmp_path / "runs", f"{{_target_: {__name__}.FailingLater, step: {step}, expected: {expected}}}"
    with pytest.raises(InputError if expected else Crash) as error:
        start(runs, f"+stabilize.mine={options}", once=once)
    assert stays or "resume" not in str(error.value)
    assert runs.exists() == stays
    assert len(list(runs.glob("*/history.json"))) == stays


@pytest.mark.parametrize(
    "values",
    [
        {"own": torch.zeros(3)},
        {"own": torch.tensor(1.0)},
        {"own": "0.5"},
        {"own": None},
        {"": 1},
        {},
        numpy.ones(2),
        0.5,
        None,
        "0.5",
    ],
)
def test_a_metric_that_returns_no_numbers_by_name(points: Source, values: Any) -> None:
    assert "metric.mine" in refusal(lambda: judged(points, mine=values))


def test_a_metric_that_changes_what_it_is_given_changes_no_other(points: Source) -> None:
    class Spoiling(Metric):
        @override
        def compute(self, data: EvaluationData) -> dict[str, float]:
            for samples in (data.real, data.fake, data.training()):
                samples.features.numpy()[:] = 0
                samples.images.zero_()
            return {"own": 0.0}

    class Seeing(Metric):
        @override
        def compute(self, data: EvaluationData) -> dict[str, float]:
            seen = [float(samples.features.abs().sum()) for samples in (data.real, data.fake, data.training())]
            return {"least": min(seen)}

    assert points.feature_extractor
    evaluator = Evaluator({"mine": Spoiling(), "other": Seeing()}, points.feature_extractor, points, 10)
    floors = evaluator.floors("test", conditional=False, transforms=False)
    (least,) = (value for name, value in floors.items() if name.startswith("least_"))
    assert least > 0
    real = evaluator.real("test")
    assert float(real.features.abs().sum()) > 0


def test_two_metrics_with_a_value_of_the_same_name(points: Source) -> None:
    assert "metric.other" in refusal(lambda: judged(points, mine={"own": 0.5}, other={"own": 0.7}))


def test_numbers_of_every_kind_are_values(points: Source) -> None:
    for _ in range(2):  # the floors of the second time are from the cache
        for found in judged(points, mine={"a": 1, "b": numpy.float32(0.5), "c": math.nan, "d": -math.inf}):
            assert (found["a_10"], found["b_10"], found["d_10"]) == (1, 0.5, -math.inf)
            assert math.isnan(found["c_10"])
