"""What the command line says when it is broken off, or cannot go on."""

import pytest

from ebulk.cli import main


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (["push", "my set", "-m", 'it\'s "new"'], """`ebulk push 'my set' -m 'it'"'"'s "new"'` goes on."""),
        (["push", "--restart", "set"], "`ebulk push set` goes on."),
        (["pull", "brain_mri"], "`ebulk pull brain_mri` goes on."),
        (["pull", "--stream", "turbine"], "`ebulk pull --stream turbine` goes on."),
        (["pull", "--stream", "turbine", "--since=1h"], ""),
        (["pull", "--stream", "turbine", "--form", "npy"], ""),
        (["pull", "--stream", "turbine", "--output", "-"], ""),
        (["tail", "turbine"], ""),
        ([], ""),
        (["clone", "brain_mri", "été"], "`ebulk clone brain_mri 'été'` goes on."),
        (["status"], ""),
    ],
)
def test_who_interrupts_is_told_the_command_that_goes_on(words, hint):
    assert main._interrupted(words).hint == hint


def test_a_thing_that_the_system_refuses_is_told_with_the_file():
    error = main._refused(PermissionError(13, "Permission denied", "scans/a"))
    assert (str(error), error.hint) == (
        "scans/a: permission denied.",
        "Whose it is, and what they allow, `ls -ld` says.",
    )
    error = main._refused(OSError(28, "No space left on device"))
    assert (str(error), error.hint) == ("the disk is full.", "Make room, then run the same command again.")
