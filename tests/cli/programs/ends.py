"""End in the way that the argument names, after threads and exit handlers have had their turn."""

import asyncio
import atexit
import os
import signal
import sys
import threading

way = sys.argv[1]


def last_words() -> None:
    print("from atexit", flush=True)


def wait_for_the_main_thread() -> None:
    threading.main_thread().join()
    print("from a thread", flush=True)


def fail() -> None:
    try:
        os.environ["NO SUCH VARIABLE"]
    except KeyError as error:
        raise ValueError("outer") from error


async def fail_in_a_coroutine() -> None:
    await asyncio.sleep(0)
    fail()


async def wait_for_a_signal(number: signal.Signals) -> None:
    asyncio.get_running_loop().call_soon(os.kill, os.getpid(), number)
    try:
        await asyncio.Event().wait()
    finally:
        print("cleaned up", flush=True)


async def read_stdin() -> None:
    print((await asyncio.to_thread(sys.stdin.readline)).upper(), end="")


atexit.register(last_words)
threading.Thread(target=wait_for_the_main_thread).start()
print("unflushed", end=" ")
if way == "number":
    sys.exit(7)
if way == "text":
    sys.exit("a last line")
if way == "exception":
    fail()
if way == "coroutine":
    asyncio.run(fail_in_a_coroutine())
if way == "group":
    raise ExceptionGroup("both", [ValueError(1), OSError(2)])
if way == "keyboard":
    os.kill(os.getpid(), signal.SIGINT)
if way == "interrupt":
    asyncio.run(wait_for_a_signal(signal.SIGINT))
if way == "terminate":
    asyncio.run(wait_for_a_signal(signal.SIGTERM))
if way == "at once":
    os._exit(9)
if way == "stdin":
    asyncio.run(read_stdin())
