"""REST JSON <-> model, both contracts and `/v1`: the only place that spells wire keys.

Standard library only, no I/O. `gojson` reads and writes the text, `schema` and `kubernetes` check and
fold what strangers send, `contract` is virtual kubelet <-> server, `plugin` is server <-> plugin,
`statuses` keeps the Go virtual kubelet safe, `v1` is our own surface.
"""
