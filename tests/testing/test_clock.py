"""Time that passes only while everybody waits adds up what is waited for, and nothing else."""

import asyncio
import sys
import time

import pytest

from swarm.testing.clock import run_simulated
from swarm.testing.latency import Delays
from swarm.testing.simulated import Simulated


def test_an_hour_of_waiting_takes_no_time_and_is_an_hour_to_the_moment():
    async def main(loop):
        began = loop.time()
        await asyncio.gather(*(asyncio.sleep(seconds) for seconds in (5, 3_600, 60)))
        return loop.time() - began

    began = time.monotonic()
    assert run_simulated(main) == pytest.approx(3_600)
    assert time.monotonic() - began < 10


def test_what_is_worked_out_takes_no_time_in_this_thread_or_another():
    async def main(loop):
        async def wait_a_little():
            await asyncio.sleep(10)
            return loop.skipped

        waiting = asyncio.create_task(wait_a_little())
        time.sleep(0.02)  # noqa: ASYNC251 - blocks on purpose
        await asyncio.to_thread(time.sleep, 0.05)
        return loop.skipped, await waiting

    assert run_simulated(main) == (0.0, pytest.approx(10))


def test_a_program_that_runs_takes_no_time():
    async def main(loop):
        ticking = asyncio.create_task(asyncio.sleep(1_000))
        program = await asyncio.create_subprocess_exec(sys.executable, "-c", "import time; time.sleep(0.2)")
        code = await program.wait()
        ticking.cancel()
        return code, loop.skipped

    assert run_simulated(main) == (0, 0.0)


def test_things_happen_in_the_order_of_their_times():
    async def main(loop):
        order = []

        async def at(seconds):
            await asyncio.sleep(seconds)
            order.append(seconds)

        await asyncio.gather(*(at(seconds) for seconds in (3, 1, 2, 0.5)))
        return order

    assert run_simulated(main) == [0.5, 1, 2, 3]


def test_a_request_over_a_socket_takes_what_the_provider_is_set_to_take(connect, read):
    """The median of 20 seconds, and half a second for each token of the reply; the bytes take nothing."""

    async def main(loop):
        delays = Delays(median_seconds=20, token_seconds=0.5)
        async with Simulated(delays=delays).provider(clock=loop.time).here() as provider:
            model = connect("chat", provider)
            replies = await asyncio.gather(
                *(model.call(read(f"Ida {n} kept it."), max_output=500) for n in (1, 2))
            )
            took = loop.skipped
            await model.close()
        return took, max(reply.usage.output_tokens for reply in replies)

    took, tokens = run_simulated(main)
    assert took == pytest.approx(20 + 0.5 * tokens, abs=0.01)
