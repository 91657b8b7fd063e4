"""The mean spectrum of a sensor whose samples are in a Data Stream: Welch's method, for a stream of any length.

    wendelin run DIR mean_spectrum.py STREAM SPECTRUM RATE

STREAM is the reference of a Data Stream of 16 bit integers, little-endian, RATE samples a second. SPECTRUM becomes the
reference of a Data Array with the columns `frequency` (Hz) and `density` (squares of the sensor's unit for each Hz).

P. D. Welch: The use of fast Fourier transform for the estimation of power spectra (IEEE Transactions on Audio and
Electroacoustics 15, 1967): segments that overlap by half, each without its mean and under a Hann window. What it comes
to is what `scipy.signal.welch(samples, RATE, nperseg=SEGMENT)` computes of samples that fit into memory.
"""

# ruff: noqa: F821  (`portal` and `batch` are bound by `wendelin run`)

import sys

import numpy

SEGMENT = 1024
STEP = SEGMENT // 2
SAMPLE = numpy.dtype("<i2")
COLUMNS = [("frequency", "<f8"), ("density", "<f8")]

window = numpy.hanning(SEGMENT + 1)[:-1]  # periodic, as is right for spectra


def spectra(samples):
    """The power spectrum of each whole segment, one a row."""
    segments = numpy.lib.stride_tricks.sliding_window_view(samples, SEGMENT)[::STEP].astype("float64")
    segments -= segments.mean(axis=1, keepdims=True)
    return numpy.abs(numpy.fft.rfft(segments * window)) ** 2


def density(power, rate):
    """Of a mean power spectrum: what lies at negative frequencies is added to what mirrors it."""
    result = power / (rate * numpy.sum(window**2))
    result[1:-1] *= 2
    return result


stream_reference, reference, rate = sys.argv[1], sys.argv[2], float(sys.argv[3])
stream = portal.data_stream_module.getDataStream(stream_reference)
if stream is None:
    sys.exit(f"There is no Data Stream {stream_reference!r}.")

state = batch.state
state.setdefault("count", 0)
state.setdefault("power", numpy.zeros(SEGMENT // 2 + 1))
state.setdefault("rest", numpy.zeros(0, "uint8"))  # the bytes of which there is no whole segment yet

for block in batch.iterate(stream):
    data = numpy.concatenate([state["rest"], numpy.frombuffer(block.data, "uint8")])
    samples = data[: len(data) // SAMPLE.itemsize * SAMPLE.itemsize].view(SAMPLE)
    if len(samples) >= SEGMENT:
        power = spectra(samples)
        state["power"] = state["power"] + power.sum(axis=0)
        state["count"] += len(power)
        data = data[len(power) * STEP * SAMPLE.itemsize :]
    state["rest"] = data.copy()

if not state["count"]:
    sys.exit(f"{stream_reference} has no {SEGMENT} samples yet.")

spectrum = portal.data_array_module.getDataArray(reference)
if spectrum is None:
    spectrum = portal.data_array_module.newDataArray(reference)
values = numpy.zeros(SEGMENT // 2 + 1, COLUMNS)
values["frequency"] = numpy.fft.rfftfreq(SEGMENT, 1 / rate)
values["density"] = density(state["power"] / state["count"], rate)
spectrum.initArray(values.shape, values.dtype)
spectrum.setArrayIndex(slice(None), values)
loudest = values[numpy.argmax(values["density"])]
print(f"{state['count']:,} segments; most power at {loudest['frequency']:g} Hz")
