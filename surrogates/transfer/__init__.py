"""How well a new device is learned from few measurements: each chip in turn is left out, and predicted."""

#: The scorecard's file in the data folder.
CARD = "transfer.json"
#: What is predicted: spaces, and the sources of their published columns.
SPACES = ("fbnet", "nasbench201")
SOURCES = ("help", "oneproxy", "latbench", "hwnasbench360")
