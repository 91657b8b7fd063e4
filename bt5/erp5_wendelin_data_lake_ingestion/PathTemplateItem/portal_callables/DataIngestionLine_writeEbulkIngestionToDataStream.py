from Products.ERP5Wendelin.ingestion.ebulk import write

return write(context, reference, chunk)
