"""Every option and its meaning, from the comments in conf/: ``python docs/options.py`` writes docs/options.md."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from textwrap import fill

import yaml

ROOT = Path(__file__).resolve().parent.parent
CONF = ROOT / "conf"
PAGE = ROOT / "docs" / "options.md"

INTRODUCTION = """# Options

Written by `python docs/options.py` from the comments in `conf/`. `python train.py ... --cfg job` shows all options of a
command and their values. `???` must be given, by the command or by another choice. `null` means none.
"""

COMMANDS = {
    "config": "train.py",
    "generate": "generate.py",
    "export": "export.py",
    "explore": "explore.py",
    "features": "features.py",
}
"""The command of each file that lies directly in conf/; other commands follow."""
GROUPS = (
    "data",
    "model",
    "objective",
    "optimizer",
    "stabilize",
    "sampling",
    "metric",
    "figure",
    "trainer",
    "experiment",
)
"""The order of config groups on the page; any other follows."""
WHOLE = ("experiment", "study")
"""Groups whose files are settings of many options, or a question."""
NOT_SHOWN = ("defaults", "hydra", "_target_", "_partial_")
WIDTH = 120


@dataclass(frozen=True)
class Option:
    path: str
    default: str
    meaning: str


# --- config files ---------------------------------------------------------------------------------------------------


def read(path: Path) -> tuple[str, list[Option]]:
    """What the comment at the top of a config file says, with the other choices that it makes; and its options."""
    text = path.read_text(encoding="utf-8")
    lines = text.splitlines()
    top = next((index for index, line in enumerate(lines) if not line.startswith("#")), len(lines))
    # the recipes of docs/extending.md begin with the path of the file
    about = [line.lstrip("# ") for line in lines[:top] if "@package" not in line]
    header = " ".join(line for line in about if not line.startswith("conf/"))
    root = yaml.compose(text)
    if not isinstance(root, yaml.MappingNode):
        return header, []
    group = path.parent.relative_to(CONF).as_posix() if path.is_relative_to(CONF) else path.parent.name
    is_global = path.parent == CONF or "# @package _global_" in lines[:top]
    defaults = (yaml.safe_load(text) or {}).get("defaults", []) if path.parent != CONF else []
    sentences = "\n\n".join(filter(None, (header, brought(defaults, group))))
    return sentences, list(options_of(root, lines, "" if is_global else f"{group.replace('/', '.')}."))


def brought(defaults: list[object], group: str) -> str:
    """What a choice builds on and which other choices it makes, in a sentence."""
    base = [f"`{group}={entry}`" for entry in defaults if isinstance(entry, str) and entry != "_self_"]
    others = [
        f"`{name.rpartition('/')[2]}={str(choice).replace(chr(39), '').replace(' ', '')}`"
        for entry in defaults
        if isinstance(entry, dict)
        for name, choice in entry.items()
    ]
    parts = [f"builds on {' '.join(base)}" if base else "", f"sets {' '.join(others)}" if others else ""]
    sentence = " and ".join(filter(None, parts))
    return f"It {sentence}." if sentence else ""


def options_of(node: yaml.MappingNode, lines: list[str], prefix: str) -> Iterator[Option]:
    """The options of a mapping and of all mappings inside it."""
    for key, value in node.value:
        path, row = f"{prefix}{key.value}", key.start_mark.line
        if key.value in NOT_SHOWN:
            continue
        is_mapping = isinstance(value, yaml.MappingNode)
        start, end = value.start_mark, value.end_mark
        on_this_line = start.line == end.line == row
        meaning = comment_at(lines, row, end.column if on_this_line else key.end_mark.column)
        if not is_mapping or (meaning and path not in GROUPS):
            yield Option(path, lines[row][start.column : end.column] if on_this_line else "", meaning)
        if is_mapping:
            yield from options_of(value, lines, f"{path}.")


def comment_at(lines: list[str], row: int, column: int) -> str:
    """The comment behind an option, with the lines below it that begin in the same column."""
    start = lines[row].find("#", column)
    if start < 0:
        return ""
    parts = [lines[row][start:]]
    for line in lines[row + 1 :]:
        if not line.strip().startswith("#") or line.find("#") != start:
            break
        parts.append(line[start:])
    return " ".join(part.lstrip("# ") for part in parts)


# --- the page -------------------------------------------------------------------------------------------------------


def table(options: list[Option]) -> list[str]:
    rows = [f"| `{option.path}` | {code(option.default)} | {cell(option.meaning)} |" for option in options]
    return ["| option | default | meaning |", "|---|---|---|", *rows, ""] if rows else []


def code(text: str) -> str:
    return f"`{cell(text)}`" if text else ""


def cell(text: str) -> str:
    return text.replace("|", r"\|")


def paragraphs(text: str) -> list[str]:
    filled = [fill(part, WIDTH, break_long_words=False, break_on_hyphens=False) for part in text.split("\n\n") if part]
    return [line for part in filled for line in (part, "")]


def group_page(folder: Path, files: list[Path]) -> list[str]:
    """A config group: its files, what each is, and their options."""
    name = folder.relative_to(CONF).as_posix()
    lines = [f"## {name}", ""]
    for path in files:
        sentences, options = read(path)
        lines += [f"### `{name}={path.stem}`", "", *paragraphs(sentences), *table(options)]
    return lines


def experiments_page(folder: Path, files: list[Path]) -> list[str]:
    """Experiments and studies: what each is, and which file says its settings."""
    lines = [f"## {folder.name}", ""]
    for path in files:
        sentences, _ = read(path)
        lines += [f"### [`{folder.name}={path.stem}`](../conf/{folder.name}/{path.name})", "", *paragraphs(sentences)]
    return lines


def all_files() -> list[Path]:
    """The files of all config groups."""
    return sorted(path for path in CONF.rglob("*.yaml") if path.parent != CONF)


def page(files: list[Path] | None = None) -> str:
    """The page of some of the groups' files; of all by default."""
    shown = all_files() if files is None else files
    lines = [INTRODUCTION]
    commands = COMMANDS | {
        path.stem: f"{path.stem}.py" for path in sorted(CONF.glob("*.yaml")) if path.stem not in COMMANDS
    }
    for name, command in commands.items():
        _, options = read(CONF / f"{name}.yaml")
        lines += [f"## {command}", "", *table(options)]
    folders = {path.parent.relative_to(CONF).as_posix(): path.parent for path in all_files()}
    for name in sorted(folders, key=lambda name: (GROUPS.index(name) if name in GROUPS else len(GROUPS), name)):
        own = [path for path in shown if path.parent == folders[name]]
        lines += (experiments_page if name in WHOLE else group_page)(folders[name], own)
    return "\n".join(lines).rstrip() + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    print(PAGE)
