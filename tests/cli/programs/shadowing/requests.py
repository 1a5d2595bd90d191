"""A program with the name of a library that exporters use: nobody but its user may run it."""

print("requests runs")
