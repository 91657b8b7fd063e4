"""The bound on memory: whom it stops, whom it drops, and when it goes on."""

from __future__ import annotations

import pytest

from Products.ERP5Wendelin.ingestion.forward.memory import Memory
from Products.ERP5Wendelin.protocol import MIB
from support.clock import Clock

HALF = 16 * MIB


class Agent:
    """A connection that notes what is done to it."""

    def __init__(self, memory: Memory, held: int, since: float) -> None:
        self.held = held
        self.since = since
        self.paused = 0
        self.reason = ""
        self._memory = memory
        memory.change(held)

    def pause(self) -> None:
        self.paused += 1

    def resume(self) -> None:
        self.paused -= 1

    def drop(self, reason: str) -> None:
        self.reason = reason
        self._memory.change(-self.held)
        self.held = 0


class Lake:
    """Memory with agents, and a committer of which only what waits is there."""

    def __init__(self) -> None:
        self.agents: list[Agent] = []
        self.waiting = 0
        self.memory = Memory(2 * HALF, self.agents, lambda: self.waiting, Clock(100.0))

    def agent(self, held: int, since: float = 90.0) -> Agent:
        self.agents.append(Agent(self.memory, held, since))
        return self.agents[-1]


@pytest.fixture
def lake():
    return Lake()


def test_nobody_is_read_while_the_half_for_complete_messages_is_full(lake):
    agents = [lake.agent(0), lake.agent(100)]
    lake.waiting = HALF
    lake.memory.look()
    assert [agent.paused for agent in agents] == [0, 0]
    lake.waiting = HALF + 1
    lake.memory.look()
    lake.memory.look()
    assert [agent.paused for agent in agents] == [1, 1]
    assert lake.memory.full
    lake.waiting = HALF
    lake.memory.look()
    assert [agent.paused for agent in agents] == [0, 0]
    assert not lake.memory.full
    assert not any(agent.reason for agent in agents)


def test_messages_that_have_begun_may_take_what_complete_ones_leave(lake):
    first, second = lake.agent(HALF), lake.agent(HALF - 100, since=50.0)
    lake.waiting = 100
    lake.memory.look()
    assert (first.reason, second.reason) == ("", "")
    lake.waiting = 101
    lake.memory.look()
    assert "takes most" in second.reason
    assert first.reason == ""


def test_the_message_that_takes_most_is_dropped_when_there_is_no_room_for_those_that_have_begun(lake):
    lake.waiting = HALF
    fast, slow, small = lake.agent(8 * MIB, since=99.0), lake.agent(7 * MIB, since=40.0), lake.agent(MIB + 1, since=0.0)
    lake.memory.look()
    assert slow.reason == (
        "memory is full of messages that are not complete, and this one, of 7340032 bytes in 60 seconds, takes most: "
        "send smaller chunks, from fewer agents at a time, or raise --max-memory"
    )
    assert (fast.reason, small.reason) == ("", "")
    assert not any(agent.paused for agent in lake.agents)


def test_as_many_are_dropped_as_it_takes(lake):
    lake.waiting = HALF
    agents = [lake.agent(MIB // 2, since=number) for number in range(33)]
    lake.memory.look()
    assert [bool(agent.reason) for agent in agents] == [True] * 3 + [False] * 30


def test_what_waits_to_be_committed_has_nobody_dropped(lake):
    agent = lake.agent(HALF)
    lake.waiting = 4 * HALF
    lake.memory.look()
    assert (agent.reason, agent.paused) == ("", 1)
