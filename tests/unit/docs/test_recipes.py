"""The recipes for controllers are whole: what they show passes --check-config, without a warning.

A section of the page is a recipe. Its files are the blocks of YAML that begin with their path.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from memleash_exporter import cli as exporter
from memleash_responder import cli as responder

PAGE = Path(__file__).parents[3] / "docs/controllers.md"
BLOCK = re.compile(r"```yaml\n# /etc/memleash/(\S+)\n(.*?)```", re.DOTALL)
SECRETS = ("id_ed25519", "known_hosts")
"""Beside those that a recipe's own controllers name."""


def recipes() -> dict[str, dict[str, str]]:
    """Return the files of each recipe, by its heading."""
    sections = re.split(r"^##+ (.*)$", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    titles, texts = sections[1::2], sections[2::2]
    found = {title: dict(BLOCK.findall(text)) for title, text in zip(titles, texts, strict=True)}
    return {title: files for title, files in found.items() if files}


@pytest.mark.parametrize("title", recipes())
def test_a_recipe_passes_its_check(
    title: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = recipes()[title]
    text = files["responder.yml"]
    for name in (*SECRETS, *re.findall(r"\w+_file: (\S+?)[,}\n]", text)):
        (tmp_path / name).touch()
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content, encoding="utf-8")
    for program in (exporter, responder):
        name = program.__name__.partition(".")[0].removeprefix("memleash_")
        code = program.main(["--config.file", str(tmp_path / f"{name}.yml"), "--check-config"])
        said = capsys.readouterr()
        assert code == 0, said.err
        assert "warning" not in said.out


def test_there_are_recipes() -> None:
    assert recipes()
