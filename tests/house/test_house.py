"""The house around the code: licence, versions, room pages, links, and no package registry named anywhere."""

import re
import subprocess
import tomllib
from importlib import metadata
from pathlib import Path

import pytest

import rookery

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
LINK = re.compile(r"\[[^\]]*\]\(([^)\s#]*)[^)\s]*\)")
REGISTRY = re.compile(
    r"pypi\.(?:org|python)|pythonhosted|registry\.npmjs|registry\.yarnpkg|npmmirror|devpi"
    r"|index[-_]url|find[-_]links|trusted[-_]host|\"resolved\"\s*:\s*\"http",
    re.IGNORECASE,
)


def files_of_the_project():
    """Every file that is or is about to be in the repository, or all of an unpacked source when there is no git."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if listed.returncode:
        pytest.skip("not a git checkout")
    return [path for name in listed.stdout.split("\0") if name and (path := ROOT / name).is_file()]


def pages():
    return [path for path in files_of_the_project() if path.suffix == ".md"]


def rooms():
    """The rooms, as the import contract between the storeys names them."""
    storeys = PROJECT["tool"]["importlinter"]["contracts"][0]["layers"]
    return [room.strip() for storey in storeys if "|" in storey for room in storey.split("|")]


def test_no_registry_is_named():
    """No file names a package registry's host, an index or a mirror: that is the user's setting alone."""
    named = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in files_of_the_project()
        if path != Path(__file__).resolve()
        for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1)
        if REGISTRY.search(line)
    ]
    assert not named, "\n".join(named)


def test_licence_is_apache_2():
    """The licence file holds the whole Apache License 2.0, and the package's metadata says the same."""
    text = (ROOT / "LICENSE").read_text()
    assert "Apache License" in text
    assert "Version 2.0, January 2004" in text
    assert "9. Accepting Warranty or Additional Liability." in text
    assert "END OF TERMS AND CONDITIONS" in text
    assert PROJECT["project"]["license"] == "Apache-2.0"


def test_versions_agree():
    """pyproject.toml, the installed package and rookery.__version__ name one version, and the changelog has it."""
    version = PROJECT["project"]["version"]
    assert rookery.__version__ == version
    assert metadata.version("rookery") == version
    assert re.search(rf"^## {re.escape(version)}\b", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)


@pytest.mark.parametrize("room", [*rooms(), "terms", "base", "flows", "doors"])
def test_every_room_says_what_it_owns(room):
    """Each room, and each storey above and below them, has a README of a page at most."""
    page = ROOT / "rookery" / room / "README.md"
    assert page.is_file()
    assert 3 <= len(page.read_text().splitlines()) <= 60


def modules_on(page):
    """The modules that a storey's page names; in an entry that begins with a folder, also as that folder's."""
    named = set()
    for entry in re.split(r"\n(?=\S)", page.read_text()):
        folder = re.match(r"(?:\w+/(?= ))?", entry).group()
        for name in re.findall(r"[\w/]+\.py\b", entry):
            named |= {name, folder + name}
    return named


@pytest.mark.parametrize(("storey", "modules"), [("terms", "*.py"), ("base", "*.py"), ("flows", "**/*.py")])
def test_the_page_of_a_storey_names_its_modules(storey, modules):
    """The README of a storey names every module in it, those of flows' folders too."""
    folder = ROOT / "rookery" / storey
    there = {path.relative_to(folder).as_posix() for path in folder.glob(modules) if path.name != "__init__.py"}
    assert not sorted(there - modules_on(folder / "README.md"))


def test_every_dependency_is_justified():
    """The decision page on dependencies names each one that pyproject.toml declares, with its reason."""
    declared = list(PROJECT["project"]["dependencies"]) + PROJECT["build-system"]["requires"]
    for extra in PROJECT["project"]["optional-dependencies"].values():
        declared += extra
    page = (ROOT / "docs" / "decisions" / "0001-dependencies.md").read_text()
    names = {match.group() for text in declared if (match := re.match(r"[\w-]+", text))}
    assert not [name for name in sorted(names) if f"`{name}`" not in page]


def links(page):
    """The relative links of a Markdown page, code blocks left out, as written without their anchors."""
    text = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
    return [link for link in LINK.findall(text) if link and not re.match(r"[a-z]+:", link)]


def test_relative_links_lead_somewhere():
    """Every relative link of every Markdown page leads to a file or folder that is there."""
    broken = [
        f"{page.relative_to(ROOT)}: {link}"
        for page in pages()
        for link in links(page)
        if not (page.parent / link).exists()
    ]
    assert not broken, "\n".join(broken)


def test_every_page_can_be_reached():
    """Every page under docs/ is linked from another page."""
    linked = {(page.parent / link).resolve() for page in pages() for link in links(page)}
    alone = [str(page) for page in pages() if (ROOT / "docs") in page.parents and page.resolve() not in linked]
    assert not alone
