from Products.ERP5Wendelin.ingestion.ebulk import find_operation

return find_operation(context, reference)
