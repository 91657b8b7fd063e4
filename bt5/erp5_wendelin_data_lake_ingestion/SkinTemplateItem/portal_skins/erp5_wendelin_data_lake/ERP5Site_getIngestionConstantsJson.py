from Products.ERP5Wendelin.views.erp5.ebulk import constants

return constants()
