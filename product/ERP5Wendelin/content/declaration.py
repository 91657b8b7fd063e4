"""Finishing a class: it gets its accessors, its security declarations take effect, and its methods stay out of URLs.

Zope publishes every method with a docstring that the user may call, with the request's parameters for arguments and
whatever the HTTP method: a mere link could publish a data set. URLs are named in ZCML and nowhere else, so ours are
marked as not to be published. (An attribute that is an object can be reached as well: declare it private.)
"""

from __future__ import annotations

from types import FunctionType
from typing import TypeVar

from AccessControl.class_init import InitializeClass
from ZPublisher import zpublish

from Products.ERP5Wendelin.content import accessors

Class = TypeVar("Class", bound=type)


def declared(cls: Class) -> Class:
    """Class decorator: add accessors, initialise the class's security, and keep its methods from being published."""
    accessors.generate(cls)
    for value in vars(cls).values():
        if isinstance(value, FunctionType):
            zpublish(False)(value)
    InitializeClass(cls)
    return cls
