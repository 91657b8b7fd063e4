import pytest

from support.shell import Shell


@pytest.fixture
def shell(tmp_path):
    return Shell(tmp_path, "set")


def test_the_next_step_is_to_choose_a_lake_where_none_is_known(shell):
    assert shell.run("init", "été 2024")[0].splitlines() == [
        "The folder 'été 2024' holds the data set 'été 2024' now.",
        "  `ebulk login URL` chooses a lake; then `ebulk push 'été 2024'` sends what is in it.",
    ]


def test_the_next_step_is_to_push_where_one_is(shell):
    url = "http://127.0.0.1:9/erp5"
    assert shell.run("init", ".", "--reference", "set", "--url", url)[0].splitlines() == [
        "The folder '.' holds the data set 'set' now.",
        f"  `ebulk push` sends what is in it to {url}.",
    ]
