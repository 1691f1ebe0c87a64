"""Two sessions cannot both advance one run, and no handoff counts before it lies in the store as a whole."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from relaytune.core.errors import HandoffError, StoreError
from relaytune.core.run_folder import RunFolder
from relaytune.training.lease import EXPIRES_SECONDS, Lease, holder_of, read_log
from relaytune.training.relay import Relay
from relaytune.training.store import Store
from small_handoff import small_handoff


@pytest.fixture(params=["folder", "s3", "gs", "hf"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return str(tmp_path / "store") if request.param == "folder" else str(request.getfixturevalue(request.param))


def session(url: str, name: str) -> Lease:
    return Lease(Store(url, patience_seconds=5), name, f"machine of {name}")


_dead: list[AbstractContextManager[None]] = []  # collected, a context would be left in order


@pytest.fixture(autouse=True)
def _dead_are_buried(url: str) -> Iterator[None]:  # noqa: ARG001, its environment must still be there
    """Sessions that died are ended when their test is over: as Python exits, their store answers no more."""
    yield
    while _dead:
        _dead.pop().__exit__(None, None, None)


def die_holding(lease: Lease) -> Lease:
    """Begin, and never end."""
    context = lease.held()
    context.__enter__()
    _dead.append(context)
    return lease


def fall_silent(url: str, name: str) -> None:
    """As if this session had not been heard of for long."""
    Store(url).write(f"heard/{name}.json", json.dumps({"at": time.time() - 2 * EXPIRES_SECONDS, "step": 7}).encode())


def test_what_one_session_published_the_next_one_fetches(url: str, tmp_path: Path) -> None:
    with (first := session(url, "first")).held():
        first.publish(small_handoff(tmp_path / "there", 3), 3)
    with (second := session(url, "second")).held():
        entry = second.last_handoff
        assert entry is not None
        assert (entry.step, entry.session, entry.machine) == (3, "first", "machine of first")
        place = second.fetch(entry, tmp_path / "here")
        assert (place / "adapter").read_bytes() == b"weights"
        assert second.fetch(entry, tmp_path / "here") == place


def test_a_run_that_a_living_session_holds_is_refused(url: str) -> None:
    refused = pytest.raises(HandoffError, match=r"a session on machine of first holds this run: begun at .*expires")
    with session(url, "first").held(), refused, session(url, "second").held():
        pass
    with session(url, "third").held():
        pass


def test_the_lease_of_a_dead_session_expires_and_tells_how_far_it_came(url: str) -> None:
    die_holding(session(url, "dead"))
    fall_silent(url, "dead")
    later = session(url, "later")
    assert later.before is not None
    assert not later.before.alive
    assert later.before.step == 7
    with later.held():
        pass
    assert holder_of(later.store, read_log(later.store)[1]) is None
    assert later.store.names("heard") == []


def test_a_slow_session_that_wakes_up_cannot_overwrite(url: str, tmp_path: Path) -> None:
    slow = die_holding(session(url, "slow"))
    slow.publish(small_handoff(tmp_path / "slow", 3), 3)
    fall_silent(url, "slow")
    with (quick := session(url, "quick")).held():
        with pytest.raises(HandoffError, match=r"another session has gone on with this run \(machine of quick"):
            slow.publish(small_handoff(tmp_path / "slow", 6, b"of the slow one"), 6)
        quick.publish(small_handoff(tmp_path / "quick", 5, b"of the quick one"), 5)
        with pytest.raises(HandoffError, match="another session has gone on"):
            slow.publish(small_handoff(tmp_path / "slow", 9, b"of the slow one"), 9)
    entry = session(url, "next").last_handoff
    assert entry is not None
    assert (entry.step, entry.session) == (5, "quick")


@pytest.mark.parametrize("races", [20])
def test_of_two_sessions_that_begin_at_once_exactly_one_does(url: str, races: int) -> None:
    for race in range(races):
        barrier = threading.Barrier(2)

        def begin(number: int, place: str = f"{url}/{race}", barrier: threading.Barrier = barrier) -> bool:
            lease = session(place, f"{number}")
            barrier.wait()
            try:
                die_holding(lease)
            except HandoffError:
                return False
            return True

        with ThreadPoolExecutor(2) as pool:
            assert sorted(pool.map(begin, range(2))) == [False, True]


def test_the_last_three_handoffs_are_kept(url: str, tmp_path: Path) -> None:
    with (lease := session(url, "first")).held():
        for step in range(1, 6):
            lease.publish(small_handoff(tmp_path / "here", step), step)
        assert [name[:6] for name in lease.store.names("handoffs")] == ["000003", "000004", "000005"]


def test_a_half_uploaded_handoff_is_never_offered_and_is_cleared_away(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dying = die_holding(session(url, "dying"))
    dying.publish(small_handoff(tmp_path / "dying", 3), 3)

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(dying, "_append", killed)
        with pytest.raises(KeyboardInterrupt):
            dying.publish(small_handoff(tmp_path / "dying", 6), 6)
    assert len(dying.store.names("handoffs")) == 2
    fall_silent(url, "dying")
    with (later := session(url, "later")).held():
        entry = later.last_handoff
        assert entry is not None
        assert entry.step == 3
        later.publish(small_handoff(tmp_path / "later", 4), 4)
        assert [name[:6] for name in later.store.names("handoffs")] == ["000003", "000004"]


def test_a_handoff_that_was_damaged_in_the_store_is_refused(url: str, tmp_path: Path) -> None:
    with (lease := session(url, "first")).held():
        lease.publish(small_handoff(tmp_path / "there", 3), 3)
    (name,) = lease.store.names("handoffs")
    lease.store.write(f"handoffs/{name}/adapter", b"weightz")
    later = session(url, "later")
    entry = later.last_handoff
    assert entry is not None
    with pytest.raises(HandoffError, match="damaged there"):
        later.fetch(entry, tmp_path / "here")
    assert not list((tmp_path / "here").iterdir())


def test_a_handoff_that_was_deleted_makes_room_for_the_one_before(url: str, tmp_path: Path) -> None:
    with (lease := session(url, "first")).held():
        lease.publish(small_handoff(tmp_path / "there", 3), 3)
        lease.publish(small_handoff(tmp_path / "there", 6), 6)
    lease.store.remove(f"handoffs/{lease.store.names('handoffs')[-1]}")
    entry = session(url, "later").last_handoff
    assert entry is not None
    assert entry.step == 3


def test_an_entry_that_a_killed_writer_left_empty_counts_for_nothing(tmp_path: Path) -> None:
    url = str(tmp_path / "store")
    with (lease := session(url, "first")).held():
        lease.publish(small_handoff(tmp_path / "there", 3), 3)
    (tmp_path / "store" / "log" / "000004.json").touch()
    with (later := session(url, "later")).held():
        entry = later.last_handoff
        assert entry is not None
        assert entry.step == 3
    assert read_log(later.store)[0] == 6


def test_a_local_handoff_that_is_damaged_is_not_published(url: str, tmp_path: Path) -> None:
    with (lease := session(url, "first")).held():
        broken = small_handoff(tmp_path / "here", 3)
        (broken / "adapter").write_bytes(b"weightz")
        with pytest.raises(HandoffError, match="altered or cut short"):
            lease.publish(broken, 3)
        assert lease.store.names("handoffs") == []


def test_a_store_that_fails_while_publishing_leaves_the_run_what_it_was(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (lease := session(url, "first")).held():
        lease.publish(small_handoff(tmp_path / "here", 3), 3)

        def down(*_: object, **__: object) -> None:
            raise ConnectionError("down")

        lease.store.patience_seconds = 0.1
        with monkeypatch.context() as patch:
            patch.setattr(lease.store._files, "put_file", down)
            with pytest.raises(StoreError, match="no success in"):
                lease.publish(small_handoff(tmp_path / "here", 6), 6)
        assert (entry := session(url, "onlooker").last_handoff) is not None
        assert entry.step == 3
        lease.publish(tmp_path / "here" / "000006", 6)
    assert (entry := session(url, "later").last_handoff) is not None
    assert entry.step == 6


def test_a_store_that_does_not_answer_stops_no_training_and_gets_the_next_handoff(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    with (lease := session(url, "first")).held():
        relay = Relay(RunFolder(tmp_path / "run"), lease, told.append, lost_steps=0)

        def down(*_: object, **__: object) -> None:
            raise ConnectionError("down")

        with monkeypatch.context() as patch:
            patch.setattr("relaytune.training.relay.BRIEF_PATIENCE_SECONDS", 0.1)
            patch.setattr(lease.store._files, "put_file", down)
            relay.send(small_handoff(tmp_path / "here", 3), 3, last=False, seconds_left=60)
        assert relay.unpublished is not None
        assert told[0].startswith(f"Not published, kept in {tmp_path / 'here' / '000003'}: ")
        relay.send(small_handoff(tmp_path / "here", 6), 6, last=False, seconds_left=60)
        assert relay.unpublished is None
    assert (entry := session(url, "later").last_handoff) is not None
    assert entry.step == 6


def test_the_last_handoff_is_not_tried_beyond_the_limit_of_the_session(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (lease := session(url, "first")).held():
        relay = Relay(RunFolder(tmp_path / "run"), lease, lambda _: None, lost_steps=0)

        def down(*_: object, **__: object) -> None:
            raise ConnectionError("down")

        with monkeypatch.context() as patch:
            patch.setattr(lease.store._files, "put_file", down)
            relay.send(small_handoff(tmp_path / "here", 3), 3, last=True, seconds_left=0.1)
    assert "no success in 0 s" in str(relay.unpublished)
