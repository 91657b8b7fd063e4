from Products.ERP5Wendelin.views.erp5 import ebulk

return ebulk.data_stream_chunk(context, id, start_offset, end_offset)
