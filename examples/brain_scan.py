"""Statistics of a brain scan: a NIfTI file of a data set, imported as a Data Array.

    wendelin array import DIR brain_mri sub-01_T1w.nii.gz --reference sub-01_T1w
    wendelin run DIR brain_scan.py sub-01_T1w

The head is told from the air around it by Otsu's threshold, which the histogram of all voxels gives. The Data Array
`sub-01_T1w-profile` then has for each slice of the first axis how many voxels are of the head, and their mean and
standard deviation (NaN where there are none). A scan may be larger than memory: it is read block by block.

N. Otsu: A threshold selection method from gray-level histograms (IEEE Transactions on Systems, Man, and Cybernetics 9,
1979).
"""

# ruff: noqa: F821  (`portal` and `batch` are bound by `wendelin run`)

import sys

import numpy

BINS = 256
COLUMNS = [("voxels", "<i8"), ("mean", "<f8"), ("std", "<f8")]


def otsu(counts, edges):
    """The edge of a histogram that parts it into two classes whose means are furthest apart, for their weights."""
    centres = (edges[:-1] + edges[1:]) / 2
    below = numpy.cumsum(counts)[:-1]
    above = counts.sum() - below
    sums = numpy.cumsum(counts * centres)
    apart = sums[:-1] / below - (sums[-1] - sums[:-1]) / above
    return edges[1:-1][numpy.argmax(below * above * apart**2)]


def profile_of(slices, threshold):
    """Of each slice: the voxels above the threshold, their mean and standard deviation."""
    head = slices > threshold
    axes = tuple(range(1, slices.ndim))
    result = numpy.zeros(len(slices), COLUMNS)
    result["voxels"] = count = head.sum(axis=axes)
    with numpy.errstate(invalid="ignore"):  # 0 / 0 in a slice without a voxel is NaN
        mean = slices.sum(axis=axes, where=head, dtype="float64") / count
        apart = slices - numpy.expand_dims(mean, axes)
        result["mean"], result["std"] = mean, numpy.sqrt((apart**2).sum(axis=axes, where=head) / count)
    return result


arrays = portal.data_array_module
scan = arrays.getDataArray(sys.argv[1])
if scan is None:
    sys.exit(f"There is no Data Array {sys.argv[1]!r}: import the scan with `wendelin array import`.")

profile = arrays.getDataArray(f"{sys.argv[1]}-profile")
if profile is None:
    profile = arrays.newDataArray(f"{sys.argv[1]}-profile")
if not batch.resumed:
    profile.initArray(scan.getArrayShape()[:1], COLUMNS)
    batch.state["threshold"] = otsu(*scan.histogram(BINS))

for block in batch.iterate(scan):
    profile.setArrayIndex(slice(block.start, block.stop), profile_of(block.data, batch.state["threshold"]))

overall = scan.statistics(("mean", "std"))
print(f"all voxels: mean {overall['mean']:.6g}, standard deviation {overall['std']:.6g}")
found = profile.getArrayIndex(...)
print(f"{found['voxels'].sum():,} voxels above {batch.state['threshold']:.6g}")
