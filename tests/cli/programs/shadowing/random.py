"""A module with the name of the standard library's, as beginners write them."""

print("our own random")
