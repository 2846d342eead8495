"""What the documents say exists, exists."""

import re
from pathlib import Path

from member_entrypoint import settings
from member_entrypoint.errors import EntrypointError

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = (*(ROOT / "docs").glob("*.md"), ROOT / "README.md")


def defined_tests() -> set[str]:
    """Return the names of all test functions."""
    files = [path for path in (ROOT / "tests").rglob("test_*.py") if ".venv" not in path.parts]
    return {
        name
        for path in files
        for name in re.findall(r"^def (test_\w+)", path.read_text(), re.MULTILINE)
    }


def test_every_test_that_a_document_names_exists() -> None:
    """The tables of what happens in each case are those of the tests."""
    named = {
        name
        for document in DOCUMENTS
        for name in re.findall(r"`(test_\w+)`", document.read_text(encoding="utf-8"))
    }
    assert len(named) > 20
    assert named - defined_tests() == set()


def test_every_scenario_of_a_cluster_is_in_the_document() -> None:
    """Whoever adds a scenario adds its row."""
    text = (ROOT / "docs" / "cluster.md").read_text(encoding="utf-8")
    for name in ("test_days", "test_orders", "test_cut_joins", "test_partitions"):
        source = (ROOT / "tests" / "docker" / f"{name}.py").read_text(encoding="utf-8")
        for scenario in re.findall(r"^def (test_\w+)", source, re.MULTILINE):
            assert f"`{scenario}`" in text, f"{scenario} is in no row of docs/cluster.md"


def test_the_readme_is_read_in_ten_minutes() -> None:
    """All else has its own page."""
    assert len((ROOT / "README.md").read_text(encoding="utf-8").split()) <= 2000


def test_every_variable_and_exit_status_has_its_row() -> None:
    """What the program reads and what it ends with is in the tables of docs/configuration.md."""
    text = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
    for variable in settings.VARIABLES:
        assert f"\n| `{variable.name}` |" in text, variable.name
    kinds = [EntrypointError]
    for kind in kinds:
        kinds += kind.__subclasses__()
    shown = {int(status) for status in re.findall(r"^\| (\d+) \|", text, re.MULTILINE)}
    for_pid_1 = {75, 76, 77, 79, 80}
    assert {kind.status for kind in kinds} - for_pid_1 - {0} <= shown


def test_every_page_is_in_the_readme() -> None:
    """Who begins there finds it."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    for page in (ROOT / "docs").glob("*.md"):
        assert f"(docs/{page.name})" in text, page.name
