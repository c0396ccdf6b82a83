"""Networks: an architecture at a data set's input size, as a table of layers."""
