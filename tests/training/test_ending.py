"""A session that knows its end: what it measured decides, not the wall-clock of this test machine."""

from __future__ import annotations

import math
import signal

import pytest

from relaytune.training.ending import Clock


class Hands:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def hands(monkeypatch: pytest.MonkeyPatch) -> Hands:
    hands = Hands()
    monkeypatch.setattr("relaytune.training.ending.time.monotonic", hands)
    return hands


def test_a_session_stops_while_one_more_step_and_its_save_still_fit(hands: Hands) -> None:
    clock = Clock(began=900.0, limit_seconds=400.0, save_every_seconds=1e9)  # ends at 1300
    with clock.saving():
        hands.now += 20
    hands.now += 40
    clock.stepped()
    # the longest step and the longest save, half as much again, are kept free: 1.5 × (40 + 20) seconds
    hands.now = 1209.0
    assert clock.must_stop() is None
    hands.now = 1211.0
    assert clock.must_stop() == "limit"


def test_without_a_limit_a_session_never_stops_and_saves_by_wall_clock(hands: Hands) -> None:
    clock = Clock(began=1000.0, limit_seconds=math.inf, save_every_seconds=60.0)
    hands.now += 59
    clock.stepped()
    assert not clock.must_save()
    hands.now += 1
    assert clock.must_save()
    with clock.saving():
        hands.now += 3
    assert not clock.must_save()
    hands.now += 1e6
    assert clock.must_stop() is None


def test_the_first_signal_asks_the_second_one_insists(capfd: pytest.CaptureFixture[str]) -> None:
    clock = Clock(0.0, math.inf, math.inf)
    inherited = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
    with clock.listening():
        signal.raise_signal(signal.SIGINT)
        assert clock.must_stop() == "signal"
        assert "Stopping after this step" in capfd.readouterr().err
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) == signal.default_int_handler
    signal.signal(signal.SIGINT, inherited)
