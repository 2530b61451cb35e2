"""The definition of a study, as written in conf/study/<name>.yaml."""

from itertools import product
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, PositiveFloat, PositiveInt, model_validator

from gans.config.schema import Options
from gans.config.shell import option_of
from gans.errors import InputError
from gans.study.figures_of_merit import Direction, FigureOfMerit, Scale, figure_of_merit

FEWEST_SEEDS = 2


class FigureOptions(Options):
    """A figure of merit: its name, and what is to be said of figures that are not the package's own."""

    name: str
    scale: Scale | None = None
    better: Direction | None = None
    matters: PositiveFloat | None = None

    @property
    def merit(self) -> FigureOfMerit:
        return figure_of_merit(self.name, self.scale, self.better, self.matters)


def _named(value: Any) -> Any:
    return {"name": value} if isinstance(value, str) else value


def _is_number(text: str, number: float) -> bool:
    try:
        return float(text) == number
    except ValueError:
        return False


class ClaimPart(Options):
    """One comparison of a claim: the arm's figure is lower or higher than the other arm's, or not different."""

    figure: str
    arm: str
    than: str | float | None = None
    """The arm, or the number, that it is compared with; None for the baseline."""
    expect: Literal["lower", "higher", "no difference"]


class Claim(Options):
    """What is believed before the first run. It holds if all of its parts hold."""

    text: str
    source: str = ""
    parts: Annotated[list[ClaimPart], Field(min_length=1)]


class StudyDefinition(Options):
    """A question, the settings that are compared, and what decides."""

    question: str
    common: list[str] = Field(default_factory=list)
    """Overrides of train.py for every run."""
    arms: dict[str, list[str]] = Field(default_factory=dict)
    """The overrides of each arm, by label."""
    factors: dict[str, dict[str, list[str]]] = Field(default_factory=dict)
    """In place of arms: the levels of each factor with their overrides. The arms are their product."""
    baseline: str
    seeds: Annotated[int, Field(ge=FEWEST_SEEDS)] = 8
    """How many seeds each arm gets at first: 0, 1, ..."""
    most_seeds: PositiveInt = 24
    figures: Annotated[list[Annotated[FigureOptions, BeforeValidator(_named)]], Field(min_length=1)]
    claims: list[Claim] = Field(default_factory=list)
    other_data: bool = False
    """Whether arms may be judged on other held-out samples, such as other digits; the page warns of it."""
    moments: PositiveInt = 11
    """How many moments of training the page shows images of."""

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        if bool(self.arms) == bool(self.factors):
            raise InputError("a study has either arms or factors")
        self._require_arms(self.all_arms)
        self._require(self.baseline, list(self.all_arms), "baseline", "arms")
        names = [figure.name for figure in self.figures]
        for figure in self.figures:
            if names.count(figure.name) > 1:
                raise InputError(f"figures: {figure.name} is there twice")
            _ = figure.merit
        for number, claim in enumerate(self.claims):
            for part in claim.parts:
                self._require_part(part, f"claims[{number}] ('{claim.text}')")
        return self

    def _require_arms(self, arms: dict[str, list[str]]) -> None:
        if len(arms) < 2:
            raise InputError("a study needs two arms or more: there is nothing to compare")
        seen: dict[tuple[str, ...], str] = {}
        for label, overrides in arms.items():
            same = seen.setdefault(tuple(sorted(overrides)), label)
            if same != label:
                raise InputError(f"the arms '{same}' and '{label}' are the same: remove one")
            names = [option_of(text) for text in [*self.common, *overrides]]
            if "seed" in names:
                raise InputError(f"arm '{label}' sets a seed: study.py gives each run its seed; use seeds=...")
            own = ("runs", "resume", "test", "draw")
            if foreign := [name for name in names if name in own or name.startswith(("hydra.", "hydra/"))]:
                raise InputError(f"arm '{label}' sets {foreign[0]}: an arm has settings of new runs only")

    def _require_part(self, part: ClaimPart, where: str) -> None:
        arms, than = list(self.all_arms), self.compared_with(part)
        self._require(part.figure, [figure.name for figure in self.figures], f"{where}: figure", "figures")
        self._require(part.arm, arms, f"{where}: arm", "arms")
        if isinstance(than, str):
            self._require(than, arms, f"{where}: than", "arms")
        else:
            self._require_number(than, part, where)
        if part.arm == than:
            raise InputError(f"{where} compares the arm '{part.arm}' with itself")

    @staticmethod
    def _require(name: str, choices: list[str], what: str, kind: str) -> None:
        if name not in choices:
            raise InputError(f"{what}: '{name}' is none of the study's {kind}: choose from {', '.join(choices)}")

    def _require_number(self, than: float, part: ClaimPart, where: str) -> None:
        """Refuse a number that the figure can't have, or that is also the name of an arm."""
        if named := [arm for arm in self.all_arms if _is_number(arm, than)]:
            raise InputError(
                f"{where}: than={than:g} is a number, and the name of an arm: write than: '{named[0]}', or rename the "
                "arm if you mean the number"
            )
        (merit,) = (merit for merit in self.merits if merit.name == part.figure)
        if not merit.has_place_for(than):
            raise InputError(f"{where}: than={than:g}: {part.figure} is compared as {merit.scale}: write {merit.room}")

    @property
    def all_arms(self) -> dict[str, list[str]]:
        """The overrides of every arm, by label; the product of the factors if there are any."""
        if not self.factors:
            return self.arms
        arms: dict[str, list[str]] = {}
        for chosen in product(*(factor.items() for factor in self.factors.values())):
            label = ", ".join(name for name, _ in chosen)
            if label in arms:
                raise InputError(f"factors: two combinations are called '{label}': rename a level that has a comma")
            arms[label] = [text for _, overrides in chosen for text in overrides]
        return arms

    def compared_with(self, part: ClaimPart) -> str | float:
        """The arm, or the number, that a claim's part is compared with."""
        return self.baseline if part.than is None else part.than

    @property
    def merits(self) -> list[FigureOfMerit]:
        return [figure.merit for figure in self.figures]
