"""The Python of peers that the server's can't run: zarr 3 needs CPython 3.11, where wendelin.core does not compile."""

from __future__ import annotations

import subprocess
from pathlib import Path

PACKAGES = ("zarr==3.1.6", "h5py==3.16.0", "numpy==2.4.6")
REPOSITORY = Path(__file__).parents[1]
ENVIRONMENT = REPOSITORY / "build" / "bench-peers"

SCRIPT = """\
. tools/uv
uv venv --quiet --clear --python '>=3.11' "$0"
VIRTUAL_ENV="$0" uv pip install --quiet "$@"
"""


def python() -> Path:
    """Its path; the environment is made, by uv as the server's own is, where it isn't there with these packages."""
    noted = ENVIRONMENT / "packages"
    if not noted.exists() or noted.read_text().split() != [*PACKAGES]:
        subprocess.run(["sh", "-euc", SCRIPT, ENVIRONMENT, *PACKAGES], cwd=REPOSITORY, check=True)
        noted.write_text("\n".join(PACKAGES))
    return ENVIRONMENT / "bin" / "python"
