"""docs/options.md says what the config files say."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).parent.parent.parent


def load_script() -> ModuleType:
    """docs/options.py as a module; it imports neither this package nor PyTorch."""
    spec = importlib.util.spec_from_file_location("docs_options", ROOT / "docs" / "options.py")
    assert spec
    assert spec.loader
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


options = load_script()


def choice(path: Path) -> str:
    return f"{path.parent.relative_to(options.CONF).as_posix()}={path.stem}"


def test_the_page_is_up_to_date() -> None:
    """A new choice works without it, so the page of the choices that it shows is compared."""
    written = options.PAGE.read_text(encoding="utf-8")
    shown = [path for path in options.all_files() if f"`{choice(path)}`" in written]
    assert written == options.page(shown), "run: python docs/options.py"


def test_every_choice_and_every_option_is_on_the_page() -> None:
    text = options.page()
    for path in options.all_files():
        assert f"`{choice(path)}`" in text
        for option in options.read(path)[1] if path.parent.name not in options.WHOLE else []:
            assert f"| `{option.path}` |" in text


def test_every_choice_and_every_option_has_a_comment() -> None:
    for path in options.all_files():
        sentences, found = options.read(path)
        assert sentences, path
        assert path.parent.name in options.WHOLE or all(option.meaning for option in found), path
    for path in options.CONF.glob("*.yaml"):
        assert all(option.meaning for option in options.read(path)[1]), path


def test_comments_of_several_lines_are_read_whole(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(
        "# What it is,\n# in short.\nmine:\n  _target_: a.B\n  weight: 3.0   # heavy,\n                # very\n"
    )
    sentences, (weight,) = options.read(tmp_path / "mine.yaml")
    assert sentences == "What it is, in short."
    assert (weight.path, weight.default, weight.meaning) == (f"{tmp_path.name}.mine.weight", "3.0", "heavy, very")
