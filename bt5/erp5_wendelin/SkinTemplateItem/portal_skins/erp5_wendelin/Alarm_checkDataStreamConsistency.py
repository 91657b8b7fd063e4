# Go on with checking all data sets and streams; what is wrong is the report.
from Products.ERP5Wendelin.alarms.consistency import check_consistency

return check_consistency(context)
