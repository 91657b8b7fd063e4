# Compute the md5 of files that came without.
from Products.ERP5Wendelin.alarms.md5 import compute_md5

return compute_md5(context)
