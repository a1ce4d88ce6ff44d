"""One flight: who asks the same at the same time shares one answer, and nobody can take it from the others."""

import asyncio
import gc

import pytest

from common.auth.flight import Flights


class Question:
    """Counts how often it is asked; answers, or fails, when told."""

    def __init__(self) -> None:
        self.asked = 0
        self.answer = asyncio.get_running_loop().create_future()
        self.begun = asyncio.Event()

    async def __call__(self) -> str:
        self.asked += 1
        self.begun.set()
        return str(await self.answer)


@pytest.fixture
async def question() -> Question:
    """A question that nobody has answered yet."""
    return Question()


@pytest.fixture
async def flights() -> Flights[str, str]:
    """No flight is under way."""
    return Flights()


async def test_hundred_share_one(flights: Flights[str, str], question: Question) -> None:
    """A hundred callers, one call, a hundred answers."""
    callers = [asyncio.create_task(flights.join("key", question)) for _ in range(100)]
    await question.begun.wait()
    question.answer.set_result("yes")
    assert await asyncio.gather(*callers) == ["yes"] * 100
    assert question.asked == 1


async def test_keys_do_not_share(flights: Flights[str, str], question: Question) -> None:
    """Another key is another question."""
    question.answer.set_result("yes")
    await asyncio.gather(flights.join("a", question), flights.join("b", question))
    assert question.asked == 2


async def test_answer_is_not_kept(flights: Flights[str, str], question: Question) -> None:
    """Who comes after the landing asks anew: this is no cache."""
    question.answer.set_result("yes")
    await flights.join("key", question)
    await flights.join("key", question)
    assert question.asked == 2


async def test_error_is_everybodys_and_is_not_kept(flights: Flights[str, str], question: Question) -> None:
    """Each of those who waited gets the error; the next asks anew."""
    callers = [asyncio.create_task(flights.join("key", question)) for _ in range(3)]
    await question.begun.wait()
    question.answer.set_exception(LookupError("no"))
    errors = await asyncio.gather(*callers, return_exceptions=True)
    assert [type(error) for error in errors] == [LookupError] * 3
    with pytest.raises(LookupError):
        await flights.join("key", question)
    assert question.asked == 2


@pytest.mark.parametrize("leaver", [0, 1], ids=["the one who started", "one who joined"])
async def test_cancelled_caller_cancels_nobody_else(
    flights: Flights[str, str], question: Question, leaver: int
) -> None:
    """A client that hangs up must not take the answer from those who wait with it."""
    callers = [asyncio.create_task(flights.join("key", question)) for _ in range(3)]
    await question.begun.wait()
    callers[leaver].cancel()
    await asyncio.wait({callers[leaver]})
    question.answer.set_result("yes")
    others = [caller for caller in callers if caller is not callers[leaver]]
    assert await asyncio.gather(*others) == ["yes"] * 2
    assert callers[leaver].cancelled()
    assert question.asked == 1


async def test_late_comer_joins_a_flight_that_everybody_left(flights: Flights[str, str], question: Question) -> None:
    """The call goes on although its only caller went away."""
    caller = asyncio.create_task(flights.join("key", question))
    await question.begun.wait()
    caller.cancel()
    await asyncio.wait({caller})
    late = asyncio.create_task(flights.join("key", question))
    question.answer.set_result("yes")
    assert await late == "yes"
    assert question.asked == 1


async def test_error_nobody_waits_for_is_no_complaint(flights: Flights[str, str], question: Question) -> None:
    """The loop complains about an exception never retrieved; a flight that everybody left is no reason to."""
    complaints: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: complaints.append(context))
    caller = asyncio.create_task(flights.join("key", question))
    await question.begun.wait()
    caller.cancel()
    question.answer.set_exception(LookupError("no"))
    await asyncio.wait({caller, *flights._tasks.values()})
    assert flights._tasks == {}
    gc.collect()
    assert complaints == []


async def test_close_ends_what_is_under_way(flights: Flights[str, str], question: Question) -> None:
    """At shutdown no task is left behind."""
    caller = asyncio.create_task(flights.join("key", question))
    await question.begun.wait()
    await flights.close()
    await asyncio.wait({caller})
    assert caller.cancelled()
    assert flights._tasks == {}
