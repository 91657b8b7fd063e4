"""Portal types: the documents of a lake, their states, and the manifests and versions of data sets."""
