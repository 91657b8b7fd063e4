# Drop from the heads of streams what the ingestion policies do not keep.
from Products.ERP5Wendelin.alarms.retention import apply_retention

return apply_retention(context)
