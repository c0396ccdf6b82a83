"""Accuracy on ImageNet of networks of inverted residual blocks, from their layers and the training recipe.

``python -m surrogates.imagenet --from DIR`` fits the model, judges it by leaving families of networks out, and writes
the model, its scorecard and docs/imagenet-accuracy.md.
"""
