"""Golden pods: cases with the outcome that a real kubelet gave, compared with ours on a docker node.

The cases, their runner and the recipes of their images are a directory of their own, outside this checkout:
`inv golden --cases DIR`, $INTERLINK_GOLDEN, or `../shared/golden` beside the checkout.
"""
