# Give up the pushes, and the files that came in part, that nobody continues.
from Products.ERP5Wendelin.alarms.expiry import expire_ingestions

return expire_ingestions(context)
