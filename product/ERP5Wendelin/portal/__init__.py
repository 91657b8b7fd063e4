"""The site that holds everything, its users, and the command `wendelin`."""
