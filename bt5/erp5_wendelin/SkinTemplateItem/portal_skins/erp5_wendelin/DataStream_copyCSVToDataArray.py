# Append the lines of CSV in the chunks to the Data Array of a reference; return (start, end) of what was used of them.
from Products.ERP5Wendelin.compute.transform import copy_csv

return copy_csv(data_stream, chunk_list, start, end, data_array_reference)
