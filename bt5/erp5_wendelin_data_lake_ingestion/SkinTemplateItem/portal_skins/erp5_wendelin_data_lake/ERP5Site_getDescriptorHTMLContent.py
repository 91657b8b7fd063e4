from Products.ERP5Wendelin.views.erp5.ebulk import descriptor

return descriptor(context, reference)
