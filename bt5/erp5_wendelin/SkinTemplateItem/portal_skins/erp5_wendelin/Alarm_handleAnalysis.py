# Make the Data Analyses that are missing, and run those that have something to do.
from Products.ERP5Wendelin.alarms.analysis import handle_analysis

return handle_analysis(context)
