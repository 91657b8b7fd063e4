"""The data set folder on this machine: its names, its files, what was pushed or pulled, and who the user is.

::

    FOLDER/.ebulk/config        url of the lake and reference of the data set      `folder`
                  lock          held by the ebulk that works here                  `lock`
                  index.db      the files as of the last push or pull              `index`
                  push.json     the push under way, so that it resumes             `journal`
                  parts/        downloads under way                                `transfer.download`
                                and files that are being appended to               `append`
"""
