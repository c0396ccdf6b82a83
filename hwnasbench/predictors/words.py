"""Words that models share with the queries that name them; nothing is imported, so that a query need not wait."""

#: Spaces whose networks are chains of inverted residual blocks, and the data sets on which their accuracy is known.
SPACES = {
    "efficientnet": ("imagenet",),
    "fbnet": ("imagenet", "cifar100"),
    "mnasnet": ("imagenet",),
    "mobilenetv2": ("imagenet",),
    "ofa_mobilenetv3": ("imagenet",),
    "proxylessnas": ("imagenet",),
}
#: How a network came to a low precision: quantised after training, or trained further with quantisation.
METHODS = ("ptq", "qat")
#: Bits from which nothing is lost.
LOSSLESS = 16
