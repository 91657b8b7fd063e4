from Products.ERP5Wendelin.views.erp5.ebulk import data_stream_chunk

return data_stream_chunk(context, id, start_offset, end_offset)
