"""Links between the pages lead somewhere, the site has every page, and named benches exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from demo.stack.tools import REPOSITORY

PAGES = [*(REPOSITORY / "docs").glob("*.md"), *REPOSITORY.glob("*.md")]
_LINK = re.compile(r"\]\((?!https?:|mailto:)([^)#\s]*)(#[^)\s]*)?\)")
_IMAGE = re.compile(r'(?:src|srcset)="(?!https?:)([^"]+)"')
_HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)


def anchors(page: Path) -> set[str]:
    """Return the anchors that GitHub gives a page's headings."""
    headings = _HEADING.findall(page.read_text(encoding="utf-8"))
    return {re.sub(r"[^\w\- ]", "", one.lower()).replace(" ", "-") for one in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_to_a_file_and_a_heading(page: Path) -> None:
    for target, anchor in _LINK.findall(page.read_text(encoding="utf-8")):
        linked = (page.parent / target).resolve() if target else page
        assert linked.exists(), f"{page.name} links to {target}"
        if anchor and linked.suffix == ".md":
            assert anchor[1:] in anchors(linked), f"{page.name} links to {target}{anchor}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_image_is_there(page: Path) -> None:
    for image in _IMAGE.findall(page.read_text(encoding="utf-8")):
        assert (page.parent / image).exists(), f"{page.name} shows {image}"


def test_the_site_has_every_page_once() -> None:
    _, navigation = (REPOSITORY / "mkdocs.yml").read_text(encoding="utf-8").split("\nnav:\n")
    listed = re.findall(r": (\S+\.md)$", navigation, re.MULTILINE)
    assert sorted(listed) == sorted(page.name for page in (REPOSITORY / "docs").glob("*.md"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_bench_that_a_page_names_exists(page: Path) -> None:
    for name in re.findall(r"python -m bench\.(\w+)", page.read_text(encoding="utf-8")):
        bench = REPOSITORY / "bench" / name
        assert bench.with_suffix(".py").exists() or (bench / "__main__.py").exists(), name
