# Let the Data Array have what the file at a path of a data set holds, in place of what it has; `key` says what of the
# file, and the newest version is meant unless one is given. It is stored in transactions of its own: what the script
# that calls this sees of it begins with the next one.
from Products.ERP5Wendelin.compute.imports.script import import_file

import_file(context, data_set, path, key, version)
