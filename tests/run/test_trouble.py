"""What can happen to a run's folder, disk and process, and how it is answered."""

import errno
import os
import re
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy
import pytest
import torch
from lightning.pytorch.utilities import rank_zero_only
from omegaconf import OmegaConf

from gans.config.command_line import stopped_by_signals
from gans.errors import InputError, InterruptedTraining
from gans.gan import GAN
from gans.metrics.fid import FID
from gans.run import commands, slurm
from gans.run.checkpoint_files import VerifiedCheckpointIO, checkpoint_path, checkpoints_in
from gans.run.commands import start_or_requeued, start_resume_or_return
from gans.run.folder import RunFolder, runs_in
from gans.run.generate import generate
from gans.run.history import Event, History
from gans.run.lock import lock
from gans.run.output import new_folder
from tests.configs import narrow, run_config
from tests.run.runs import (
    NAME,
    STEPS,
    Crash,
    assert_same_training,
    checkpoint,
    do_at,
    only_run,
    request,
    resume,
    start,
    stopped_run,
    tiny,
)
from tests.run.runs import test_again as retest
from tests.run.test_checkpoint_files import Payload

Unbroken = Callable[..., RunFolder]


def flip_a_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def replace_checkpoint(run: RunFolder, contents: object) -> None:
    """Leave one last checkpoint, with other contents, which is whole."""
    for path in checkpoints_in(run.checkpoints, "last"):
        path.unlink()
    buffer = run.checkpoints / "buffer"
    torch.save(contents, buffer)
    if isinstance(contents, dict):
        buffer.unlink()
        VerifiedCheckpointIO().save_checkpoint(contents, checkpoint_path(run.checkpoints, "last", 5))
    else:
        buffer.rename(run.checkpoints / f"last_0000005_{'0' * 32}.ckpt")


# --- damage -----------------------------------------------------------------------------------------------------------


def test_a_damaged_checkpoint_costs_the_steps_since_the_one_before(
    unbroken: Unbroken, stopped: RunFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    newest = checkpoints_in(stopped.checkpoints, "last")[0]
    flip_a_bit(newest)
    assert_same_training(unbroken(), resume(stopped))
    captured = capsys.readouterr()
    assert re.search(rf"^warning: .*{newest.name}.* damaged", captured.err, re.MULTILINE)
    assert stopped.history.events[-2]["training_step"] == 4


@pytest.mark.parametrize("again", [resume, retest])
def test_without_a_whole_checkpoint_the_run_is_refused(
    again: Callable[[RunFolder], object], stopped: RunFolder
) -> None:
    for path in checkpoints_in(stopped.checkpoints, "last"):
        flip_a_bit(path)
    for _ in range(2):  # also when the damaged ones have been set aside
        with pytest.raises(InputError, match="checkpoint"):
            again(stopped)


DAMAGE = {
    "metrics.csv": ["step,epoch,train/generator_loss\n1,0.5,0.4x\n", "a,b\n1,2\n", "\x00\x01"],
    "history.json": ["{}", "null", '[1, {"event": "started"}]', '[{"a": 1}, {"event": "started"}]'],
    "floors.json": ["{", "[]", '{"fid_9_a1": "x"}'],
}


@pytest.mark.parametrize(("name", "content"), [(name, text) for name, texts in DAMAGE.items() for text in texts])
def test_a_damaged_record_is_named_where_it_is_read(stopped: RunFolder, name: str, content: str) -> None:
    (stopped.path / name).write_text(content)
    with pytest.raises(InputError, match=name):
        _ = (stopped.history, stopped.curves, stopped.floors)


def test_curves_without_a_point_are_left_out_and_too_long_rows_too(stopped: RunFolder) -> None:
    stopped.metrics_file.write_text("step,epoch,train/a,train/b\n1,0.5,2,\n2,1,3,,,9\n")
    assert {name: curve["value"].tolist() for name, curve in stopped.curves.items()} == {"train/a": [2.0]}
    assert stopped.last_step == 1


def test_a_run_that_stopped_before_its_first_checkpoint_begins_anew(unbroken: Unbroken, stopped: RunFolder) -> None:
    for path in (*stopped.checkpoints.iterdir(), *stopped.tensorboard.iterdir(), stopped.metrics_file):
        path.unlink()
    with pytest.raises(InputError, match="checkpoint"):
        retest(stopped)
    assert_same_training(unbroken(), resume(stopped))


@pytest.mark.parametrize("name", ["data.npz", "step_0000000.npz"])
@pytest.mark.slow
def test_damaged_samples_cost_only_their_figures(
    stopped: RunFolder, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    figures = run_config(*tiny("figure=[data_set,grids]")).figure
    OmegaConf.save(stopped.config | {"figure": figures}, stopped.config_file)
    (stopped.path / "samples" / name).write_bytes(b"\xff\x00 damaged {")
    resume(stopped)
    assert stopped.history.last == "finished"
    assert f"{name}' is damaged" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["history.json", "versions.json", "config.yaml"])
@pytest.mark.slow
def test_a_damaged_file_is_named(stopped: RunFolder, name: str) -> None:
    (stopped.path / name).write_bytes(b"\xff\x00 damaged {")
    with pytest.raises(InputError, match=name) as error:
        resume(stopped)
    assert "\n" not in str(error.value)
    if name != "config.yaml":
        (stopped.path / name).unlink()  # as it says
        resume(stopped)
        assert stopped.history.last == "finished"


def test_lost_samples_of_a_finished_run_are_written_by_a_test(stopped: RunFolder) -> None:
    resume(stopped)
    lost = stopped.samples_file("data")
    lost.unlink()
    with pytest.raises(InputError, match=r"train\.py test="):
        _ = RunFolder(stopped.path).data_samples
    retest(stopped)
    assert lost.is_file()


@pytest.mark.parametrize("content", ["other arrays", "one array"])
def test_samples_with_other_arrays_are_named(stopped: RunFolder, content: str) -> None:
    """Whichever file of samples and whoever reads it."""
    names = ["data", "step_0000000", "pairs", "neighbours", "mode_count"]
    files = {name: stopped.samples_file(name) for name in names}
    read: dict[str, Callable[[RunFolder], object]] = {
        "data": lambda run: run.data_samples,
        "step_0000000": lambda run: run.grids,
        "pairs": lambda run: run.pairs and run.pairs["inputs"],
        "neighbours": lambda run: run.neighbours and run.neighbours["images"],
        "mode_count": lambda run: run.mode_counts and run.mode_counts["counts"],
    }
    for name, path in files.items():
        with path.open("wb") as file:
            numpy.savez(file, other=[1]) if content == "other arrays" else numpy.save(file, [1])
        with pytest.raises(InputError, match=path.name) as error:
            read[name](RunFolder(stopped.path))
        assert "\n" not in str(error.value)


def test_lost_curves_are_announced(stopped: RunFolder, capsys: pytest.CaptureFixture[str]) -> None:
    (events,) = stopped.tensorboard.glob("*tfevents*")
    events.write_bytes(events.read_bytes()[:100])
    rows = stopped.metrics_file.read_text().splitlines(keepends=True)
    stopped.metrics_file.write_text("".join(rows[:2]))
    copy = RunFolder(shutil.copytree(stopped.path, stopped.path.with_name("copy")))
    next(copy.tensorboard.glob("*tfevents*")).unlink()
    copy.metrics_file.write_bytes(b"\xff\x00 damaged {")
    for run in (stopped, copy):
        resume(run)
        warnings = capsys.readouterr().err.splitlines()
        gaps = [line for line in warnings if line.startswith("warning: ") and "gap" in line]
        assert any("metrics.csv" in line for line in gaps)
        assert any(events.name in line for line in gaps)


@pytest.mark.parametrize("name", ["history.json", "versions.json", "floors.json", "config.yaml"])
def test_damage_that_nothing_repairs_is_found_before_anything_is_changed(stopped: RunFolder, name: str) -> None:
    (stopped.path / name).write_text("{")
    before = {path: path.read_bytes() for path in stopped.path.rglob("*") if path.is_file() and path.name != ".lock"}
    with pytest.raises(InputError, match=name):
        resume(stopped)
    after = {path: path.read_bytes() for path in stopped.path.rglob("*") if path.is_file() and path.name != ".lock"}
    assert after == before


def test_a_file_that_can_not_be_read_is_not_told_as_one_that_can_not_be_written(tmp_path: Path) -> None:
    def read_nothing(_: object) -> None:
        (tmp_path / "data of mine").read_bytes()

    with pytest.MonkeyPatch.context() as patch:
        do_at(patch, "between the players", 3, read_nothing)
        with pytest.raises(InputError, match=r"No such file.*data of mine.*resume=") as error:
            start(tmp_path)
    assert "write" not in str(error.value)
    assert only_run(tmp_path).history.last == "stopped"


@pytest.mark.slow
def test_a_feature_network_that_was_trained_anew_is_told(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    run = stopped_run(tmp_path, "metric=[fid]", "samples.frames=1")
    resume(run)
    assert "another feature network" not in capfd.readouterr().err
    now = {event["features_sha256"] for event in RunFolder(run.path).history.events if "features_sha256" in event}
    assert len(now) == 1
    text = (run.path / "history.json").read_text(encoding="utf-8")
    (run.path / "history.json").write_text(text.replace(now.pop(), "f" * 64), encoding="utf-8")
    resume(run, budget={"max_epochs": 3})
    assert "another feature network" in capfd.readouterr().err


def test_files_in_a_run_folder_mean_the_run(stopped: RunFolder) -> None:
    checkpoint_file = checkpoints_in(stopped.checkpoints, "last")[0]
    for path in (stopped.path, stopped.config_file, stopped.checkpoints, checkpoint_file):
        assert RunFolder.around(path).path == stopped.path
    for path in (stopped.path.parent, stopped.path / "nothing", stopped.path.parent / "nothing"):
        with pytest.raises(InputError):
            RunFolder.around(path)


def test_an_older_versions_run_is_refused(stopped: RunFolder) -> None:
    """Its checkpoints had other names, and its config did not know all options."""
    config = {name: value for name, value in stopped.config.items() if name != "figure"}
    checkpoints_in(stopped.checkpoints, "last")[0].rename(stopped.checkpoints / "last.ckpt")
    for path in checkpoints_in(stopped.checkpoints, "last"):
        path.unlink()
    for again in (resume, retest):
        with pytest.raises(InputError, match="checkpoint"):
            again(stopped)
    for older in (config, {"seed": 0}):
        OmegaConf.save(older, stopped.config_file)
        for again in (resume, retest):
            with pytest.raises(InputError, match=rf"{stopped.name}.*missing") as error:
                again(RunFolder(stopped.path))
            assert "\n" not in str(error.value)


def test_a_checkpoint_of_another_model_or_version_is_refused(stopped: RunFolder, unbroken: Unbroken) -> None:
    contents = checkpoint(stopped)
    weight = next(name for name in contents["state_dict"] if name.startswith("discriminator"))
    renamed = contents["state_dict"] | {f"{weight}.old": contents["state_dict"][weight]}
    for other, message in (
        (contents | {"state_dict": renamed}, f"{weight}.old"),
        (contents | {"file_positions": None}, "not a checkpoint of this package"),
        (checkpoint(unbroken("model=dcgan", *narrow("model=dcgan"))), "model"),
    ):
        replace_checkpoint(stopped, other)
        before = {path: path.read_bytes() for path in stopped.path.rglob("*") if path.is_file()}
        with pytest.raises(InputError, match=message):
            resume(stopped)
        assert {path: path.read_bytes() for path in before} == before


@pytest.mark.parametrize(
    ("group", "option", "value"),
    [("", "seed", 9), ("data", "batch_size", 4), ("model", "latent_noise", 1), ("trainer", "precision", "bf16-mixed"),
     ("objective", "_target_", "gans.objectives.BinaryCrossEntropy"), ("stabilize", "ema", {"_target_": "gans.x"})],
)  # fmt: skip
def test_a_config_that_was_changed_by_hand_is_refused(stopped: RunFolder, group: str, option: str, value: Any) -> None:
    """It would say what the run was not trained with. Where the images are may be changed, and how long it trains."""
    kept = stopped.config
    changed = {option: value} if not group else {group: kept[group] | {option: value}}
    RunFolder.create(stopped.path, kept | changed)
    with pytest.raises(InputError, match=option):
        commands.last_checkpoint(RunFolder(stopped.path))
    RunFolder.create(stopped.path, kept | {"trainer": kept["trainer"] | {"max_epochs": 99}})
    assert commands.last_checkpoint(RunFolder(stopped.path))


# --- the disk ---------------------------------------------------------------------------------------------------------


def test_a_deleted_folder_ends_the_run_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    do_at(monkeypatch, "between the players", 3, lambda _: shutil.rmtree(tmp_path / "runs"))
    with pytest.raises(InputError, match=r"^No such file or directory: .*resume=") as error:
        start(tmp_path / "runs")
    assert "\n" not in str(error.value)
    assert not (tmp_path / "runs").exists()


def full_disk(_: int) -> None:
    """In place of ``os.fsync``."""
    raise OSError(28, "No space left on device")


@pytest.mark.slow
def test_a_wrong_metric_costs_no_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that only the final test computes."""
    options = ("metric=[fid]", "metric.fid.during_training=false")
    with monkeypatch.context() as patch:
        patch.setattr(FID, "compute", lambda *_: 0.5)
        with pytest.raises(
            InputError, match=r"FID.compute returns a float.* go on with: python \S*train.py resume=\S+$"
        ):
            start(tmp_path, *options)
    run = only_run(tmp_path)
    assert (run.history.last, checkpoint(run)["training_steps"]) == ("stopped", STEPS)
    assert resume(run).history.last == "finished"


def test_a_full_disk_ends_the_run_in_one_line(
    unbroken: Unbroken, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        do_at(patch, "between the players", 3, lambda _: patch.setattr(os, "fsync", full_disk))
        with pytest.raises(InputError, match=r"^No space left on device: .*resume="):
            start(tmp_path)
    run = only_run(tmp_path)
    assert not list(run.path.rglob("*.part"))
    assert_same_training(unbroken(), resume(run))


def test_a_run_that_a_full_disk_lets_not_start_leaves_no_folder(tmp_path: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", full_disk)
        with pytest.raises(OSError, match=r"config\.yaml"):
            start(tmp_path / "runs")
    assert not list(tmp_path.iterdir())


def test_a_place_that_cannot_be_written_is_refused_before_anything_runs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    for place in (tmp_path / "file", Path("/proc/runs")):
        with pytest.raises(InputError, match=f"'{place}/"):
            start(place)
    assert capsys.readouterr().out == ""


def test_a_repeated_signal_does_not_keep_the_first_from_being_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As Linux sends it when the leader of a sweep is killed, for each of its threads."""
    add = History.add

    def interrupted(history: History, event: Event, **facts: Any) -> None:
        if event == "stopped":
            signal.raise_signal(signal.SIGTERM)
        add(history, event, **facts)

    monkeypatch.setattr(History, "add", interrupted)
    with monkeypatch.context() as patch, stopped_by_signals():
        do_at(patch, "between the players", 3, lambda _: signal.raise_signal(signal.SIGTERM))
        with pytest.raises(InterruptedTraining, match="resume="):
            start(tmp_path)
    assert only_run(tmp_path).history.last == "stopped"


def test_parts_of_files_that_a_killed_process_left_are_removed(stopped: RunFolder) -> None:
    (stopped.checkpoints / ".last_0000006_0.ckpt-abc.part").touch()
    resume(stopped)
    assert not list(stopped.path.rglob("*.part"))


# --- several processes ------------------------------------------------------------------------------------------------


def test_two_processes_never_write_to_one_run(stopped: RunFolder) -> None:
    with lock(stopped.path):
        for again in (resume, retest):
            with pytest.raises(InputError, match="locked"):
                again(stopped)
    resume(stopped)


def test_a_variable_of_a_cluster_takes_no_curves_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lightning reads SLURM_PROCID, RANK and others when it is imported, as the number of a process among several."""
    monkeypatch.setattr(rank_zero_only, "rank", 3)
    assert list(start(tmp_path, "trainer.max_steps=1").tensorboard.glob("*tfevents*"))


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP])
def test_a_file_system_without_locks_is_told_in_a_line(
    tmp_path: Path, number: int, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def flock(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("fcntl.flock", flock)
    with pytest.raises(Crash), lock(tmp_path):
        raise Crash
    (line,) = capfd.readouterr().err.splitlines()
    assert "no locks" in line


def test_members_of_two_sweeps_never_start_the_same_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The other one starts it while this one builds its networks."""
    config = run_config(*tiny(), f"runs={tmp_path}")
    build = commands.build_run

    def build_slowly(*arguments: Any, **options: Any) -> Any:
        built = build(*arguments, **options)
        if not runs_in(tmp_path):
            RunFolder.create(new_folder(tmp_path, NAME), config.model_dump())
        return built

    monkeypatch.setattr(commands, "build_run", build_slowly)
    with pytest.raises(InputError, match="another process"):
        start_resume_or_return(config, NAME)
    assert only_run(tmp_path).history.events == []


def test_a_member_of_a_sweep_starts_resumes_or_returns(
    unbroken: Unbroken, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = run_config(*tiny(), f"runs={tmp_path}")
    with monkeypatch.context() as patch:
        do_at(patch, "between the players", 5, lambda _: signal.raise_signal(signal.SIGTERM))
        with pytest.raises(InterruptedTraining):
            start_resume_or_return(config, NAME)
    runs = [start_resume_or_return(config, NAME) for _ in range(2)]
    assert runs == [only_run(tmp_path)] * 2
    assert [event["event"] for event in runs[0].history.events] == ["started", "stopped", "resumed", "finished"]
    assert_same_training(unbroken(), runs[0])


@pytest.fixture
def job_of_slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """This process is job 7; returns the script in the place of scontrol, which writes down what it is asked."""
    scontrol = tmp_path / "bin" / "scontrol"
    scontrol.parent.mkdir()
    scontrol.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/asked\n')
    scontrol.chmod(0o755)
    monkeypatch.setenv("PATH", f"{scontrol.parent}:{os.environ['PATH']}")
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    monkeypatch.setenv("SLURM_NTASKS", "3")
    return scontrol


@pytest.mark.slow
@pytest.mark.usefixtures("job_of_slurm")
def test_a_slurm_job_is_requeued_and_resumes_by_itself(
    unbroken: Unbroken, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = run_config(*tiny(), f"runs={tmp_path / 'runs'}")
    with monkeypatch.context() as patch:
        do_at(patch, "between the players", 4, lambda _: signal.raise_signal(signal.SIGUSR1))
        with pytest.raises(InterruptedTraining, match="job 7") as stop, slurm.requeuing():
            start_or_requeued(config, NAME)
    assert stop.value.exit_code == 128 + signal.SIGUSR1
    assert (tmp_path / "asked").read_text() == "requeue 7\n"

    monkeypatch.setenv("SLURM_RESTART_COUNT", "1")
    run = start_or_requeued(config, NAME)
    assert run == only_run(tmp_path / "runs")
    assert [event["event"] for event in run.history.events] == ["started", "stopped", "resumed", "finished"]
    assert_same_training(unbroken(), run)

    assert start_or_requeued(config, NAME) == run  # requeued again, in another of its runs

    monkeypatch.setenv("SLURM_JOB_ID", "8")  # another job starts a run of its own
    assert start_or_requeued(config, NAME).path.name == f"{run.name}_2"


def test_a_slurm_job_is_requeued_before_training_too(
    job_of_slurm: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """As while data are read. SLURM then sends SIGTERM to what it requeues, and may send its own signal again."""
    with job_of_slurm.open("a") as script:
        script.write("kill -TERM $PPID; kill -USR1 $PPID\n")

    def read(*_: object) -> None:
        signal.raise_signal(signal.SIGUSR1)

    monkeypatch.setattr("gans.data.digits.Digits.read", read)
    handlers = [signal.getsignal(number) for number in slurm.stop_signals()]
    try:
        with (
            pytest.raises(InterruptedTraining, match="stopped by SIGUSR1: job 7 is requeued") as stop,
            slurm.requeuing(),
        ):
            start(tmp_path / "runs")
        assert stop.value.exit_code == 128 + signal.SIGUSR1
        assert (tmp_path / "asked").read_text() == "requeue 7\n"
    finally:
        for number, handler in zip(slurm.stop_signals(), handlers, strict=True):
            signal.signal(number, handler)


def test_a_requeue_that_fails_is_reported(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SLURM_ARRAY_JOB_ID", "3")
    monkeypatch.setenv("SLURM_ARRAY_TASK_ID", "5")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert slurm.job() == "3_5"
    assert "scontrol requeue 3_5" in slurm.requeue()
    assert "failed" in slurm.requeue()


def test_a_change_of_software_is_announced(stopped: RunFolder, capsys: pytest.CaptureFixture[str]) -> None:
    path = stopped.versions_file
    path.write_text(re.sub(r'"torch": "[^"]+"', '"torch": "1.0"', path.read_text()))
    resume(stopped)
    assert re.search(r"^warning: .*torch was 1.0 and is ", capsys.readouterr().err, re.MULTILINE)


# --- other people's files ---------------------------------------------------------------------------------------------


def test_a_checkpoint_with_other_contents_is_refused_and_runs_nothing(
    stopped: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for contents in (
        Payload(),
        [1, 2],
        {"state_dict": {}, "config": {}, "training_steps": 3},
        {"state_dict": [], "config": {}, "training_steps": 3},
        checkpoint(stopped) | {"file_positions": {"rows": "many", "events": {}}},
    ):
        replace_checkpoint(stopped, contents)
        with pytest.raises(InputError) as error:
            resume(stopped)
        assert "\n" not in str(error.value)
        for path in stopped.checkpoints.glob("*.damaged"):
            path.unlink()
    assert not (tmp_path / "owned").exists()


def test_checkpoints_may_lie_on_another_disk(stopped: RunFolder, tmp_path: Path) -> None:
    """As people move what is large, and leave a link in its place."""
    stopped.checkpoints.symlink_to(stopped.checkpoints.rename(tmp_path / "scratch"))
    resume(stopped)
    assert stopped.checkpoints.is_symlink()
    assert RunFolder(stopped.path).history.last == "finished"
    retest(stopped)
    generate(request(stopped.path))


def test_names_in_a_checkpoint_reach_no_file_outside(stopped: RunFolder, tmp_path: Path) -> None:
    victim = tmp_path / "victim.tfevents"
    victim.write_text("precious")
    contents = checkpoint(stopped)
    contents["file_positions"]["events"] = {"../../../victim.tfevents": 3, str(victim): 3}
    replace_checkpoint(stopped, contents)
    resume(stopped)
    assert victim.read_text() == "precious"


def test_an_unexpected_error_leaves_a_run_that_resumes(
    unbroken: Unbroken, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where resuming it fails again."""

    def crash(_: GAN) -> None:
        raise Crash

    with monkeypatch.context() as patch:
        do_at(patch, "between the players", 3, crash)
        with pytest.raises(Crash):
            start(tmp_path)
    with monkeypatch.context() as patch:
        do_at(patch, "in the final test", 6, crash)
        with pytest.raises(Crash):
            resume(only_run(tmp_path))
    assert_same_training(unbroken(), resume(only_run(tmp_path)))


@pytest.mark.parametrize("step", [1, 5])
def test_want_of_memory_is_one_line_and_the_run_resumes(tmp_path: Path, step: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        do_at(patch, "between the players", step, lambda _: torch.empty(1 << 50))
        with pytest.raises(InputError, match=r"^out of memory: [^\n]*smaller data.batch_size[^\n]* resume="):
            start(tmp_path)
    run = only_run(tmp_path)
    assert run.history.last == "stopped"
    assert resume(run).history.last == "finished"


def test_a_member_that_resumes_keeps_the_spacing_of_its_points(tmp_path: Path) -> None:
    """Else one curve would have means over different numbers of steps."""
    run = stopped_run(tmp_path, "log_every=2")
    start_resume_or_return(run_config(*tiny("log_every=1", f"runs={tmp_path}")), NAME)
    steps = RunFolder(run.path).curve("train/discriminator_loss")[0]
    assert steps.tolist() == [2, 4, 6]
