"""What is the server's own: the site and its users, instances, and the command line `wendelin`."""
