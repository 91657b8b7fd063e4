"""Files to transfer: seeded, so that two runs send the same bytes, and incompressible."""

from __future__ import annotations

import random
from pathlib import Path

MIB = 1 << 20


def big_file(path: Path, size: int) -> None:
    """One file of `size` random bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        for start in range(0, size, 16 * MIB):
            generator = random.Random(f"big-{start}")  # noqa: S311
            file.write(generator.randbytes(min(16 * MIB, size - start)))


def small_files(folder: Path, count: int, size: int) -> None:
    """`count` files of `size` random bytes each, 50 a folder, 20 folders a folder."""
    generator = random.Random(f"small-{count}-{size}")  # noqa: S311
    for number in range(count):
        path = folder / f"d{number // 1000:03d}" / f"s{number // 50 % 20:02d}" / f"f{number % 50:02d}.bin"
        if number % 50 == 0:
            path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(generator.randbytes(size))
