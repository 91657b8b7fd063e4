from Products.ERP5Wendelin.ingestion import ebulk

return ebulk.find_operation(context, reference)
