# Make an Ingestion Policy, with a Data Supply and a Data Product of its own, for tags that begin with its reference;
# return the three. `batch_mode` is there for scripts that give it.
from Products.ERP5Wendelin.ingestion.policy import add_policy

return add_policy(context, reference, title, data_operation)
