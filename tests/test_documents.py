"""Pages for people: their links lead somewhere, and README's table has the results."""

import json
import re

import pytest

from synthpairs.core.markdown import markdown_table
from synthpairs.report.tables import estimate
from tests.pipeline import ROOT

PAGES = [
    ROOT / name
    for name in (
        "README.md",
        "CHANGELOG.md",
        "CONTRIBUTING.md",
        "models/desk/README.md",
        "perf/README.md",
        "tests/README.md",
    )
]
PAGES += sorted((ROOT / "docs").glob("*.md")) + sorted((ROOT / "reports").rglob("*.md"))


def anchors(page):
    """Of its headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_files_and_headings(page):
    broken = []
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        if "://" in link:
            continue
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)
    assert broken == []


def test_the_table_of_readme_has_the_means_of_all_trainings():
    seeds, untrained = (
        json.loads((ROOT / "reports" / name).read_bytes())
        for name in ("experiments/seeds.json", "benchmarks/untrained.json")
    )
    arms = seeds["benchmarks"]["sets"]
    rows = [
        [
            task,
            numbers["measure"],
            numbers["n"],
            *map(estimate, [*(numbers["sets"][arm] for arm in arms), untrained[task]]),
        ]
        for task, numbers in seeds["benchmarks"]["tasks"].items()
    ]
    table = markdown_table(["task", "measure", "n", *arms, "untrained"], rows, words=range(2))
    assert table in (ROOT / "README.md").read_text()
