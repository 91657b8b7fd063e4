from Products.ERP5Wendelin.views.erp5 import ebulk

return ebulk.descriptor(context, reference)
