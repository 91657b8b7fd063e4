from Products.ERP5Wendelin.views.erp5.ebulk import reference_exists

return reference_exists(context, reference)
