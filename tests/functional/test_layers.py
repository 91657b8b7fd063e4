"""Imports go down the two stacks only, and every module is in a layer; the contracts are in pyproject.toml."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
LINT_IMPORTS = Path(sys.executable).parent / "lint-imports"


def test_every_import_goes_down_and_every_module_is_in_a_layer() -> None:
    done = subprocess.run(
        [LINT_IMPORTS, "--no-cache"], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Contracts: 3 kept, 0 broken." in done.stdout


def test_a_module_in_no_layer_and_an_import_that_goes_up_are_found(tmp_path: Path) -> None:
    layers = {
        "Products/ERP5Wendelin": [
            *("views", "alarms", "compute", "ingestion", "download"),
            *("content", "blockwise", "interfaces", "errors", "permissions", "event_log"),
        ],
        "ebulk": [
            *("__main__", "cli", "library", "user", "verbs", "transfer"),
            *("local", "remote", "model", "protocol", "errors", "version"),
        ],
    }
    for name, text in {
        "pyproject.toml": (ROOT / "pyproject.toml").read_text(),
        "Products/ERP5Wendelin/__init__.py": "",
        "ebulk/__init__.py": "",
        **{f"{package}/{layer}.py": "" for package, names in layers.items() for layer in names},
        "Products/ERP5Wendelin/protocol.py": "",
        "Products/ERP5Wendelin/portal.py": "",
        "Products/ERP5Wendelin/storage.py": "import Products.ERP5Wendelin.portal\n",
        "ebulk/helpers.py": "",
    }.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    done = subprocess.run(
        [LINT_IMPORTS, "--no-cache"],
        cwd=tmp_path,
        env={"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    said = " ".join(done.stdout.split())
    assert "Products.ERP5Wendelin.storage -> Products.ERP5Wendelin.portal (l.1)" in said
    assert "The following modules are not listed as layers: - ebulk.helpers" in said
