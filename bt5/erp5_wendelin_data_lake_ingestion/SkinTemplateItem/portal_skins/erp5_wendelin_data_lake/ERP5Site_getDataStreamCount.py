from Products.ERP5Wendelin.views.erp5.ebulk import data_stream_count

return data_stream_count(context, data_set_reference)
