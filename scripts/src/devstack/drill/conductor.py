"""The conductor: plays the phases one after the other while the traffic goes on."""

import asyncio
import time
from collections.abc import Sequence
from typing import Final

from devstack.drill.availability import Availability
from devstack.drill.journal import Chapter, Journal
from devstack.drill.phases import Phase, Step
from devstack.drill.recovery import Recovery
from devstack.drill.screen import Screen
from devstack.drill.stack import Stack

CALM: Final = 2.0  # seconds with nothing away, at the beginning and at the end
LAST_PATIENCE: Final = 35.0  # at the end: a circuit breaker stays open for 30 seconds at most


class Conductor:
    """Takes pieces away and brings them back."""

    def __init__(
        self, stack: Stack, recovery: Recovery, *, availability: Availability, journal: Journal, screen: Screen
    ) -> None:
        self._stack = stack
        self._recovery = recovery
        self._availability = availability
        self._journal = journal
        self._screen = screen

    async def play(self, phases: Sequence[Phase], *, end: float, patience: float) -> None:
        """Play what can be done by `end`, in the journal's time; wait `patience` seconds for each recovery."""
        with self._screen.chapter(self._journal.begin("all there")) as chapter:
            await self._calm(chapter)
        for phase in phases:
            if obstacle := self._obstacle(phase, end):
                self._journal.notes.append(f"left out: {phase.title} ({obstacle})")
                continue
            with self._screen.chapter(self._journal.begin(phase.title)) as chapter:
                await self._play(phase, chapter, patience)
        with self._screen.chapter(self._journal.begin("all there again")) as chapter:
            await self._recover(chapter, LAST_PATIENCE)
            await self._calm(chapter)

    def _obstacle(self, phase: Phase, end: float) -> str | None:
        late = self._journal.now + phase.length > end
        return self._stack.obstacle(phase) or ("no time was left" if late else None)

    async def _calm(self, chapter: Chapter) -> None:
        await asyncio.sleep(CALM)
        chapter.ended = self._journal.now

    async def _play(self, phase: Phase, chapter: Chapter, patience: float) -> None:
        for piece in phase.pieces:
            self._availability.doubt(piece, time.monotonic())
        await self._do(phase.away)
        await asyncio.sleep(phase.seconds)
        chapter.back = self._journal.now
        await self._do(phase.back)
        await self._recover(chapter, patience)
        chapter.ended = self._journal.now

    async def _do(self, steps: Sequence[Step]) -> None:
        for step in steps:
            await self._stack.do(step)

    async def _recover(self, chapter: Chapter, patience: float) -> None:
        chapter.recovered = await self._recovery.wait(patience)
        if chapter.recovered:
            self._availability.trust(time.monotonic())
