"""The scripts in examples/, run as their users run them; what they come to is computed here in another way."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import nibabel
import numpy
import pytest
import scipy.ndimage
import scipy.signal
import transaction

from support.array_files import pushed
from support.lake import ServedLake, wendelin
from support.stored_site import opened_site

EXAMPLES = Path(__file__).parents[2] / "examples"

RATE = 8000
"""Samples a second of the microphone."""


@pytest.fixture(scope="module")
def samples() -> numpy.ndarray:
    """50 s of a tone and noise, and a few samples more than whole segments."""
    time = numpy.arange(50 * RATE + 77) / RATE
    noise = numpy.random.default_rng(1967).normal(0, 40, len(time))
    return (1000 * numpy.sin(2 * numpy.pi * 440 * time) + noise + 25).astype("<i2")


@pytest.fixture(scope="module")
def voxels() -> numpy.ndarray:
    """A bright ellipsoid in dark air, neither of which is without noise."""
    x, y, z = numpy.mgrid[-1:1:60j, -1:1:72j, -1:1:50j]
    head = (x / 0.6) ** 2 + (y / 0.8) ** 2 + (z / 0.7) ** 2 < 1
    return (numpy.random.default_rng(1979).rayleigh(20, head.shape) + head * (100 + 50 * z)).astype("int16")


@pytest.fixture(scope="module")
def instance(tmp_path_factory: pytest.TempPathFactory, samples: numpy.ndarray, voxels: numpy.ndarray) -> Path:
    """An instance that nobody serves, with a stream and a data set."""
    home = tmp_path_factory.mktemp("examples")
    lake = ServedLake(home)
    lake.init()
    nibabel.save(nibabel.Nifti1Image(voxels, numpy.eye(4)), home / "scan.nii.gz")
    with opened_site(data_fs(lake.directory)) as site:
        pushed(site, {"sub-01_T1w.nii.gz": (home / "scan.nii.gz").read_bytes()}, "brain_mri")
        stream = site.data_stream_module.newContent(portal_type="Data Stream", reference="microphone")
        stream.appendData(samples.tobytes() + b"\x01")  # half a sample that is just arriving
        transaction.commit()
    return lake.directory


@pytest.fixture
def run(instance: Path) -> Callable[..., list[str]]:
    """Runs an example within 512 MiB; the lines that it printed."""

    def run(script: str, *arguments: str) -> list[str]:
        done = wendelin("run", "--memory-limit", "512M", instance, EXAMPLES / script, *arguments)
        return done.stdout.splitlines()

    return run


def data_fs(instance: Path) -> Path:
    return instance / "var" / "Data.fs"


def array(instance: Path, reference: str) -> numpy.ndarray:
    """All of a Data Array."""
    with opened_site(data_fs(instance)) as site:
        return site.data_array_module.getDataArray(reference).getArrayIndex(...)


def next_generation(world: numpy.ndarray) -> numpy.ndarray:
    """The rules of the game, as a convolution on a torus."""
    neighbours = scipy.ndimage.convolve(world, [[1, 1, 1], [1, 0, 1], [1, 1, 1]], mode="wrap")
    return ((neighbours == 3) | ((neighbours == 2) & (world == 1))).astype("uint8")


def first_generation(rows: int, columns: int) -> numpy.ndarray:
    """What the script begins with: blocks of 256 rows."""
    blocks = []
    for start in range(0, rows, 256):
        generator = numpy.random.default_rng([1970, start])
        blocks.append(generator.random((min(256, rows - start), columns), "float32") < 1 / 3)
    return numpy.concatenate(blocks).astype("uint8")


def test_the_game_of_life_is_that_of_a_world_in_memory(instance, run):
    worlds = [first_generation(1000, 333)]
    for _ in range(3):
        worlds.append(next_generation(worlds[-1]))
    assert run("game_of_life.py", "1000", "333", "3") == [
        f"alive in generation {number}: {world.sum():,}" for number, world in enumerate(worlds)
    ]
    assert numpy.array_equal(array(instance, "life-0"), worlds[2])
    assert numpy.array_equal(array(instance, "life-1"), worlds[3])


def test_the_mean_spectrum_of_a_stream_is_that_of_scipy(instance, run, samples):
    frequency, density = scipy.signal.welch(samples.astype("float64"), RATE, nperseg=1024)
    printed = run("mean_spectrum.py", "microphone", "microphone-spectrum", str(RATE))
    assert printed == ["780 segments; most power at 437.5 Hz"]
    spectrum = array(instance, "microphone-spectrum")
    assert numpy.array_equal(spectrum["frequency"], frequency)
    assert numpy.allclose(spectrum["density"], density, rtol=1e-9)


def least_variance(values: numpy.ndarray) -> float:
    """The edge of a histogram that leaves the least variance within the two classes, by trying each: Otsu's."""
    counts, edges = numpy.histogram(values, 256)
    centres = (edges[1:] + edges[:-1]) / 2

    def within(split: int) -> float:
        halves = ((counts[:split], centres[:split]), (counts[split:], centres[split:]))
        return sum(weights.sum() * numpy.cov(values, fweights=weights, bias=True) for weights, values in halves)

    return edges[min(range(1, 256), key=within)]


def test_the_statistics_of_a_brain_scan_are_those_of_its_voxels_in_memory(instance, run, voxels):
    wendelin("array", "import", instance, "brain_mri", "sub-01_T1w.nii.gz", "--reference", "sub-01_T1w")
    head = voxels > least_variance(voxels)
    printed = run("brain_scan.py", "sub-01_T1w")
    everything = f"all voxels: mean {voxels.mean():.6g}, standard deviation {voxels.std():.6g}"
    assert printed == [everything, f"{head.sum():,} voxels above {least_variance(voxels):.6g}"]
    profile = array(instance, "sub-01_T1w-profile")
    assert profile["voxels"].tolist() == head.sum(axis=(1, 2)).tolist()
    assert profile["voxels"].min() == 0  # the air at both ends
    for slice_, inside, found in zip(voxels, head, profile, strict=True):
        if inside.any():
            assert found["mean"] == pytest.approx(slice_[inside].mean(), rel=1e-12)
            assert found["std"] == pytest.approx(slice_[inside].std(), rel=1e-12)
        else:
            assert numpy.isnan(found["mean"])
            assert numpy.isnan(found["std"])
