# Append what has arrived to the stream of its tag, unchanged.
out_stream["Data Stream"].appendData(data_chunk)
