from Products.ERP5Wendelin.views.erp5 import ebulk

return ebulk.reference_exists(context, reference)
