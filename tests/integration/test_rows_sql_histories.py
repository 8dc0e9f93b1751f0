# SPDX-License-Identifier: MIT
"""A few random histories (rowshistory.py) on each run of the suite; `tests/rows/histories --count 1000` runs many, of 3 to 6 nodes."""
import random

import pytest

import rowshistory


@pytest.fixture(scope="module")
def history(rows_mesh):
    yield rowshistory.History(rows_mesh)
    for number in rows_mesh.nodes:
        rows_mesh.clock(number)


# The same ones each time, and one that nobody has seen.
@pytest.mark.parametrize("seed", [1, 2, 3, random.SystemRandom().randrange(1 << 30)])
def test_a_random_history_converges(history, seed):
    try:
        history.run(seed, length=60)
    except AssertionError as error:
        raise AssertionError(f"seed {seed}, length 60: {error}") from None


def test_the_oracle_can_fail(history):
    """A row that was changed behind the federation's back is seen."""
    history.run(7, length=30)
    history.mesh[2].run("SET wildcam.apply = '1'; INSERT INTO parents(id, t, _v) VALUES (77, 'planted', 5) ON CONFLICT DO NOTHING; RESET wildcam.apply")
    with pytest.raises(AssertionError, match="parents on n2"):
        history.judge(True)
    history.mesh[2].run("SET wildcam.apply = '1'; DELETE FROM parents WHERE id = 77; RESET wildcam.apply")
