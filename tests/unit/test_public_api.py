"""The public API: `import nst_core`, and the earlier import paths."""

import ast
import itertools
import subprocess
import sys
from importlib import import_module
from importlib.metadata import version
from pathlib import Path

import pytest

import nst_core as nst

LOADED_ON_USE = ("tensorflow", "numpy", "PIL", "pydantic", "upath", "fsspec", "importlib.metadata")
COMPUTES = (
    *("Iterate", "NotFiniteError", "Outcome", "StyleTargets", "Together"),
    *("finish", "iterates", "style_targets", "stylize"),
)
"""The names of modules that import TensorFlow."""

NEW_PATHS = {
    "colors": "transfer.colors.colors",
    "files": "storage.files",
    "identity": "transfer.identity",
    "locks": "storage.locks",
    "optimization": "transfer.optimization.optimization",
    "pictures": "images.picture_files images.read images.resize images.write",
    "pixels": "images.pixels",
    "places": "storage.places",
    "settings": "transfer.presets transfer.setting_types transfer.settings",
    "statistics": "transfer.styles.statistics",
    "stylize": "transfer.stylize",
}
"""The modules that replace the module of each earlier import path, all below `nst_core`."""

EARLIER_README = """
from nst_core.files import write_whole
from nst_core.files import write_atomic
from nst_core.networks.loading import load_encoder
from nst_core.pictures import encode_png, examine, load
from nst_core.settings import PRESETS, Settings, resolve
from nst_core.statistics import style_targets
from nst_core.stylize import Iterate, Outcome, finish, iterates, stylize
"""

USES = {
    "api": "import nst_core as nst\nused(nst.stylize)",
    "name": "from nst_core import stylize\nused(stylize)",
    "old": "from nst_core.stylize import iterates, stylize\nused(stylize)\n"
    "import nst_core.stylize as old\nused(old.stylize)\nused(old)",
}
"""Ways in which a script may import `stylize`."""

WITHOUT_TENSORFLOW = """
import sys
from types import SimpleNamespace
from unittest.mock import MagicMock
sys.modules["nst_core.quiet_tensorflow"] = SimpleNamespace(tf=MagicMock())

def used(stylize):
    try:
        stylize([[2.5]], style=[[0.5]], weights="not there")
    except ValueError as error:
        assert str(error).startswith("content: found float64 values from 2.5"), error
    else:
        raise AssertionError(stylize)
"""


def run_python(program: str) -> str:
    """Return the output of a program, which must succeed without a warning."""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout


def test_importing_the_package_loads_no_heavy_libraries() -> None:
    program = (
        "import sys\nbefore = set(sys.modules)\n"
        "import nst_core\nnst_core.UserError, dir(nst_core), nst_core.__all__\n"
        f"print(set({LOADED_ON_USE!r}) & (set(sys.modules) - before))"
    )
    assert run_python(program) == "set()\n"


def test_names_that_compute_nothing_load_no_tensorflow() -> None:
    names = set(nst.__all__) - set(COMPUTES)
    program = (
        "import sys, nst_core\n"
        f"for name in {sorted(names)!r}:\n    getattr(nst_core, name)\n"
        "nst_core.resolve(nst_core.presets['draft'].model_dump())\n"
        "nst_core.load_encoder('compact')\n"
        "print('tensorflow' in sys.modules)"
    )
    assert run_python(program) == "False\n"


def test_each_name_is_the_object_of_its_module() -> None:
    for name, module in nst._MODULES.items():
        assert getattr(nst, name) is getattr(import_module(module), name)
        assert getattr(nst, name) is getattr(nst, name)
    assert {*nst._MODULES, "__version__"} == set(nst.__all__) == set(dir(nst))
    everything: dict[str, object] = {}
    exec("from nst_core import *", everything)
    assert set(nst.__all__) <= set(everything)


def test_type_checkers_see_the_same_names_from_the_same_modules() -> None:
    (checked,) = (
        node
        for node in ast.parse(Path(nst.__file__).read_text("utf-8")).body
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
    )
    seen = {
        name.asname or name.name: node.module
        for node in checked.body
        if isinstance(node, ast.ImportFrom)
        for name in node.names
    }
    assert seen == nst._MODULES
    assert (Path(nst.__file__).parent / "py.typed").exists()


def test_an_unknown_name_is_an_error() -> None:
    with pytest.raises(AttributeError, match="module 'nst_core' has no attribute 'stylise'"):
        nst.stylise  # type: ignore[attr-defined]  # noqa: B018
    with pytest.raises(ImportError, match="cannot import name 'stylise'"):
        from nst_core import stylise  # type: ignore[attr-defined]  # noqa: F401


def test_the_version_is_that_of_the_package() -> None:
    assert nst.__version__ == version("nst-batch")


def test_presets_are_settings_by_name_and_cannot_be_changed() -> None:
    assert list(nst.presets) == ["draft", "standard", "fine", "article", "gatys", "neural-style"]
    assert nst.presets["fine"] == nst.resolve({"preset": "fine"})
    assert nst.presets["standard"] == nst.Settings()
    with pytest.raises(TypeError):
        nst.presets["fine"] = nst.Settings()  # type: ignore[index]


def test_old_paths_have_the_same_objects() -> None:
    # The program has its own process, because the old path `stylize` changes `nst.stylize`.
    program = WITHOUT_TENSORFLOW + (
        "from importlib import import_module\n"
        f"for old, news in {NEW_PATHS!r}.items():\n"
        "    there = vars(import_module(f'nst_core.{old}'))\n"
        "    here = {}\n"
        "    for new in news.split():\n"
        "        here |= vars(import_module(f'nst_core.{new}'))\n"
        "    names = [name for name in here if not name.startswith('_') and name != 'logger']\n"
        "    assert names and all(there[name] is here[name] for name in names), old\n"
        "    print(old)"
    )
    assert run_python(program).split() == list(NEW_PATHS)


def test_the_old_name_of_the_reader_of_text_works() -> None:
    from nst_core.images.write import read_text
    from nst_core.pictures import read_png_text

    assert read_png_text is read_text


def test_the_imports_in_an_earlier_readme_work() -> None:
    program = WITHOUT_TENSORFLOW + EARLIER_README + "print(write_whole is write_atomic)"
    assert run_python(program) == "True\n"


@pytest.mark.parametrize("order", list(itertools.permutations(USES)), ids="-".join)
def test_stylize_can_be_called_after_any_order_of_imports(order: tuple[str, ...]) -> None:
    program = [
        WITHOUT_TENSORFLOW,
        *(USES[use] for use in order),
        "used(nst.stylize), used(stylize), used(old.stylize), used(old)",
        "from nst_core.transfer import stylize as new",
        "assert old.stylize is new.stylize and old.Outcome is nst.Outcome is new.Outcome",
        "assert iterates is old.iterates is nst.iterates is new.iterates",
        "assert old.__name__ == 'nst_core.stylize' and 'earlier import path' in old.__doc__",
    ]
    assert run_python("\n".join(program)) == ""
