"""docs/architecture.md has every module once and names nothing that does not exist; links work."""

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "architecture.md"
PATTERNS = ("*.md", "bench/*.md", "deploy/**/*.md", "docs/*.md")
DOCUMENTS = sorted(path for pattern in PATTERNS for path in ROOT.glob(pattern))
PACKAGES = ("member_entrypoint", "builder_entrypoint")
MODULE = r"\[`([\w/]+)`\]\(\.\./(\w+_entrypoint)/([\w/]+)\.py\)"
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
DOTTED = re.compile(rf"\b({'|'.join(PACKAGES)})((?:\.\w+)+)")


def modules(package: str) -> set[str]:
    """Return the modules of a package as the page names them; `__init__` is the room itself."""
    folder = ROOT / package
    paths = (path.relative_to(folder) for path in folder.rglob("*.py"))
    return {path.with_suffix("").as_posix() for path in paths if path.name != "__init__.py"}


def anchors(document: Path) -> set[str]:
    """Return the anchors that GitHub gives to the headings of a document."""
    headings = re.findall(r"^#+ (.*)$", document.read_text(encoding="utf-8"), re.MULTILINE)
    return {
        re.sub(r"[^\w -]", "", heading).strip().lower().replace(" ", "-") for heading in headings
    }


def links(document: Path) -> Iterator[str]:
    """Yield the links of a document that stay in the repository."""
    for target in LINK.findall(document.read_text(encoding="utf-8")):
        if not re.match(r"[a-z]+:", target):
            yield target


def decided() -> list[tuple[str, str, str]]:
    """Return package, module and name for each name that the page says decides something."""
    text = PAGE.read_text(encoding="utf-8").partition("## Where is it decided?")[2]
    found = re.findall(rf"{MODULE}((?: `\w+`,?)+)", text.partition("\n## ")[0])
    return [
        (package, module, name)
        for _, package, module, names in found
        for name in re.findall(r"`(\w+)`", names)
    ]


@pytest.mark.parametrize("package", PACKAGES)
def test_every_module_is_on_the_map_once(package: str) -> None:
    """A row for each module there is, and none for another."""
    rows = re.findall(rf"^\| {MODULE} \| [^|]+ \|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    named = Counter(module for _, of, module in rows if of == package)
    assert named == Counter(modules(package))


def test_modules_are_called_what_they_are() -> None:
    """The words of a link to a module are its name."""
    for label, _, module in re.findall(MODULE, PAGE.read_text(encoding="utf-8")):
        assert label == module


def test_what_decides_is_defined_where_the_page_says() -> None:
    """Each function, class and constant of the table is one of its module."""
    found = decided()
    assert len(found) > 20
    for package, module, name in found:
        source = (ROOT / package / f"{module}.py").read_text(encoding="utf-8")
        defined = rf"^(?:\s*(?:def|class) {name}\b|{name}\b.* = )"
        assert re.search(defined, source, re.MULTILINE), f"{module} has no {name}"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_between_documents_work(document: Path) -> None:
    """Each leads to a file or folder that is there, and to a heading that it has."""
    for target in links(document):
        path, _, anchor = target.partition("#")
        found = (document.parent / path).resolve() if path else document
        assert found.exists(), target
        assert not anchor or anchor in anchors(found), target


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_modules_that_documents_name_exist(document: Path) -> None:
    """Names with dots, such as those of command lines, are modules or names in one."""
    for package, dotted in DOTTED.findall(document.read_text(encoding="utf-8")):
        *rooms, last = dotted[1:].split(".")
        place = ROOT.joinpath(package, *rooms)
        assert (place / last).is_dir() or (place / f"{last}.py").is_file(), package + dotted
