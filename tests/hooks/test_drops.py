"""The line that called a coroutine function and dropped what it got is told where it is certain."""

from __future__ import annotations

import asyncio
import gc
import inspect
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import aiotel
from aiotel._hooks import drops

from ..conftest import Telemetry

# The mistakes are the point.
# mypy: disable-error-code="unused-coroutine, truthy-bool, attr-defined, operator, comparison-overlap"
# ruff: noqa: F841, SIM105


async def fetch(number: int = 0) -> int:
    return number


class Orders:
    kept: Any = None

    async def save(self, *numbers: int) -> bool:
        return True


orders = Orders()


def a_call_alone() -> None:
    fetch()  # dropped


def a_call_with_names() -> None:
    fetch(number=1)  # dropped


def a_call_with_stars() -> None:
    orders.save(*[1, 2])  # dropped


def a_method() -> None:
    orders.save()  # dropped


def a_call_of_many_lines() -> None:
    orders.save(  # dropped
        1,
        2,
    )


def a_condition() -> int:
    if orders.save():  # dropped
        return 1
    return 2


def a_negation() -> bool:
    return not orders.save()  # dropped


def one_side_of_an_and() -> object:
    return fetch() and 1  # dropped


def a_comparison() -> bool:
    return fetch() == 1  # dropped


def a_text() -> str:
    return f"{fetch()}"  # dropped


def an_argument() -> None:
    len([fetch()])  # dropped


def an_argument_of_another_call() -> None:
    max(
        *[1],
        len(
            [fetch()],  # dropped
        ),
    )


def an_item_of_it() -> None:
    try:
        fetch()[0]  # type: ignore[index]  # dropped
    except TypeError:
        pass


def a_sum() -> None:
    try:
        fetch() + 1  # dropped
    except TypeError as error:
        str(error)


def a_variable_that_is_overwritten() -> None:
    coro = fetch()  # dropped
    coro = None  # type: ignore[assignment]


def a_variable_that_is_deleted() -> None:
    coro = fetch()  # dropped
    del coro


def another_name() -> None:
    get = fetch
    get()  # dropped


def a_function_that_makes_it() -> None:
    def make() -> Any:
        return fetch()

    make()  # dropped


def a_comprehension() -> None:
    [fetch(number) for number in range(1)]  # dropped


def the_one_that_is_not_awaited() -> None:
    async def main() -> None:
        await fetch()
        fetch()  # dropped
        await fetch()

    asyncio.run(main())


def the_only_one_that_is_not_awaited() -> None:
    async def main() -> None:
        kept = fetch()  # dropped
        await fetch()
        kept = None  # type: ignore[assignment]

    asyncio.run(main())


CERTAIN = [
    function
    for name, function in list(globals().items())
    if inspect.isfunction(function)
    and function.__module__ == __name__
    and "# dropped" in inspect.getsource(function)
]


def gone_with_its_frame() -> None:
    def keep() -> None:
        coro = fetch()

    keep()


def gone_with_its_frame_beside_an_innocent_call() -> None:
    def keep() -> None:
        coro = fetch()

    keep()
    fetch().close()


def gone_with_the_frame_of_a_task() -> None:
    async def main() -> None:
        await keep()

    async def keep() -> None:
        coro = fetch()

    asyncio.run(main())


def taken_out_of_a_list_beside_other_calls() -> None:
    kept = [fetch(), fetch()]
    kept.clear()


def called_by_asyncio() -> None:
    async def main() -> None:
        asyncio.get_running_loop().call_soon(fetch)
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    asyncio.run(main())


def collected_with_a_cycle() -> None:
    cycle: list[Any] = [fetch()]
    cycle.append(cycle)
    del cycle
    gc.collect()


def an_attribute_that_another_function_has_set() -> None:
    def prepare() -> None:
        orders.kept = fetch()

    def flush() -> Any:
        innocent = fetch()
        orders.kept = None
        return innocent

    prepare()
    flush().close()


def an_item_beside_an_innocent_call() -> None:
    pending = [fetch()]

    def flush() -> Any:
        innocent = fetch()
        del pending[0]
        return innocent

    flush().close()


def another_variable_beside_an_innocent_call() -> None:
    stash: Any = fetch()

    async def main() -> None:
        nonlocal stash
        innocent = fetch()
        await innocent
        stash = None

    asyncio.run(main())


UNCERTAIN = [
    an_attribute_that_another_function_has_set,
    an_item_beside_an_innocent_call,
    another_variable_beside_an_innocent_call,
    gone_with_its_frame,
    gone_with_its_frame_beside_an_innocent_call,
    gone_with_the_frame_of_a_task,
    taken_out_of_a_list_beside_other_calls,
    called_by_asyncio,
    collected_with_a_cycle,
]


@pytest.fixture(autouse=True)
def _silent() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def lines(telemetry: Telemetry) -> set[tuple[str | None, int | None]]:
    return {
        (log.attributes.get("code.file.path"), log.attributes.get("code.line.number"))
        for log in telemetry.logs
        if log.event_name == "asyncio.coroutine.never_awaited"
    }


@pytest.mark.parametrize("mistake", CERTAIN, ids=lambda mistake: mistake.__name__)
def test_the_line_is_found(telemetry: Telemetry, mistake: Callable[[], object]) -> None:
    source, first = inspect.getsourcelines(mistake)
    [marked] = [number for number, line in enumerate(source, first) if "# dropped" in line]

    telemetry.start()
    mistake()

    assert lines(telemetry) == {(__file__, marked)}


@pytest.mark.parametrize("mistake", UNCERTAIN, ids=lambda mistake: mistake.__name__)
def test_no_line_is_blamed_that_may_be_innocent(telemetry: Telemetry, mistake: Callable[[], object]) -> None:
    telemetry.start()
    mistake()

    assert lines(telemetry) == {(None, None)}


def test_a_line_is_looked_for_once(telemetry: Telemetry, monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[object] = []
    find = drops._line

    def counting(*arguments: Any) -> int | None:
        looked.append(arguments)
        return find(*arguments)

    monkeypatch.setattr(drops, "_line", counting)
    drops._known.clear()
    telemetry.start()
    for _ in range(100):
        fetch()

    assert len(looked) == 1
    assert len(lines(telemetry)) == 1


def test_code_that_is_very_long_is_not_looked_through(telemetry: Telemetry) -> None:
    text = "def long():\n" + "    x = 1 if fetch else 2\n" * 4000 + "    fetch()\n"
    namespace: dict[str, Any] = {"fetch": fetch, "__name__": "long"}
    exec(text, namespace)

    telemetry.start()
    namespace["long"]()

    assert lines(telemetry) == {(None, None)}


def test_no_code_of_the_programs_is_held_once_it_is_over(telemetry: Telemetry) -> None:
    telemetry.start()
    a_call_alone()
    aiotel.uninstrument()

    assert drops._known == {}
