"""The referee: sees each exchange, has it judged by what could be asked meanwhile, and enters it in the journal."""

from typing import Final

from devstack.drill.availability import Availability
from devstack.drill.journal import GUARDED, Journal, Lag, Record
from devstack.drill.judge import Act, Answer, Request, Token, judge
from devstack.drill.sessions import Death
from devstack.drill.wire import Call

REDIS_BUDGET: Final = 0.05  # seconds the services wait for Redis
VERDICT_BUDGET: Final = 0.6  # seconds they wait for user-svc
REDIS_HEARD: Final = ("memory", "redis", "proof")  # who vouches only where Redis has answered
LEFT_ALONE: Final = 2.0  # seconds for which they may then not ask again


class Referee:
    """Judges by what the availability says, into the journal."""

    def __init__(self, availability: Availability, journal: Journal) -> None:
        self._availability = availability
        self._journal = journal

    def see(self, call: Call, answer: Answer, token: Token = Token.GOOD) -> Answer:
        """Judge an exchange with a token that is no dead one."""
        return self._enter(call, answer, Request(call.act, token))

    def see_dead(self, call: Call, answer: Answer, death: Death) -> Answer:
        """Judge an exchange with the token of a session that has ended."""
        heard = death.heard_at is not None and self._availability.sure("todo-svc", death.heard_at, answer.answered)
        return self._enter(call, answer, Request(call.act, Token.DEAD, answer.sent - death.at, heard))

    def could_hear(self, since: float, until: float) -> bool:
        """Whether Redis was there to tell every process."""
        return self._availability.sure("redis", since, until)

    def enter_lag(self, seconds: float | None, *, told: bool) -> None:
        """Note how long a logout took to reach everybody."""
        self._journal.lags.append(Lag(seconds, told))

    def _enter(self, call: Call, answer: Answer, request: Request) -> Answer:
        if call.act in GUARDED:
            self._suspect(call, answer)
        certain = self._availability.during(call.service, answer.sent, answer.answered)
        self._journal.enter(
            Record(
                at=self._journal.at(answer.sent),
                act=Act(call.act),
                status=answer.status,
                source=answer.source,
                seconds=answer.seconds,
                database=certain.postgres,
                wrong=judge(request, answer, certain),
            )
        )
        return answer

    def _suspect(self, call: Call, answer: Answer) -> None:
        """What is slow is as good as away: on a busy machine a piece that is there may answer too late."""
        certain = self._availability.during(call.service, answer.sent, answer.answered)
        until = answer.answered + LEFT_ALONE
        if answer.seconds > VERDICT_BUDGET and certain.verdict:
            self._availability.doubt("user-svc", answer.sent, until)
        if answer.seconds > REDIS_BUDGET and certain.redis and answer.source not in REDIS_HEARD:
            self._availability.doubt("redis", answer.sent, until)
