# Find the Data Operation for a tag, and the parameters of its script, by the Data Ingestion of the tag that is running.
# If there is none it is begun, from the Data Supply that matches.
from Products.ERP5Wendelin.ingestion.policy import find_operation

return find_operation(context, movement_dict, reference)
