"""Puts into the wheel what is made from the command line itself: pages for `man`, and completion for shells.

All else is in pyproject.toml. Nothing that is made is kept with the sources, so that nothing can be out of date.
"""

import sys
from importlib import import_module
from pathlib import Path

from setuptools import setup

from distutils.command.install_data import install_data  # isort: skip - setuptools brings it, from Python 3.12 on

COMPLETIONS = {
    "bash": "share/bash-completion/completions/ebulk",
    "zsh": "share/zsh/site-functions/_ebulk",
    "fish": "share/fish/vendor_completions.d/ebulk.fish",
}


class InstallMade(install_data):
    """Makes the files, then installs them below `share`, where man and shells look."""

    def run(self):
        """Called when a wheel is built."""
        sys.path.insert(0, str(Path(__file__).parent / "src"))
        script = import_module("ebulk.cli.completion").script
        write_man_pages = import_module("ebulk.cli.manual.__main__").write_man_pages
        made = Path(self.get_finalized_command("build").build_base) / "made"
        self.data_files = [("share/man/man1", [str(path) for path in write_man_pages(made / "man1")])]
        for shell, place in COMPLETIONS.items():
            path = made / shell / Path(place).name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(script(shell), encoding="utf-8")
            self.data_files.append((str(Path(place).parent), [str(path)]))
        super().run()


setup(cmdclass={"install_data": InstallMade}, data_files=[("share", [])])
