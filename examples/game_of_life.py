"""Conway's game of life in a world larger than memory.

    wendelin run --memory-limit 512M DIR game_of_life.py [ROWS COLUMNS GENERATIONS]

The world is a torus of cells, 0 or 1, in two Data Arrays: `life-0` has generations 0, 2, 4, …, and `life-1` the others.
A generation is made of the one before it, a block of rows after the other; the rows next to a block are read with it.
In the beginning every third cell or so is alive, by chance.

Kill it whenever you like, and run it again: it goes on in the generation and the row where it was.
"""

# ruff: noqa: F821  (`portal` and `batch` are bound by `wendelin run`)

import sys

import numpy

SEED = 1970
"""The year in which Gardner's column made the game known (Scientific American, October)."""

BLOCK_ROWS = 256


def world(reference, rows, columns):
    """A Data Array of cells, made unless it is there."""
    array = portal.data_array_module.getDataArray(reference)
    if array is None:
        array = portal.data_array_module.newDataArray(reference)
        array.initArray((rows, columns), "uint8")
    return array


def beginning(start, stop, columns):
    """Rows of generation 0, the same in each run."""
    generator = numpy.random.default_rng([SEED, start])
    return generator.random((stop - start, columns), "float32") < 1 / 3


def after(rows):
    """The next generation of all rows but the first and the last, which are there as neighbours."""
    columns = rows[:-2] + rows[1:-1] + rows[2:]
    squares = numpy.roll(columns, 1, axis=1) + columns + numpy.roll(columns, -1, axis=1)
    # of three by three cells: three alive make one, four keep one
    return (squares == 3) | ((squares == 4) & (rows[1:-1] == 1))


def with_neighbours(old, block):
    """The rows of a block between the row above it and the row below it."""
    above, below = block.start - 1, block.stop % old.getArrayShape()[0]
    return numpy.concatenate([old.getArrayIndex(above)[None], block.data, old.getArrayIndex(below)[None]])


rows, columns, generations = map(int, sys.argv[1:]) if sys.argv[1:] else (10_000, 10_000, 4)
worlds = [world(reference, rows, columns) for reference in ("life-0", "life-1")]

for generation in range(generations + 1):
    new, old = worlds[generation % 2], worlds[1 - generation % 2]
    key = f"alive in generation {generation}"
    for block in batch.iterate(old, rows=BLOCK_ROWS):
        cells = after(with_neighbours(old, block)) if generation else beginning(block.start, block.stop, columns)
        new.setArrayIndex(slice(block.start, block.stop), cells)
        batch.state[key] = batch.state.get(key, 0) + int(numpy.count_nonzero(cells))
    print(f"{key}: {batch.state[key]:,}", flush=True)
