from Products.ERP5Wendelin.views.erp5.ebulk import increase_version

return increase_version(context, reference)
