"""A watched object is what it was, but that its fields are looked at."""

from __future__ import annotations

import abc
import asyncio
import copy
import dataclasses
import enum
import functools
import gc
import inspect
import json
import pickle
import sys
import threading
import weakref
from collections import defaultdict
from typing import Any

import pytest

import aiotel

from ..conftest import Loops, Telemetry


@dataclasses.dataclass
class Account:
    """An account."""

    balance: int = 100
    owner: str = "ann"

    @property
    def double(self) -> int:
        return 2 * self.balance

    @functools.cached_property
    def slow(self) -> int:
        return self.balance


class Slotted:
    __slots__ = ("__weakref__", "hits")

    def __init__(self) -> None:
        self.hits = 0


class Dynamic:
    """Has whatever it is asked for."""

    def __getattr__(self, name: str) -> str:
        return name.upper()


class Abstract(abc.ABC):
    @abc.abstractmethod
    def run(self) -> None: ...


class Concrete(Abstract):
    state = "new"

    def run(self) -> None: ...


class Strict:
    __slots__ = ("hits",)


class Registry:
    def __init_subclass__(cls) -> None:
        raise AssertionError


class Guarded:
    def __setattr__(self, name: str, value: object) -> None:
        object.__setattr__(self, name, value)


class Meta(type):
    pass


class Made(metaclass=Meta):
    pass


class Colour(enum.Enum):
    RED = 1


def test_without_a_session_nothing_happens() -> None:
    account = Account()

    assert aiotel.watch(account, "balance") is account
    assert type(account) is Account


def test_a_disabled_session_watches_nothing(telemetry: Telemetry) -> None:
    telemetry.start(disabled=True)
    account = aiotel.watch(Account(), "balance")

    assert type(account) is Account


def test_the_object_is_the_same_to_all_who_ask(telemetry: Telemetry) -> None:
    telemetry.start()
    account, other = Account(), Account()
    watched = aiotel.watch(account, "balance")

    assert watched is account
    assert account.__class__ is Account
    assert isinstance(account, Account)
    cls: Any = type(account)
    assert (cls.__name__, cls.__qualname__, cls.__module__) == ("Account", "Account", __name__)
    assert inspect.getdoc(account) == "An account."
    assert repr(account) == repr(other)
    assert (account == other, other == account) == (True, True)
    assert dataclasses.asdict(account) == {"balance": 100, "owner": "ann"}
    assert dataclasses.replace(account, balance=1) == Account(1)
    assert vars(account) == vars(other)
    assert (account.double, account.slow, account.slow) == (200, 100, 100)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_it_is_pickled_and_copied_with_its_own_class(telemetry: Telemetry, protocol: int) -> None:
    telemetry.start()
    account = aiotel.watch(Account(7), "balance")
    copies = [
        pickle.loads(pickle.dumps(account, protocol)),
        pickle._loads(pickle._dumps(account, protocol)),  # type: ignore[attr-defined]  # the one in Python
        copy.copy(account),
        copy.deepcopy(account),
    ]

    assert [type(each) for each in copies] == [Account] * 4
    assert copies == [Account(7)] * 4


def test_every_kind_of_field_works_as_before(telemetry: Telemetry) -> None:
    telemetry.start()
    slotted = aiotel.watch(Slotted(), "hits")
    slotted.hits += 1
    assert slotted.hits == 1
    del slotted.hits
    with pytest.raises(AttributeError):
        _ = slotted.hits
    dynamic: Any = aiotel.watch(Dynamic(), "word")
    assert dynamic.word == "WORD"
    dynamic.word = "set"
    assert dynamic.word == "set"
    del dynamic.word
    assert dynamic.word == "WORD"
    concrete = aiotel.watch(Concrete(), "state")
    assert concrete.state == "new"
    concrete.state = "old"
    assert (concrete.state, Concrete.state, type(concrete).state) == ("old", "new", "new")
    account = aiotel.watch(Account(), "double", "missing", "slow")
    assert (account.double, account.slow) == (200, 100)
    with pytest.raises(AttributeError):
        account.double = 1  # type: ignore[misc]  # as without
    with pytest.raises(AttributeError) as plain:
        Account().missing  # type: ignore[attr-defined]  # noqa: B018
    with pytest.raises(AttributeError) as error:
        account.missing  # type: ignore[attr-defined]  # noqa: B018
    assert str(error.value) == str(plain.value)


def test_the_class_is_put_back(telemetry: Telemetry) -> None:
    telemetry.start()
    account = aiotel.watch(aiotel.watch(Account(), "balance"), "owner")
    assert set(vars(type(account))) >= {"balance", "owner"}
    aiotel.uninstrument()

    assert type(account) is Account
    assert account == Account()


def test_objects_are_not_kept(telemetry: Telemetry) -> None:
    telemetry.start()
    account = aiotel.watch(Account(), "balance")
    gone = weakref.ref(account)
    del account

    assert gone() is None


@pytest.mark.parametrize(
    ("thing", "words"),
    [
        (Strict(), "__weakref__"),
        (Registry(), "acts on its subclasses"),
        (Guarded(), "attribute access of its own"),
        (Made(), "metaclass"),
        (Colour.RED, "metaclass"),
        (defaultdict(int), "only plain ones"),
        (5, "cannot be watched"),
        ([], "cannot be watched"),
        (sys, "class statement"),
        (len, "class statement"),
    ],
    ids=str,
)
def test_what_cannot_be_watched_says_so_and_is_left_alone(
    telemetry: Telemetry, thing: object, words: str
) -> None:
    telemetry.start()
    cls = type(thing)

    with pytest.raises(aiotel.UnsupportedError, match=words):
        aiotel.watch(thing, "field")
    assert type(thing) is cls


def test_a_dict_comes_back_as_another_one(telemetry: Telemetry) -> None:
    given = {"hits": 1, "name": "ann"}
    without = aiotel.watch(given, "hits")
    assert (without, type(without), without is given) == (given, dict, False)
    telemetry.start()
    watched: Any = aiotel.watch(given, "hits")

    assert (watched, given == watched, watched is given) == (given, True, False)
    assert repr(watched) == repr(given)
    assert json.dumps(watched) == json.dumps(given)
    assert (dict(watched), {**watched}, watched | {}) == (given, given, given)
    copies = [pickle.loads(pickle.dumps(watched)), copy.copy(watched), copy.deepcopy(watched), watched.copy()]
    assert [type(each) for each in copies] == [dict] * 4
    assert copies == [given] * 4
    watched["hits"] += 1
    watched |= {"more": 1}
    watched.update(other=2)
    assert (watched.setdefault("hits", 9), watched.get("no", 3), "hits" in watched) == (2, 3, True)
    assert (watched.pop("more"), watched.pop("more", 5), watched.popitem()) == (1, 5, ("other", 2))
    assert (list(watched), next(iter(watched.items()))) == (["hits", "name"], ("hits", 2))
    del watched["hits"]
    with pytest.raises(KeyError):
        watched["hits"]
    aiotel.uninstrument()
    watched["hits"] = 1
    assert watched["hits"] == 1


def test_a_lost_update_of_a_key_is_told(telemetry: Telemetry, loops: Loops) -> None:
    telemetry.start()
    shared = aiotel.watch({"hits": 0, "misses": 0}, "hits")

    async def add(key: str) -> None:
        hits = shared[key]
        await asyncio.sleep(0)
        shared[key] = hits + len(asyncio.current_task().get_name())  # type: ignore[union-attr]

    async def main() -> None:
        await asyncio.gather(*[asyncio.create_task(add("hits"), name=name) for name in ("a", "bb")])
        await asyncio.gather(*[asyncio.create_task(add("misses"), name=name) for name in ("a", "bb")])

    loops.run(main())
    told = [log.attributes for log in telemetry.logs]
    assert [each["asyncio.lost_update.field"] for each in told] == ["builtins.dict.hits"]


def test_a_lost_update_told_again_is_a_number(telemetry: Telemetry, loops: Loops) -> None:
    telemetry.start()
    account = aiotel.watch(Account(), "balance")

    async def add() -> None:
        balance = account.balance
        await asyncio.sleep(0)
        account.balance = balance + id(asyncio.current_task())

    async def main() -> None:
        for _ in range(3):
            await asyncio.gather(add(), add())

    loops.run(main())
    points = telemetry.metrics()["asyncio.findings"]
    counted = {point.attributes["asyncio.finding.kind"]: point.value for point in points}
    assert counted["lost_update"] == 3
    assert [log.severity_text for log in telemetry.logs] == ["ERROR"]


def test_threads_that_write_do_no_harm(telemetry: Telemetry) -> None:
    telemetry.start()
    account = aiotel.watch(Account(), "balance")

    def write() -> None:
        for number in range(2000):
            account.balance = number
            _ = account.balance

    threads = [threading.Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    asyncio.run(asyncio.to_thread(write))
    for thread in threads:
        thread.join()

    assert account.balance == 1999
    assert telemetry.logs == []


def test_tasks_of_two_loops_are_not_told(telemetry: Telemetry) -> None:
    telemetry.start()
    account = aiotel.watch(Account(), "balance")

    async def put() -> None:
        account.balance = 5

    async def main() -> None:
        balance = account.balance
        await asyncio.to_thread(lambda: asyncio.run(put()))
        account.balance = balance + 1

    asyncio.run(main())
    assert telemetry.logs == []


def test_a_debuggers_frame_is_left_alone(telemetry: Telemetry) -> None:
    telemetry.start()
    account = aiotel.watch(Account(), "balance")

    async def main() -> None:
        frame = sys._getframe()
        frame.f_trace = print
        _ = account.balance
        assert frame.f_trace is print

    asyncio.run(main())


def test_a_debugger_that_comes_later_sees_what_it_would(telemetry: Telemetry) -> None:
    telemetry.start()
    account = aiotel.watch(Account(), "balance")
    lines: list[str] = []

    def tracer(frame: Any, event: str, _: object) -> Any:
        lines.append(frame.f_code.co_name)
        return tracer

    def inner() -> int:
        return 1

    async def main() -> None:
        _ = account.balance
        before = sys.gettrace()
        sys.settrace(tracer)
        try:
            inner()
        finally:
            sys.settrace(before)

    asyncio.run(main())
    assert set(lines) == {"inner"}


def test_what_was_read_ends_with_the_call(telemetry: Telemetry) -> None:
    telemetry.start()
    account = aiotel.watch(Account(), "balance")

    class Value:
        pass

    async def call(values: list[Any]) -> None:
        value = Value()
        values.append(weakref.ref(value))
        _ = account.balance

    async def main() -> None:
        values: list[Any] = []
        await call(values)
        gc.disable()
        try:
            assert values[0]() is None
        finally:
            gc.enable()

    asyncio.run(main())
