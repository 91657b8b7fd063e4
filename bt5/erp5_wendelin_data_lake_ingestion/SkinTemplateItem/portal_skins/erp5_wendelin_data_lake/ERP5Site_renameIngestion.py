from Products.ERP5Wendelin.views.erp5 import ebulk

return ebulk.rename(context, reference, new_reference)
