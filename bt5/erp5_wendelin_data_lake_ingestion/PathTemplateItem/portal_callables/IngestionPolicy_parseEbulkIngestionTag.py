from Products.ERP5Wendelin.ingestion.ebulk import parse_tag

return parse_tag(reference)
