from Products.ERP5Wendelin.ingestion import ebulk

return ebulk.write(context, reference, chunk)
