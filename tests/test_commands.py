"""The commands as processes: exit codes, one line on stderr, and what is typed in the README."""

import os
import re
import resource
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from gans.config.shell import shell_command
from gans.errors import InputError, InterruptedTraining
from gans.run import commands
from gans.run.checkpoint_files import checkpoints_in, is_whole
from gans.run.folder import RunFolder
from tests.configs import CONF, ROOT, composed
from tests.forked import Command, run
from tests.run.runs import checkpoint, do_at, only_run, resume, tiny
from tests.study.synthetic import write_run

SMALL = tiny("trainer.max_steps=2")


def command(name: str, *arguments: str) -> list[str]:
    return [sys.executable, str(ROOT / name), *arguments]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (["data.limit=0"], r"data\.limit=0"),
        *(
            pytest.param(["-m", *wrong], said, marks=pytest.mark.slow)
            for wrong, said in [
                (["seed=1,2", "data.limit=0"], r"data\.limit=0"),
                (["stabilize=none,emma"], "stabilize 'emma'"),
                (["seed=1,2", "hydra.sweeper.max_batch_size=1"], "a sweep takes all its members"),
            ]
        ),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_bad_input_is_one_line_and_leaves_nothing(tmp_path: Path, wrong: list[str], said: str) -> None:
    """tests/config asks for many kinds of it, in one process."""
    done = run(tmp_path, "train.py", "data=digits", *wrong)
    assert (done.returncode, done.stdout) == (2, "")
    assert re.fullmatch(rf"error: [^\n]*{said}[^\n]+\n", done.stderr), done.stderr
    assert not list(tmp_path.iterdir())


def test_output_that_nobody_reads_is_no_error(tmp_path: Path) -> None:
    script = f"{shlex.join(command('train.py', '--cfg', 'job'))} | true; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", script], cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (141, "")


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("train.py", ["--help"]),
        ("train.py", ["data=dgits"]),
        ("generate.py", []),
        *(
            pytest.param(name, arguments, marks=pytest.mark.slow)
            for name, arguments in [
                ("train.py", ["--cfg", "job"]),
                ("train.py", ["resume=nowhere", "seed=5", "model=acgan"]),
                ("generate.py", ["--help"]),
                ("export.py", ["fromat=onnx"]),
                ("explore.py", ["--help"]),
                ("features.py", ["--help"]),
                ("features.py", ["data.rot=here"]),
            ]
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else " ".join(value),
)
def test_help_and_misspelt_options_do_not_wait_for_torch(name: str, arguments: list[str]) -> None:
    python = [sys.executable, "-X", "importtime", str(ROOT / name)]
    done = subprocess.run([*python, *arguments], capture_output=True, text=True)
    imported = re.findall(r"^import time: .*\| +(\S+)$", done.stderr, re.MULTILINE)
    assert "hydra" in imported
    assert not {"torch", "lightning", "matplotlib"} & set(imported)
    errors = [line for line in done.stderr.splitlines() if not line.startswith("import time")]
    helped = {"--help", "--cfg"} & set(arguments)
    assert done.returncode == (0 if helped else 2)
    assert [line.split(":")[0] for line in errors] == ([] if helped else ["error"])


@pytest.mark.slow
def test_the_commands_of_the_readme(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MPLBACKEND", "unknown")  # of windows, which no command opens

    done = run(tmp_path, "train.py", *SMALL, "stabilize=noisy_labels")
    assert done.returncode == 0, done.stderr
    folder = only_run(tmp_path / "runs").path.relative_to(tmp_path)
    assert str(folder) in done.stdout.splitlines()[-1]
    assert "cpu" in done.stdout.splitlines()[0]
    done = subprocess.run(
        command("generate.py", f"run={folder}", "count=7"), cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert str(folder / "generated") in done.stdout
    assert (tmp_path / folder / "generated" / "grid.png").is_file()


OUTSIDE = '''
import torch
from gans.stabilize.base import Stabilizer


class Louder(Stabilizer):
    """Counts what it does."""

    def __init__(self, factor: float = 2.0) -> None:
        super().__init__()
        self.factor = factor
        self.register_buffer("steps", torch.zeros(()))
        self.names = []

    def after_discriminator(self, gan, batches) -> None:
        self.steps += 1
        self.names.append("after")

    def get_extra_state(self):
        return {"names": self.names, "count": len(self.names)}

    def set_extra_state(self, state) -> None:
        self.names = state["names"]


def draw(run, folder):
    (folder.path / "mine.txt").write_text(run.name)
'''


@pytest.mark.slow
def test_classes_outside_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A user's folder holds a module, a stabilizer and a figure. Someone else who resumes the run must trust them."""
    mine = tmp_path / "mine"
    for group, node in {"stabilize": "louder:\n  _target_: my_ideas.Louder\n  factor: 3.0\n",
                        "figure": "mine:\n  _target_: my_ideas.draw\n"}.items():  # fmt: skip
        (mine / group).mkdir(parents=True)
        (mine / group / f"{next(iter(node.split(':')))}.yaml").write_text(node)
    (mine / "my_ideas.py").write_text(OUTSIDE)
    arguments = ["--config-dir", str(mine), *tiny("trainer.max_steps=2", "stabilize=louder", "figure=mine")]
    done = run(tmp_path, "train.py", *arguments)
    assert done.returncode == 0, done.stderr
    made = only_run(tmp_path / "runs")
    assert "-louder-" in made.name
    assert (made.figures / "mine.txt").read_text() == made.name

    monkeypatch.syspath_prepend(mine)
    with pytest.raises(InputError, match=r"trust=\[my_ideas\]"):
        resume(made, budget={"max_steps": 3})
    assert "my_ideas" not in sys.modules
    resume(made, trust=("my_ideas",), budget={"max_steps": 3})
    assert [event["event"] for event in made.history.events] == ["started", "finished", "resumed", "finished"]
    state = checkpoint(made)["state_dict"]
    (saved,) = (value for name, value in state.items() if name.endswith("_extra_state"))
    assert saved == {"names": ["after"] * 3, "count": 3}


FOREVER = tiny("trainer.max_epochs=null", "trainer.max_steps=100000", "samples.frames=1", "checkpoint.every_steps=1")


@pytest.mark.parametrize(
    ("number", "exit_code"), [(signal.SIGTERM, 143), pytest.param(signal.SIGINT, 130, marks=pytest.mark.slow)]
)
def test_a_signal_saves_and_says_how_to_resume(tmp_path: Path, number: signal.Signals, exit_code: int) -> None:
    process = Command(tmp_path, "train.py", *FOREVER)
    folder = tmp_path / "runs" / "digits-limit24-autoencoder-msle-none-100000steps-seed0"
    while not (folder / "checkpoints").is_dir() or len(checkpoints_in(folder / "checkpoints", "last")) < 2:
        assert process.returncode is None
        time.sleep(0.1)
    process.send_signal(number)
    _, errors = process.communicate()
    assert process.returncode == exit_code
    assert errors.splitlines()[-1].endswith(f"train.py resume={folder.relative_to(tmp_path)}")
    assert all(is_whole(path) for path in checkpoints_in(folder / "checkpoints", "last"))
    assert RunFolder(folder).history.last == "stopped"


@pytest.mark.slow
@pytest.mark.parametrize("asked", [["seed=1"], ["resume=runs/run"], ["test=runs/run"]])
def test_a_member_whose_leader_has_gone_stops(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked: list[str]
) -> None:
    write_run(tmp_path / "runs" / "run", composed("data=digits", "model=dcgan"), {"fid": 1.0})
    monkeypatch.setenv("GANS_SWEEP_LEADER", "999999999")
    done = run(tmp_path, "train.py", *asked)
    assert (done.returncode, done.stdout) == (143, "")
    assert "the process that leads the sweep is gone" in done.stderr


@pytest.mark.slow
def test_a_full_disk_ends_in_one_line_and_the_run_resumes(tmp_path: Path) -> None:
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (10**6, 10**6))  # writing more fails as on a full disk

    done = subprocess.run(command("train.py", *SMALL), cwd=tmp_path, capture_output=True, text=True, preexec_fn=limit)
    assert done.returncode == 2
    assert re.fullmatch(r"error: File too large: .*resume=\S+", done.stderr.splitlines()[-1])
    assert "Traceback" not in done.stderr
    made = only_run(tmp_path / "runs")
    assert not list((made.path / "checkpoints").iterdir())
    done = run(tmp_path, "train.py", f"resume={made.path}")
    assert done.returncode == 0, done.stderr
    assert made.history.last == "finished"


NASTY = "my 'runs', [\"$HOME\"] ${x} {é} a=b"
MY_DATA = '''
from gans.data.digits import Digits


class Mine(Digits):
    source = "mine"

    def __init__(self, root: str, **options) -> None:
        super().__init__(**options)
        self.root = root

    def read(self):
        """A few images with labels of others, so that no feature network is of use."""
        train, test = (images._replace(labels=images.labels.roll(7)) for images in super().read())
        return train.select(train.labels.argsort()[::100]), test
'''


def paste(folder: Path, line: str) -> subprocess.CompletedProcess[str]:
    """Run the command at the end of a message in a shell, as a person would."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = os.environ | {"PATH": path}
    return subprocess.run(["sh", "-c", last_command(line)], cwd=folder, env=environment, capture_output=True, text=True)


def run_as_pasted(folder: Path, line: str) -> subprocess.CompletedProcess[str]:
    """The same, but with words that a shell has only split, so that the imports are done already."""
    words = ["sh", "-c", rf"printf '%s\0' {last_command(line)}"]
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=True)
    _, script, *arguments = done.stdout.split("\0")[:-1]
    assert (folder / script).is_file()
    return run(folder, script, *arguments)


def last_command(line: str) -> str:
    found = re.search(r"python .*$", line)
    assert found, line
    return found[0]


@pytest.mark.slow
def test_every_printed_command_works_when_it_is_pasted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In folders with difficult names, with data of the user's own: train features, resume, train longer, test."""
    home = tmp_path / NASTY
    mine = home / "mine"
    (mine / "data").mkdir(parents=True)
    (mine / "my_data.py").write_text(MY_DATA)
    node = (CONF / "data" / "digits.yaml").read_text().replace("gans.data.digits.Digits", "my_data.Mine")
    (mine / "data" / "mine.yaml").write_text(f"{node}\nroot: nowhere\n")
    monkeypatch.setenv("GANS_CACHE", str(tmp_path / "cache"))
    options = {"runs": str(home / "runs"), "data.root": str(tmp_path / "my [data], {é}")}
    written = shlex.split(shell_command("train.py", options))[2:]
    lengths = tiny("trainer.max_epochs=null", "trainer.max_steps=100", "checkpoint.every_steps=50", "samples.frames=1")
    own = ("data", "data.limit", "data.val_size", "model", "metric")
    small = [text for text in lengths if text.partition("=")[0] not in own]
    small += ["data=mine", "data.size=14", "data.val_size=0", "model=dcgan"]
    arguments = ["--config-dir", str(mine), *small, *written]

    done = run(tmp_path, "train.py", *arguments, "metric=fid")
    assert done.returncode == 2
    done = paste(tmp_path, f"{done.stderr.strip()} epochs=1 least_accuracy=0")
    assert done.returncode == 0, done.stderr
    assert list((tmp_path / "cache").rglob("mine1*.safetensors"))

    process = Command(tmp_path, "train.py", *arguments, "metric=none")
    while not (found := list((home / "runs").glob("*/checkpoints/last*"))):
        assert process.returncode is None
        time.sleep(0.1)
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate()
    assert process.returncode == 143, errors
    made = RunFolder(found[0].parent.parent)

    def paste_and_finish(line: str, steps: int) -> None:
        done = run_as_pasted(tmp_path, line)
        assert done.returncode == 0, done.stderr
        run = RunFolder(made.path)
        assert run.history.last == "finished"
        assert run.last_step == steps

    resumes = errors.splitlines()[-1]
    paste_and_finish(resumes, 100)
    trains_longer = run_as_pasted(tmp_path, resumes).stdout.splitlines()[-1]
    paste_and_finish(trains_longer, 200)

    def stop(*_: object) -> None:
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(sys, "argv", [str(ROOT / "train.py")])
    monkeypatch.syspath_prepend(mine)
    with monkeypatch.context() as patch:
        do_at(patch, "in the final test", 0, stop)
        with pytest.raises(InterruptedTraining) as error:
            commands.test(RunFolder(made.path), commands.read_config(made, ["my_data"]))
    done = run_as_pasted(
        tmp_path, str(error.value).replace("train.py", f"train.py --config-dir {shlex.quote(str(mine))}")
    )
    assert done.returncode == 0, done.stderr


SEED = "runs/digits-limit24-autoencoder-msle-none-2epochs-2steps-seed"


@pytest.mark.slow
def test_a_sweep_runs_its_members_reports_failures_and_then_runs_what_is_missing(tmp_path: Path) -> None:
    sweep = ["-m", *SMALL, "hydra.launcher.n_jobs=2", "seed=0,1"]
    done = run(tmp_path, "train.py", *sweep[:-1], "data.batch_size=8,5000")
    assert done.returncode == 2
    assert "1 of 2 members are finished" in done.stdout
    assert re.search(r"^failed: .*batch_size=5000.*\n.*data.batch_size=5000 .*0001.log", done.stderr, re.MULTILINE)
    assert "Traceback" not in done.stderr
    assert [path.name for path in (tmp_path / "runs").glob("digits-*")] == [Path(f"{SEED}0").name]
    kept = {path: path.stat().st_mtime_ns for path in (tmp_path / "runs").glob("digits-*/**/*")}
    done = run(tmp_path, "train.py", *sweep)
    assert done.returncode == 0, done.stderr
    assert re.match(r"sweep: [12] of 2 members to run; see runs/sweeps/\w+\n", done.stdout)
    assert "2 of 2 members are finished" in done.stdout
    assert RunFolder(tmp_path / f"{SEED}1").history.last == "finished"
    assert {path: path.stat().st_mtime_ns for path in kept} == kept


@pytest.mark.slow
def test_a_sweep_is_ended_in_many_ways_and_finished_by_the_same_command(tmp_path: Path) -> None:
    """SIGTERM is heard as Ctrl-C is, and so is the end of the leader: see tests/sweep/test_processes.py."""
    name = "runs/digits-limit24-autoencoder-msle-none-400steps-seed"
    budget = tiny("trainer.max_epochs=null", "trainer.max_steps=400", "checkpoint.every_steps=100", "log_every=10")
    arguments = ["-m", *budget, "hydra.launcher.n_jobs=2", "seed=0,1,2"]
    runs = [tmp_path / f"{name}{seed}" for seed in range(3)]

    def start() -> Command:
        return Command(tmp_path, "train.py", *arguments)

    def steps(folder: Path) -> int:
        return RunFolder(folder).last_step if (folder / "config.yaml").is_file() else 0

    def events(folder: Path) -> list[str]:
        return [event["event"] for event in RunFolder(folder).history.events]

    def kill_a_member(leader: Command) -> None:
        children = psutil.Process(leader.pid).children()
        (member,) = [child for child in children if any(file.path.endswith("0001.log") for file in child.open_files())]
        member.kill()

    def wait_until_stopped() -> None:
        end = time.monotonic() + 60
        while any(events(folder)[-1] != "stopped" for folder in runs[:2]):
            logs = [path.read_text()[-2000:] for path in tmp_path.glob("**/*.log")]
            assert time.monotonic() < end, [[events(folder) for folder in runs[:2]], *logs]
            time.sleep(0.1)

    sweep = start()
    while not all(steps(folder) > 0 for folder in runs[:2]):
        assert sweep.returncode is None
        time.sleep(0.05)
    os.killpg(sweep.pid, signal.SIGINT)
    _, errors = sweep.communicate()
    assert sweep.returncode == 130, errors
    assert "Traceback" not in errors
    wait_until_stopped()
    assert not runs[2].exists()

    sweep = start()
    while not (steps(runs[1]) > 0 and events(runs[1])[-1] == "resumed" and events(runs[0])[-1] == "resumed"):
        assert sweep.returncode is None
        time.sleep(0.05)
    kill_a_member(sweep)
    output, errors = sweep.communicate()
    assert sweep.returncode == 137, errors
    assert "2 of 3 members are finished" in output
    sweep = start()
    output, errors = sweep.communicate()
    assert sweep.returncode == 0, errors
    assert "3 of 3 members are finished" in output
    ways = ["started", "stopped", "resumed", "finished"]
    assert events(runs[0]) == ways
    assert events(runs[1]) == [*ways[:-1], "resumed", "finished"]
    assert events(runs[2]) == ["started", "finished"]
