"""Send functions and objects of `__main__` to a process that is started anew."""

import multiprocessing
import pickle
import sys


class Order:
    """Pickled by reference to `__main__`."""

    def __init__(self, number: int) -> None:
        self.number = number


def pay(order: Order) -> tuple[int, str, list[str]]:
    return order.number, __name__, sys.argv


if __name__ == "__main__":
    print(type(pickle.loads(pickle.dumps(Order(1)))) is Order)
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        print(pool.map(pay, [Order(1), Order(2)]))
