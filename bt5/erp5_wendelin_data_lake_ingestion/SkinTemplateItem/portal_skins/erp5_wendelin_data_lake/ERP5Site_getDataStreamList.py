from Products.ERP5Wendelin.views.erp5 import ebulk

return ebulk.data_stream_list(context, data_set_reference)
