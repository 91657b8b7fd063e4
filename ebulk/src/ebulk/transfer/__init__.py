"""The bytes of many files, to and from a lake: `upload.send` and `download.fetch`.

Large files travel alone and resume within the file, by tus up and by Range down; small ones and symbolic links travel
in tars (`tar`). `crew` runs the work on threads.
"""
