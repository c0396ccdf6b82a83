"""Problems of `hwnasbench.search`, as other libraries take them.

One module a library: `optuna`, `pymoo`, `configspace`, `syne_tune`, `gymnasium`. Each is made from a
`hwnasbench.search.Problem`, so that what a library sees is what a searcher of one's own would see: validation accuracy.
What it found is judged by ``problem.report``. docs/integrations.md has an example of each.
"""
