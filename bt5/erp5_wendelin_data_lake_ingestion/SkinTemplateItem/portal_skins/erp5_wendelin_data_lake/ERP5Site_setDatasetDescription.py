from Products.ERP5Wendelin.views.erp5.ebulk import set_description

return set_description(context, dataset, data_chunk)
