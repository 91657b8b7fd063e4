from support.site import data_fs, lake, site  # noqa: F401
