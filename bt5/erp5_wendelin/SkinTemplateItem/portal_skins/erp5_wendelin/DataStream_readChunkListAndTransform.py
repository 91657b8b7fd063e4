# Let a script transform the bytes from `start` up to `end` of the stream, and with `recursive` all that follow; return
# the offset up to which that is done.
from Products.ERP5Wendelin.compute.transform import read_and_transform

return read_and_transform(context, start, end, chunk_length, transform_script_id, data_array_reference, recursive, **kw)
