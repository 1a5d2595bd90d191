import os

import pytest

from aiotel._demo.process import ShopProcess
from aiotel.testing import Receiver

pytestmark = pytest.mark.slow


def test_a_shop_that_cannot_start_leaves_its_status_and_what_it_wrote_to_stderr() -> None:
    told: list[str] = []

    with ShopProcess(
        seconds=1, endpoint="http://127.0.0.1:9", environ={"PYTHONHOME": "/nowhere"}, tell=told.append
    ) as shop:
        status = shop.wait()

    assert 0 != status
    assert [] == told
    assert any("Python" in line for line in shop.stderr)


def test_a_shop_does_not_survive_its_block() -> None:
    told: list[str] = []

    with (
        Receiver() as receiver,
        ShopProcess(seconds=60, endpoint=receiver.endpoint, environ=os.environ, tell=told.append) as shop,
    ):
        pass

    assert 0 != shop.wait()
