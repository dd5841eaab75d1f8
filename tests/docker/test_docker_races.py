"""Creates that are cut at any moment, and repeated, end as exactly one pod."""

from __future__ import annotations

import random

import pytest

from interlink.errors import OutcomeUnknown
from interlink.model.pod import PodRef
from interlink.model.status import Phase
from tests.contract.support import Box, Run, delete
from tests.docker.support import Place

pytestmark = [pytest.mark.lab, pytest.mark.minutes(12)]  # 17 minutes where a docker start takes seconds


def test_create_cut_anywhere_is_one_pod(place: Place) -> None:
    chance = random.Random(7)
    rig = place.rig
    place.driver.prepare()
    for _ in range(10):
        request = rig.pod(Box("echo once"), inits=[Box("true", name="i")])
        place.connection.cut_after = chance.uniform(0.005, 0.8)
        try:
            place.driver.create(request)
        except OutcomeUnknown:
            place.driver.create(request)
        run = Run(place.driver, request)
        assert run.ended().phase is Phase.SUCCEEDED
        assert len(place.containers(run.uid)) == 3
        assert run.log() == b"once\n"
        delete(place.driver, PodRef.of(request.pod), 0)
        assert place.containers(run.uid) == []
