"""ERP5 Wendelin: a data lake in a Zope site."""
