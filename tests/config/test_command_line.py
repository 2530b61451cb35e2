"""Habits of Hydra's users that this package does not follow are answered, not ignored."""

import os
import re
import shlex
import signal
import sys
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from hydra._internal.utils import get_args_parser
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import OverrideParseException
from omegaconf import OmegaConf
from yaml import YAMLError

import gans
from gans.config.command_line import (
    check_overrides,
    flags_last,
    one_line_errors,
    refuse_config_places,
    refuse_empty_choices,
    refuse_idle,
    run_command,
)
from gans.config.explain import explain, explain_comma, explain_text, known_options, message_of, suggestion
from gans.config.resolve import flatten, resolve
from gans.errors import InputError
from gans.run.output import new_whole_folder
from tests.configs import CONF, ROOT, composed, mostly_slow


def check(monkeypatch: pytest.MonkeyPatch, *overrides: str) -> None:
    hydra = [text for text in overrides if text.startswith("hydra")]
    given = {"task": [text for text in overrides if text not in hydra], "hydra": hydra}
    monkeypatch.setattr(HydraConfig.instance(), "cfg", OmegaConf.create({"hydra": {"overrides": given}}))
    check_overrides()


@pytest.mark.parametrize(
    "override",
    ["hydra.run.dir=x", "hydra.sweep.dir=x", "hydra.sweep.subdir=x", "hydra.job.chdir=true", "hydra.output_subdir=x"],
)
def test_settings_of_hydra_that_say_where_to_write_are_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], override: str
) -> None:
    """Before Hydra starts, which would make these folders."""
    scripts = {"train.py": "runs", "generate.py": "output", "features.py": "output", "study.py": "output"}
    for script, option in scripts.items():
        monkeypatch.setattr(sys, "argv", [str(ROOT / script), override])
        with pytest.raises(SystemExit) as end:
            run_command(lambda: pytest.fail("Hydra has started"))
        assert end.value.code == InputError.exit_code
        assert f"{option}=" in capsys.readouterr().err
        assert option in known_options(Path(script).stem)


@pytest.mark.parametrize("script", ["generate.py", "features.py", "study.py"])
@pytest.mark.parametrize("argument", ["-m", "--multirun", "hydra.mode=MULTIRUN"])
def test_a_sweep_of_another_command_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], script: str, argument: str
) -> None:
    """Before Hydra starts, which would write multirun.yaml."""
    monkeypatch.setattr(sys, "argv", [str(ROOT / script), argument])
    with pytest.raises(SystemExit) as end:
        run_command(lambda: pytest.fail("Hydra has started"))
    assert end.value.code == InputError.exit_code
    assert script in capsys.readouterr().err


@pytest.mark.parametrize("override", ["hydra/launcher=slurm", "+hydra.launcher.n_jobs=2"])
def test_a_launcher_is_for_what_launches(monkeypatch: pytest.MonkeyPatch, override: str) -> None:
    cases = {"train.py -m": True, "study.py": True, "train.py": False, "generate.py": False, "features.py": False}
    for command, is_accepted in cases.items():
        script, *flags = command.split()
        monkeypatch.setattr(sys, "argv", [str(ROOT / script), *flags, override])
        started: list[str] = []
        with nullcontext() if is_accepted else pytest.raises(SystemExit):
            run_command(partial(started.append, command))
        assert started == [command] * is_accepted


@pytest.mark.parametrize("command", ["train.py -m", "study.py", "train.py"])
def test_hydras_own_launcher_which_would_make_finished_runs_again_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    script, *flags = command.split()
    monkeypatch.setattr(sys, "argv", [str(ROOT / script), *flags, "hydra/launcher=basic"])
    with pytest.raises(SystemExit):
        run_command(lambda: pytest.fail("Hydra has started"))
    assert "hydra/launcher=processes" in capsys.readouterr().err


@pytest.mark.parametrize("flag", ["--config-dir {}", "--config-dir={}", "-cd {}"])
@pytest.mark.parametrize("file", ["stabilize/ema.yaml", "config.yaml"])
def test_a_file_of_the_users_that_hydra_would_not_read_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], flag: str, file: str
) -> None:
    """Hydra takes the first file of a name, which is that of the package."""
    monkeypatch.setattr(sys, "argv", [str(ROOT / "train.py"), *flag.format(tmp_path).split()])
    started: list[str] = []
    run_command(partial(started.append, "train.py"))
    (tmp_path / file).parent.mkdir(exist_ok=True)
    (tmp_path / file).touch()
    with pytest.raises(SystemExit):
        run_command(partial(started.append, "again"))
    assert started == ["train.py"]
    assert str(tmp_path / file) in capsys.readouterr().err
    with pytest.raises(InputError, match=file):
        gans.compose("data=digits", config_dir=tmp_path)


def test_the_packages_own_files_are_never_left_out(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", [str(ROOT / "train.py"), "--config-path", "/tmp"])
    with pytest.raises(SystemExit):
        run_command(lambda: pytest.fail("Hydra has started"))
    assert "--config-dir" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["train.py", "-cn", "generate"], "generate.py"),
        (["study.py", "--config-name=config"], "train.py"),
        (["train.py", "--package", "model"], "--cfg job"),
        (["train.py", "-p", "model", "seed=1"], "--cfg job"),
        (["train.py", "--experimental-rerun", "some.pickle"], "repeat the command"),
        (["train.py", "runs=caf\udcc3\udca9"], r"caf\\udcc3.*PYTHONUTF8=1"),
    ],
    ids=ascii,
)
def test_flags_of_no_use_and_unreadable_text_are_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    monkeypatch.setattr(sys, "argv", [str(ROOT / arguments[0]), *arguments[1:]])
    with pytest.raises(SystemExit) as end:
        run_command(lambda: pytest.fail("Hydra has started"))
    assert end.value.code == 2
    assert re.search(said, capsys.readouterr().err)


@pytest.mark.parametrize(
    "error",
    [MemoryError(), torch.OutOfMemoryError("CUDA out of memory"), RuntimeError("DefaultCPUAllocator: no memory")],
)
def test_want_of_memory_is_one_line_in_every_command(capsys: pytest.CaptureFixture[str], error: Exception) -> None:
    with pytest.raises(SystemExit) as end, one_line_errors():
        raise error
    assert end.value.code == InputError.exit_code
    assert re.fullmatch("error: out of memory: [^\n]+\n", capsys.readouterr().err)
    with pytest.raises(RuntimeError, match="a mistake of the code"), one_line_errors():
        raise RuntimeError("a mistake of the code")


def test_a_closed_output_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """As of ``python train.py >&-``, or a daemon."""
    monkeypatch.setattr(sys, "argv", [str(ROOT / "train.py")])
    for name in ("stdout", "stderr"):
        monkeypatch.setattr(sys, name, None)
    said: list[object] = []
    run_command(lambda: said.append((sys.stdout.isatty(), print("some", file=sys.stderr))))
    assert said == [(False, None)]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--epochs", "5"], "--epochs is no flag: options are written as name=value"),
        (["--multi", "seed=0,1"], "--multi is no flag"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_flags_of_other_programs_are_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    monkeypatch.setattr(sys, "argv", [str(ROOT / "train.py"), *arguments])
    with pytest.raises(SystemExit) as end:
        run_command(lambda: pytest.fail("Hydra has started"))
    assert end.value.code == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("command", ["seed=1 -m model=dcgan ~metric", "seed=1 model=dcgan ~metric -m",
                                     "seed=1 --config-dir mine -m model=dcgan ~metric", "-m seed=1 model=dcgan ~metric",
                                     "seed=1 model=dcgan --config-dir=my=folder ~metric",
                                     "seed=1 --config-dir my=folder -m model=dcgan ~metric",
                                     "seed=1 model=dcgan --config-name mine ~metric",
                                     "seed=1 model=dcgan ~metric --info"])  # fmt: skip
def test_flags_may_stand_anywhere(command: str) -> None:
    words = command.split()
    ordered = flags_last(words)
    assert ordered[:3] == ["seed=1", "model=dcgan", "~metric"]
    assert ordered[3:] == [word for word in words if word not in ordered[:3]]
    get_args_parser().parse_args(ordered)  # Hydra's


def test_what_flags_are_for_is_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[str] = []
    for arguments in (
        ["--cfg", "job", "--package", "model"],
        ["-c", "job", "-p", "model"],
        ["-cn", "mine"],
        ["-cn", "config"],
    ):
        monkeypatch.setattr(sys, "argv", [str(ROOT / "train.py"), *arguments])
        run_command(partial(started.append, "train.py"))
    assert len(started) == 4


def test_an_error_that_a_signal_causes_does_not_hide_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """A library may be in the midst of something, and its cleaning up fail."""
    monkeypatch.setattr(sys, "argv", [str(ROOT / "train.py")])

    def compose() -> None:
        try:
            signal.raise_signal(signal.SIGTERM)
        finally:
            raise AttributeError

    with pytest.raises(SystemExit) as end:
        run_command(compose)
    assert end.value.code == 128 + signal.SIGTERM


def test_sigterm_removes_what_is_half_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", [str(ROOT / "generate.py")])
    before = signal.getsignal(signal.SIGTERM)

    def write() -> None:
        with new_whole_folder(tmp_path / "new" / "made") as folder:
            try:
                (folder / "half").touch()
                os.kill(os.getpid(), signal.SIGTERM)
                (folder / "whole").touch()
            finally:
                os.kill(os.getpid(), signal.SIGTERM)  # again, as Linux may send it to a member

    with pytest.raises(SystemExit) as end:
        run_command(write)
    assert end.value.code == 128 + signal.SIGTERM
    assert not list(tmp_path.iterdir())
    assert signal.getsignal(signal.SIGTERM) == before


@pytest.mark.parametrize("script", ["train.py", "generate.py", "features.py", "study.py"])
@pytest.mark.parametrize("option", ["trainer.max_epochs", "data.limit", "count", "seeds", "run", "nothing"])
def test_an_unknown_option_is_never_suggested(monkeypatch: pytest.MonkeyPatch, script: str, option: str) -> None:
    monkeypatch.setattr(sys, "argv", [str(ROOT / script)])
    main = CONF / f"{'config' if script == 'train.py' else Path(script).stem}.yaml"
    own = flatten(
        OmegaConf.to_container(OmegaConf.load(main)) if script == "generate.py" else composed(config_name=main.stem)
    )
    if option not in own:
        assert f"'{option}'" not in suggestion(option, [*known_options(Path(script).stem)])


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16"])
def test_a_config_file_that_is_no_utf_8_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, encoding: str
) -> None:
    (tmp_path / "stabilize").mkdir()
    path = tmp_path / "stabilize" / "mine.yaml"
    path.write_text("# größer\nmine:\n  _target_: gans.stabilize.weights.EMA\n", encoding=encoding)
    said = rf"^'{path}' .*UTF-8[^\n]*$"
    with pytest.raises(InputError, match=said):
        gans.compose("data=digits", "stabilize=mine", config_dir=tmp_path)
    monkeypatch.setattr(sys, "argv", [str(ROOT / "train.py"), "--config-dir", str(tmp_path)])
    with pytest.raises(UnicodeDecodeError) as error:
        path.read_text(encoding="utf-8")
    assert re.match(said, message_of(error.value))
    with pytest.raises(UnicodeDecodeError):
        message_of(UnicodeDecodeError("utf-8", b"of a user's own code \xff", 21, 22, "wrong"))


@pytest.mark.parametrize(("command", "sweeps"), [("train", True), ("generate", False), ("study", False)])
def test_a_list_where_one_name_is_meant(monkeypatch: pytest.MonkeyPatch, command: str, sweeps: bool) -> None:
    monkeypatch.setattr(sys, "argv", [str(ROOT / f"{command}.py")])
    with pytest.raises(InputError, match="one choice") as error:
        check_overrides(["sampling=[all,drs]"])
    assert ("-m" in str(error.value)) == sweeps


@pytest.mark.parametrize(
    ("argument", "advice"),
    [("study=first_steps,games", "once for each"), ("sampling=all,drs", "once for each"), ("seed=1,2", "seed=[1,2]"),
     ("classes=3,7", "classes=[3,7]"), ("figures=fid,recall", "figures=[fid,recall]"),
     ("output=a,b", "once for each")],
)  # fmt: skip
def test_commands_without_sweeps_recommend_none(argument: str, advice: str) -> None:
    for command in ("study", "generate"):
        line = explain_text(f"Ambiguous value for argument '{argument}'", command)
        assert line.endswith(advice)


@pytest.mark.parametrize(("argument", "takes_list"), [("metric=fid,kid", True), ("data.size=16,32", False)])
def test_a_list_is_recommended_where_one_is_taken(argument: str, takes_list: bool) -> None:
    line = explain_text(f"Ambiguous value for argument '{argument}'", "evaluate")
    assert ("write a list as" in line) == takes_list


@pytest.mark.parametrize(
    "argument",
    mostly_slow(3, [
        "experiment=dragan,wgan", "model=dcgan,wgan", "optimizer=adam,sgd", "seed=1,2", "data.limit=100,200",
        "stabilize=ema,r1", "data.classes=3,8", "metric=fid,kid", "trainer.precision=32-true,bf16-mixed",
        "model.generator_optimizer.betas=0.5,0.9", "samples.epochs=1,2", "on_nan=stop,rollback",
    ]),
)  # fmt: skip
def test_for_several_values_only_what_works_is_recommended(argument: str) -> None:
    """A sweep always; a list where the option takes one."""
    line = explain_text(f"Ambiguous value for argument '{argument}'", "train")
    assert line.endswith(f"-m {argument}")
    takes_list = argument.startswith(("stabilize", "data.classes", "metric", "model.g", "samples"))
    recommended = re.findall(r"write a list as (\S+);", line)
    assert bool(recommended) == takes_list
    for override in recommended:
        gans.compose("data=digits", override)


@pytest.mark.parametrize("option", ["runs", "seed", "test", "log_every"])
def test_a_folder_named_as_an_option_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, option: str) -> None:
    """Hydra takes each folder in that of --config-dir for a group: runs/ appears there by itself."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    (tmp_path / option).mkdir()
    gans.compose("data=digits", config_dir=tmp_path)
    for refuse in (
        lambda: gans.compose("data=digits", f"{option}=3", config_dir=tmp_path),
        lambda: refuse_config_places(["data=digits", f"{option}=3", "--config-dir", str(tmp_path)]),
    ):
        with pytest.raises(InputError, match=re.escape(f"{option}=... is taken for a choice in '{tmp_path / option}'")):
            refuse()


MISTAKES = {
    "defaults:\n  - override /data: digits\n": r"experiment/mine\.yaml: .*# @package _global_",
    "# @package _global_\ndefaults:\n  - override /stabilise: ema\n": r"experiment/mine\.yaml: .*'stabilize'",
    "# @package _global_\ndefaults:\n  - /stabilize: ema\n": r"override /stabilize$",
    "# @package _global_\ndefaults:\n  - /data: mnist\n": r"override /data$",
    "trainer:\n  max_epochs: 5\n": r"# @package _global_",
    "# @package _global_\nstabilise: 5\n": r"unknown option 'stabilise' .*'stabilize'",
}


@pytest.mark.parametrize("text", MISTAKES)
def test_mistakes_in_an_experiment_of_ones_own_are_answered(tmp_path: Path, text: str) -> None:
    (tmp_path / "experiment").mkdir()
    (tmp_path / "experiment" / "mine.yaml").write_text(text)
    with pytest.raises(InputError, match=MISTAKES[text]):
        gans.compose("experiment=mine", config_dir=tmp_path)


@pytest.mark.parametrize(
    ("override", "instead"),
    [
        ("~stabilize", "stabilize=none"), ("~stabilize=wgan_gp", "stabilize=none"), ("~model", "another choice"),
        ("+experiment=wgan", r"\+"), ("+model=wgan", r"\+"), ("+stabilize=none", r"leave out the \+"),
    ],
)  # fmt: skip
def test_what_an_experiment_chooses_is_replaced_by_another_choice(override: str, instead: str) -> None:
    with pytest.raises(InputError, match=instead):
        gans.compose("data=digits", "experiment=wgan_gp", override)


@pytest.mark.parametrize("override", ["~metric", "~metric=kid", "~figure=curves", "~stabilize=ema"])
def test_leaving_out_one_of_several_says_how(override: str) -> None:
    """What Hydra can't do: without it the usual choices, and none, are what there is."""
    group = override.lstrip("~").partition("=")[0]
    with pytest.raises(InputError, match=rf"{group}=\[\.\.\.\], or {group}=none"):
        gans.compose("data=digits", override)
    assert gans.compose("data=digits", "~stabilize").stabilize == {}


@pytest.mark.slow
def test_what_is_typed_replaces_an_experiments_choices_with_their_options(tmp_path: Path) -> None:
    (tmp_path / "experiment").mkdir()
    (tmp_path / "experiment" / "mine.yaml").write_text(
        "# @package _global_\ndefaults:\n  - override /data: digits\n  - override /stabilize: [ema, r1]\n"
        "stabilize: {r1: {weight: 5}}\nmetric: {fid: {}}\n"
    )

    def composed_with(*overrides: str) -> dict[str, Any]:
        return gans.compose("experiment=mine", *overrides, config_dir=tmp_path).stabilize

    assert composed_with()["r1"]["weight"] == 5
    assert composed_with("stabilize=none") == {}
    assert [*composed_with("stabilize=ema")] == ["ema"]
    assert composed_with("stabilize=r1")["r1"]["weight"] == 5
    with pytest.raises(InputError, match=r"stabilize\.r1"):  # typed, so it must have an effect
        composed_with("stabilize=ema", "stabilize.r1.weight=2")


@pytest.mark.parametrize("argument", ["data=null", "+experiment=5", "metric={a: 1}"])
def test_a_group_without_a_name_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], argument: str
) -> None:
    monkeypatch.setattr(sys, "argv", ["train.py", "-m", "seed=1", "model=dcgan", argument])
    with pytest.raises(SystemExit), one_line_errors():
        raise ValueError("Config group override must be a string or a list. Got NoneType")
    assert capsys.readouterr().err.startswith(f"error: {argument}: ")


@pytest.mark.parametrize(
    "error",
    [YAMLError("line 3"), ValueError("Only one of --run, --multirun, --cfg"), ValueError("The --resolve flag can")],
)
def test_what_hydra_raises_for_a_wrong_command_or_file_is_one_line(
    error: Exception, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end, one_line_errors():
        raise error
    assert end.value.code == 2
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize(
    "override", ["stabilize=[ema,ema]", "metric=[fid,kid,fid]", "figure=[grids,grids]", "data=[mnist,digits]"]
)
def test_a_choice_is_named_once(monkeypatch: pytest.MonkeyPatch, override: str) -> None:
    with pytest.raises(InputError, match="choice"):
        check(monkeypatch, "seed=1", override)


@pytest.mark.parametrize("group", ["data", "model", "objective", "sampling", "trainer", "seed", "runs", "samples"])
def test_no_run_does_without_the_groups_of_one_choice(monkeypatch: pytest.MonkeyPatch, group: str) -> None:
    with pytest.raises(InputError, match=f"~{group}"):
        check(monkeypatch, f"~{group}")


@pytest.mark.parametrize("override", ["stabilize=[none,ema]", "metric=[fid,none]", "figure=[none,grids]"])
def test_none_stands_alone(monkeypatch: pytest.MonkeyPatch, override: str) -> None:
    check(monkeypatch, "stabilize=[none]", "metric=none")
    with pytest.raises(InputError, match="none"):
        check(monkeypatch, override)


@pytest.mark.parametrize(
    ("idle", "needed"),
    [
        ("rollbacks=5", "on_nan=rollback"),
        ("formats=[svg]", "figure=[grids]"),
        ("evaluated_images=9", "metric=[fid]"),
    ],
)
def test_an_option_that_needs_another_is_not_given_alone(idle: str, needed: str) -> None:
    others = ["data=digits", "figure=none", "metric=none"]
    gans.compose(*others, idle, needed)
    with pytest.raises(InputError, match=idle.partition("=")[0]):
        gans.compose(*others, idle)


@pytest.mark.parametrize("command", ["resume=run", "test=run", "draw=run"])
def test_a_new_run_needs_no_trust(command: str) -> None:
    refuse_idle(["trust=[mine]", command], composed("data=digits", "trust=[mine]", command))
    with pytest.raises(InputError, match="trust"):
        refuse_idle(["trust=[mine]"], composed("data=digits", "trust=[mine]"))


def test_drawing_no_figures_is_refused() -> None:
    with pytest.raises(InputError, match="draw=run draws nothing"):
        refuse_idle(["draw=run", "figure=none"], composed("data=digits", "figure=none", "draw=run"))


def test_what_has_an_effect_is_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    check(monkeypatch, "hydra.launcher.n_jobs=2", "hydra.mode=MULTIRUN", "stabilize=[ema,r1]", "data=digits", "seed=1")


@pytest.mark.parametrize("override", ["runs=/tmp/josé", "runs=a=b", "model=[dcgan", 'runs="a', "runs=a{b"])
def test_what_hydra_can_not_read_is_shown_with_quotes(override: str) -> None:
    with pytest.raises(OverrideParseException) as error:
        OverridesParser.create().parse_overrides([override])
    line = explain(error.value)
    assert "\n" not in line
    assert "ANTLR" not in line
    assert f"""'{override.replace("=", '="', 1)}"'""" in line or '\\"' in line


def test_a_list_that_hydra_can_not_read_is_shown_with_quotes_around_its_elements() -> None:
    with pytest.raises(OverrideParseException) as error:
        OverridesParser.create().parse_overrides(["classes=[großes Dreieck, fünf,'ö',3]"])
    shown = explain(error.value).partition("characters as ")[2]
    (override,) = OverridesParser.create().parse_overrides(shlex.split(shown))
    assert override.value() == ["großes Dreieck", "fünf", "ö", "3"]


@pytest.mark.parametrize("value", ["~/a", ["b", "~/a"], {"root": "~/a"}, "~", "~alice-b/a"])
def test_a_home_folder_that_no_shell_has_replaced_is_refused(monkeypatch: pytest.MonkeyPatch, value: Any) -> None:
    with pytest.raises(InputError, match=r"option.*~.*full path"):
        resolve(OmegaConf.create({"option": value}))
    monkeypatch.setenv("HOME", "/home/me")
    with pytest.raises(OverrideParseException) as error:
        OverridesParser.create().parse_overrides(["runs=~/a"])
    assert explain(error.value).endswith("""'runs="/home/me/a"'""")


@pytest.mark.parametrize("option", ["resume", "test", "runs", "data"])
def test_an_empty_value_is_not_the_current_folder(option: str) -> None:
    with pytest.raises(InputError, match=option):
        resolve(OmegaConf.create({option: {"root": ""} if option == "data" else ""}))


@pytest.mark.parametrize("group", ["stabilize", "metric", "figure"])
@pytest.mark.parametrize(
    ("chosen", "brought"), [("mine", {}), ("[mine,other]", {"other": {}}), ("[mine,other,third]", {"a": {}, "b": {}})]
)
def test_a_choice_whose_file_brings_nothing_is_refused(group: str, chosen: str, brought: dict[str, Any]) -> None:
    """Its file is empty, or has the key of another: either way a run would be without what was asked for."""
    with pytest.raises(InputError, match="empty"):
        refuse_empty_choices([f"{group}={chosen}"], {group: brought})
    refuse_empty_choices([f"{group}=none", "seed=1", f"{group}.a.weight=2"], {group: {}})
    refuse_empty_choices([f"{group}={chosen}"], {group: {"x": {}, "y": {}, "z": {}}})


@pytest.mark.parametrize(
    "text",
    [
        "defaults:\n  override /data: digits\n",
        "defaults:\n  - override /data: digits\n    override /model: wgan\n",
        "defaults:\n  - override /stabilize: {ema: 1}\n",
        "defaults:\n  -\n",
    ],
)
def test_defaults_that_hydra_can_not_read_are_one_line(tmp_path: Path, text: str) -> None:
    (tmp_path / "experiment").mkdir()
    (tmp_path / "experiment" / "mine.yaml").write_text(f"# @package _global_\n{text}")
    with pytest.raises(InputError) as error:
        gans.compose("experiment=mine", config_dir=tmp_path)
    assert "\n" not in str(error.value)


def test_a_list_of_choices_is_not_removed() -> None:
    with pytest.raises(InputError, match="takes no list"):
        gans.compose("data=digits", "~stabilize=[ema,r1]")


def test_a_comma_in_a_path_may_be_meant() -> None:
    assert """takes quotes: 'runs="/img/cats,dogs"'""" in explain_comma("runs=/img/cats,dogs", "train", is_typed=True)
    assert "quotes" not in explain_comma("seed=1,2", "train", is_typed=True)
