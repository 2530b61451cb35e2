"""The code of docs/python.md runs, block after block, and the example notebook runs."""

import re
from pathlib import Path
from typing import Any

import nbformat
import numpy
import pytest
import torch
from nbclient import NotebookClient

import gans
from tests.configs import ROOT

PAGE = ROOT / "docs" / "python.md"
NOTEBOOK = ROOT / "docs" / "example.ipynb"
SHORT = {
    "trainer.max_steps=600": "trainer.max_steps=2",
    "max_steps=1200": "max_steps=4",
    '"metric=[fid]"': '"metric=[fid]", "evaluated_images=100", "figure=[curves]", "log_every=1"',
}
"""Settings of the page, and those of the test."""
SHORT_NOTEBOOK = {
    '"data=digits"': '"data=digits", "data.limit=200"',
    "trainer.max_steps=400": "trainer.max_steps=12",
    "n_epoch=3": "n_epoch=1",
}


def shorten(cells: list[Any]) -> None:
    """Let the notebook train for two epochs."""
    for setting, short in SHORT_NOTEBOOK.items():
        (cell,) = (cell for cell in cells if setting in cell.source)
        cell.source = cell.source.replace(setting, short)


@pytest.mark.slow
def test_the_code_of_the_page_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    code = "\n".join(re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL))
    for setting, short in SHORT.items():
        assert code.count(setting) == 1, setting
        code = code.replace(setting, short)
    names: dict[str, Any] = {}
    exec(code, names)
    assert names["images"].shape == (64, 28, 28)
    assert names["images"].dtype == numpy.uint8
    assert names["walks"].shape == (4, 10, 28, 28)
    assert names["pixels"].shape == (5, 1, 28, 28)
    assert names["loss"]["step"][-1] == 4
    assert gans.Run(names["run"].path).test == names["run"].test


def test_every_public_name_and_attribute_is_on_the_page() -> None:
    text = PAGE.read_text(encoding="utf-8")
    for name in {*gans.__all__} - {"Config", "Generator"}:
        assert f"gans.{name}" in text
    for name in vars(gans.Run):
        assert name.startswith("_") or f"`{name}`" in text, name
    for name in vars(gans.Generator):
        assert name.startswith("_") or f"generator.{name}" in text, name


@pytest.mark.slow
def test_the_notebook_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", str(torch.get_num_threads()))  # beside other tests one, as these have
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    shorten(notebook.cells)
    NotebookClient(notebook, timeout=1200, kernel_name="python3", resources={"metadata": {"path": tmp_path}}).execute()
    assert list(tmp_path.glob("runs/*/config.yaml"))


def test_the_notebook_is_committed_with_small_outputs() -> None:
    cells = nbformat.read(NOTEBOOK, as_version=4).cells
    code = [cell for cell in cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))  # run once, in order
    outputs = [output for cell in code for output in cell.outputs]
    assert not [output for output in outputs if output.output_type == "error"]
    images = [output.data["image/png"] for output in outputs if "image/png" in output.get("data", {})]
    assert len(images) >= 3
    assert sum(map(len, images)) * 3 / 4 < 200_000
    assert not re.search(r"/(tmp|home|root|Users)/", NOTEBOOK.read_text(encoding="utf-8"))  # no path of a machine
