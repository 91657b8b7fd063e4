"""Bytes on their way out: which of them a request asks for, a file of them, a tar of them."""
