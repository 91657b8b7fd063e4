from Products.ERP5Wendelin.views.erp5.ebulk import invalidate

return invalidate(context, reference)
