from Products.ERP5Wendelin.views.erp5 import ebulk

return ebulk.set_description(context, dataset, data_chunk)
