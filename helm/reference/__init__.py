"""What is made from `helm/tausql/values.yaml`: the chart's README and the schema that refuses a typo.

`values.yaml` is the one place where keys, defaults and their sentences are written; what processes can be told beyond
it comes from their own settings classes. `python -m helm.reference` writes both files, `--check` only compares.
"""
