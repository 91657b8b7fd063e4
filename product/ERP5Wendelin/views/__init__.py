"""URLs: `configure.zcml` names every one, with its method, its function and its permission.

A request of the API goes through these modules, in this order::

    entry        takes the request from the publisher, and hands the answer back
    dispatch     credentials, route, the object that the path names, permission
    api          one module a resource, one function a method: parse, call one function, return plain data
    answer       what is returned becomes a response
    problem      what is raised becomes a response, by one table

`call`, `query`, `body`, `members`, `wire` and `tus` are what the functions parse and print with.
"""
