from Products.ERP5Wendelin.ingestion import ebulk

return ebulk.parse_tag(reference)
