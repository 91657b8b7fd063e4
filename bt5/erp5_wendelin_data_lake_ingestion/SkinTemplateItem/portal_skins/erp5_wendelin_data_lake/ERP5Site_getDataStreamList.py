from Products.ERP5Wendelin.views.erp5.ebulk import data_stream_list

return data_stream_list(context, data_set_reference)
