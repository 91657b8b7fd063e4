"""Namespace of Zope products, reached as `Products` through the link beside this folder."""

__path__ = __import__("pkgutil").extend_path(__path__, __name__)
