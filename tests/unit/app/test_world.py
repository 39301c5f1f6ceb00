"""How the operator calls itself in Leases and intents."""

from conveyor.app.settings import load
from conveyor.app.world import identity
from conveyor.cluster.protocol import Key

POD = {"POD_UID": "uid-1", "POD_NAME": "operator-x2x", "POD_NAMESPACE": "conveyor-system"}


def test_operator_in_a_pod_is_named_by_it() -> None:
    mine = identity(load(POD))
    assert (mine.place, mine.pod()) == ("uid-1", Key("conveyor-system", "operator-x2x"))


def test_operator_outside_a_pod_is_named_by_its_process() -> None:
    assert identity(load({})).place.startswith("host:")


def test_two_processes_in_one_pod_have_two_names() -> None:
    assert not identity(load(POD)).is_process(identity(load(POD)))
