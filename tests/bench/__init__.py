"""`inv bench`: how far we are from what the machine itself can do, in one table.

Each module measures one thing and yields rows. Every figure with a target is a ratio to a floor that was
measured in the same run, in turn with it (ours, floor, floor, ours, ...), by medians: the machine is shared,
so absolute times say little and are printed only.

    command    a trivial remote command against a local persistent shell
    create     creates over REST against the same containers by `docker run -d`
    exits      a container's exit to `/status`
    mock       `/status` of thousands of pods; memory and idle CPU of the server with them
    kubelet    1,000 pods at once on a real control plane, against the scheduler's binding and KWOK's node; weight
    kubelet-exits  a container's exit to the pod's phase in the API
    crowd      memory and idle CPU of the server with 200 docker pods, and what they cost on their host
"""
