# Let a script transform all of the stream, chunk by chunk, into the Data Array of a reference; return the offset up to
# which that is done. `start` is where to go on, and `commit` what to call behind each 64 MiB of a long stream.
from Products.ERP5Wendelin.compute.transform import transform

return transform(context, chunk_length, transform_script_id, data_array_reference, parallelize, start, commit, **kw)
