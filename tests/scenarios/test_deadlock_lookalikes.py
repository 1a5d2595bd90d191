"""Programs that look deadlocked and are not: nothing is told of them, however often they are looked at."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap

import pytest

from ..conftest import Loops
from .deadlocked import run_silent

HEAD = """
import asyncio, socket, threading, time
from contextlib import AsyncExitStack, asynccontextmanager, suppress
import anyio

async def both(x, y):
    async with x:
        await asyncio.sleep(0.001)
        async with y:
            pass

async def wants(x):
    async with x:
        pass

async def holds(x, until):
    async with x:
        await until

"""

SILENT = {
    "the holder sleeps": """
        async def main():
            lock = asyncio.Lock()
            await asyncio.gather(holds(lock, asyncio.sleep(100)), wants(lock), wants(lock))
        """,
    "the holder waits for an event": """
        async def main():
            lock, event = asyncio.Lock(), asyncio.Event()
            asyncio.get_running_loop().call_later(100, event.set)
            await asyncio.gather(holds(lock, event.wait()), wants(lock))
        """,
    "the holder reads from a socket": """
        async def main():
            here, there = socket.socketpair()
            reader, writer = await asyncio.open_connection(sock=here)
            lock = asyncio.Lock()
            try:
                await asyncio.gather(holds(lock, reader.read(1)), wants(lock))
            finally:
                writer.close()
                there.close()
        """,
    "the holder waits for a thread": """
        async def main():
            lock, go = asyncio.Lock(), threading.Event()
            try:
                call = asyncio.get_running_loop().run_in_executor(None, go.wait, 20)
                await asyncio.gather(holds(lock, call), wants(lock))
            finally:
                go.set()
        """,
    "each waits with a timeout of its own": """
        async def ONE(x, y):
            async with x:
                await asyncio.sleep(0.001)
                async with asyncio.timeout(100):
                    async with y:
                        pass
        async def main():
            A, B = asyncio.Lock(), asyncio.Lock()
            await asyncio.gather(ONE(A, B), ONE(B, A))
        """,
    "each waits by wait_for": """
        async def ONE(x, y):
            async with x:
                await asyncio.sleep(0.001)
                await asyncio.wait_for(y.acquire(), 100)
        async def main():
            A, B = asyncio.Lock(), asyncio.Lock()
            await asyncio.gather(ONE(A, B), ONE(B, A))
        """,
    "anyio's deadline": """
        async def ONE(x, y):
            async with x:
                await asyncio.sleep(0.001)
                with anyio.fail_after(100):
                    async with y:
                        pass
        async def main():
            A, B = asyncio.Lock(), asyncio.Lock()
            await asyncio.gather(ONE(A, B), ONE(B, A))
        """,
    "semaphores that anybody may release": """
        async def main():
            A, B = asyncio.Semaphore(1), asyncio.Semaphore(1)
            await asyncio.gather(both(A, B), both(B, A))
        """,
    "one of the holders of a semaphore is alive": """
        async def main():
            A, B = asyncio.BoundedSemaphore(2), asyncio.Lock()
            await asyncio.gather(both(A, B), both(B, A), holds(A, asyncio.sleep(100)), wants(A))
        """,
    "a lock that was acquired without a block": """
        async def main():
            lock = asyncio.Lock()
            await lock.acquire()
            asyncio.get_running_loop().call_later(100, lock.release)
            await asyncio.gather(wants(lock), wants(lock))
        """,
    "a lock that was released by hand inside its block": """
        async def ONE(x, y, go):
            async with x:
                x.release()
                go.set()
                await asyncio.sleep(0.005)
                async with y:
                    pass
                await x.acquire()
        async def OTHER(x, y):
            async with y:
                await asyncio.sleep(0.005)
                async with x:
                    pass
        async def HOLDER(x, go):
            await go.wait()
            await x.acquire()
            await asyncio.sleep(100)
        async def main():
            A, B, go = asyncio.Lock(), asyncio.Lock(), asyncio.Event()
            await asyncio.gather(ONE(A, B, go), HOLDER(A, go), OTHER(A, B))
        """,
    "a condition that is waited for": """
        async def ONE(condition):
            async with condition:
                await condition.wait()
        async def main():
            condition = asyncio.Condition()
            await asyncio.gather(ONE(condition), ONE(condition))
        """,
    "a condition whose holder has notified and works on": """
        async def ONE(condition):
            async with condition:
                await condition.wait()
        async def main():
            condition = asyncio.Condition()
            tasks = [asyncio.create_task(ONE(condition)) for _ in range(3)]
            await asyncio.sleep(0.005)
            await condition.acquire()
            condition.notify_all()
            try:
                await asyncio.sleep(100)
            finally:
                condition.release()
        """,
    "a gather of which one lives": """
        async def main():
            lock = asyncio.Lock()
            async with lock:
                await asyncio.gather(wants(lock), asyncio.sleep(100))
        """,
    "a task group of which one lives": """
        async def main():
            lock = asyncio.Lock()
            async with lock:
                async with asyncio.TaskGroup() as group:
                    group.create_task(wants(lock))
                    group.create_task(asyncio.sleep(100))
        """,
    "the first of several": """
        async def main():
            lock = asyncio.Lock()
            async with lock:
                tasks = [asyncio.create_task(wants(lock)), asyncio.create_task(asyncio.sleep(100))]
                await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        """,
    "a wait with a timeout": """
        async def main():
            lock = asyncio.Lock()
            async with lock:
                await asyncio.wait([asyncio.create_task(wants(lock))], timeout=100)
        """,
    "a lock with rules of its own": """
        class Reentrant(asyncio.Lock):
            def release(self):
                super().release()
        async def main():
            lock = Reentrant()
            async with lock:
                await asyncio.create_task(wants(lock))
        """,
    "a crowd that hands on one lock": """
        async def ONE(lock):
            while True:
                async with lock:
                    await asyncio.sleep(0)
        async def main():
            lock = asyncio.Lock()
            await asyncio.gather(*(ONE(lock) for _ in range(30)))
        """,
    "consumers and producers that take turns": """
        async def ONE(queue):
            while True:
                await queue.put(1)
                await asyncio.sleep(0.001)
        async def OTHER(queue):
            while True:
                await queue.get()
        async def main():
            queue = asyncio.Queue(1)
            await asyncio.gather(*(ONE(queue) for _ in range(3)), *(OTHER(queue) for _ in range(3)))
        """,
    "consumers of an empty queue, under a lock": """
        async def ONE(queue, lock):
            async with lock:
                await queue.get()
        async def main():
            queue, lock = asyncio.Queue(), asyncio.Lock()
            await asyncio.gather(ONE(queue, lock), ONE(queue, lock), asyncio.sleep(100))
        """,
    "a block whose stack was moved away": """
        async def ONE(lock, kept):
            async with AsyncExitStack() as stack:
                await stack.enter_async_context(lock)
                kept.append(stack.pop_all())
                await wants(lock)
        async def main():
            kept, lock = [], asyncio.Lock()
            task = asyncio.create_task(ONE(lock, kept))
            await asyncio.sleep(100)
        """,
    "a limiter of anyio's": """
        async def main():
            limiter = anyio.CapacityLimiter(1)
            await asyncio.gather(holds(limiter, asyncio.sleep(100)), wants(limiter))
        """,
    "the holder of anyio's lock lives": """
        async def main():
            lock = anyio.Lock()
            await asyncio.gather(holds(lock, asyncio.sleep(100)), wants(lock))
        """,
    "a future that a thread will complete": """
        async def main():
            loop = asyncio.get_running_loop()
            lock, future, go = asyncio.Lock(), loop.create_future(), threading.Event()
            def complete():
                go.wait(20)
                with suppress(RuntimeError):
                    loop.call_soon_threadsafe(lambda: future.done() or future.set_result(1))
            thread = threading.Thread(target=complete)
            thread.start()
            try:
                await asyncio.gather(holds(lock, future), wants(lock))
            finally:
                go.set()
                thread.join()
        """,
    "a parent that awaits a server": """
        async def main():
            server = await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0)
            async with server:
                await asyncio.create_task(server.serve_forever())
        """,
    "a barrier that is not full": """
        async def main():
            barrier = asyncio.Barrier(3)
            await asyncio.gather(barrier.wait(), barrier.wait(), asyncio.sleep(100))
        """,
    "a subprocess": """
        async def main():
            lock = asyncio.Lock()
            process = await asyncio.create_subprocess_exec("sleep", "20")
            try:
                await asyncio.gather(holds(lock, process.wait()), wants(lock))
            finally:
                process.kill()
                await process.wait()
        """,
    "a deadlock that is soon over": """
        async def main():
            while True:
                A, B = asyncio.Lock(), asyncio.Lock()
                tasks = [asyncio.create_task(both(A, B)), asyncio.create_task(both(B, A))]
                await asyncio.sleep(0.02)
                tasks[0].cancel()
                await asyncio.wait(tasks)
        """,
    "a condition that another task waits on for it": """
        async def ONE(condition):
            await asyncio.sleep(0.005)
            async with condition:
                condition.notify_all()
                while True:
                    await asyncio.sleep(0.001)
        async def main():
            condition = asyncio.Condition()
            task = asyncio.create_task(ONE(condition))
            async with condition:
                await asyncio.create_task(condition.wait())
        """,
    "a generator that another task has taken over": """
        async def rows(lock):
            async with lock:
                yield "header"
                while True:
                    await asyncio.sleep(0.001)
                    yield "row"
        async def ONE(generator):
            async for _ in generator:
                pass
        async def main():
            lock = asyncio.Lock()
            generator = rows(lock)
            await anext(generator)
            task = asyncio.create_task(ONE(generator))
            await asyncio.create_task(wants(lock))
        """,
    "a lock that a block inside has released": """
        @asynccontextmanager
        async def unlocked(lock):
            lock.release()
            try:
                yield
            finally:
                await lock.acquire()
        async def ONE(lock):
            async with lock:
                while True:
                    await asyncio.sleep(0.001)
        async def main():
            lock = asyncio.Lock()
            async with lock, unlocked(lock):
                task = asyncio.create_task(ONE(lock))
                await asyncio.sleep(0)
                try:
                    await asyncio.create_task(wants(lock))
                finally:
                    task.cancel()
        """,
    "a lock that a function has released": """
        def free(lock):
            lock.release()
        async def ONE(lock):
            async with lock:
                while True:
                    await asyncio.sleep(0.001)
        async def main():
            lock = asyncio.Lock()
            async with lock:
                free(lock)
                task = asyncio.create_task(ONE(lock))
                await asyncio.sleep(0)
                try:
                    await asyncio.create_task(wants(lock))
                finally:
                    task.cancel()
                    await lock.acquire()
        """,
    "a lock in a variable, and a block that is being left": """
        @asynccontextmanager
        async def slow(waiting):
            yield
            await waiting
        async def ONE(lock):
            async with lock:
                while True:
                    await asyncio.sleep(0.001)
        async def main():
            A, B = asyncio.Lock(), asyncio.Lock()
            task = asyncio.create_task(ONE(B))
            await asyncio.sleep(0)
            leave = B.__aexit__
            async with A:
                async with slow(asyncio.create_task(wants(B))):
                    pass
        """,
    "a lock in a variable only": """
        async def ONE(x, y):
            leave = x.__aexit__
            with suppress(ValueError):
                async with y:
                    pass
            return leave
        async def main():
            A, B = asyncio.Lock(), asyncio.Lock()
            await A.acquire()
            asyncio.get_running_loop().call_later(100, A.release)
            await asyncio.gather(ONE(A, B), both(B, A))
        """,
}


@pytest.mark.slow
@pytest.mark.parametrize("name", SILENT)
def test_nothing_is_told(loops: Loops, capsys: pytest.CaptureFixture[str], name: str) -> None:
    found = run_silent(loops, capsys, HEAD + textwrap.dedent(SILENT[name]), "ONE", "OTHER", "HOLDER")

    assert [] == [log.body for log in found.logs]
    assert {} == found.told.counts("asyncio.findings")


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="threads that Python does not know are not seen")
def test_a_loop_that_nothing_can_wake_is_told(capsys: pytest.CaptureFixture[str]) -> None:

    program = textwrap.dedent(
        """
        import asyncio, aiotel

        async def consume(queue):
            await queue.get()

        async def main():
            await asyncio.create_task(consume(asyncio.Queue()))

        aiotel.instrument(aiotel.Config(look_interval=0.05))
        asyncio.run(main())
        """
    )
    environ = {**os.environ, "PYTHONUNBUFFERED": "1"}
    process = subprocess.Popen(
        [sys.executable, "-c", program], stderr=subprocess.PIPE, text=True, env=environ
    )
    try:
        assert process.stderr is not None
        line = process.stderr.readline()
    finally:
        process.kill()
        process.communicate(timeout=20)

    assert "nothing can wake this event loop any more, all 2 tasks wait for ever" in line
