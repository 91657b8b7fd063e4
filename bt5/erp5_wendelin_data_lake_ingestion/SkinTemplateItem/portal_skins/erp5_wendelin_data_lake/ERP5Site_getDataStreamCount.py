from Products.ERP5Wendelin.views.erp5 import ebulk

return ebulk.data_stream_count(context, data_set_reference)
