# Append the contents of the records of MessagePack, [time, content], that fluentd sends: texts and bytes as they are,
# anything else as a line of JSON. A chunk that is not made of such records is appended unchanged.
from Products.ERP5Wendelin.ingestion.fluentd import contents

out_stream["Data Stream"].appendData(contents(data_chunk))
