from Products.ERP5Wendelin.views.erp5.ebulk import rename

return rename(context, reference, new_reference)
