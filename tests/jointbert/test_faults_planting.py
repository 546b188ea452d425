"""Ways to plant faults: what they do to a side's functions, without any framework."""

from types import MappingProxyType

from jointbert.faults import published
from jointbert.faults.planting import composed, running


def twice(function, number):
    return 2 * function(number)


def plus_one(function, number):
    return 1 + function(number)


FUNCTIONS = MappingProxyType({"forward": lambda number: number, "update": lambda number: -number})


def test_composed_overrides_see_the_functions_of_those_before():
    planted = composed(running("forward", twice), running("forward", plus_one))(FUNCTIONS)
    assert planted["forward"](3) == 1 + 2 * 3
    planted = composed(running("forward", plus_one), running("forward", twice))(FUNCTIONS)
    assert planted["forward"](3) == 2 * (1 + 3)


def test_composed_overrides_replace_what_each_of_them_replaces():
    planted = composed(running("forward", twice), running("update", plus_one))(FUNCTIONS)
    assert planted["forward"](3) == 6
    assert planted["update"](3) == -2


def test_nothing_composed_replaces_nothing():
    assert composed()(FUNCTIONS) == {}


def test_composing_leaves_the_given_functions_alone():
    composed(running("forward", twice))(FUNCTIONS)
    assert FUNCTIONS["forward"](3) == 3


def test_the_published_port_strikes_first_where_its_earliest_part_does():
    [fault] = published.FAULTS
    assert fault.step == min(part.step for part in published.PARTS)
    assert fault.site in {part.site for part in published.PARTS if part.step == fault.step}


def test_the_published_ports_cause_lists_all_of_its_parts():
    [fault] = published.FAULTS
    assert all(part.cause in fault.cause for part in published.PARTS)


def test_the_published_port_holds_what_was_found_in_it():
    assert {part.name for part in published.PARTS} == {
        "clip-each-tensor",
        "decay-names-match-nothing",
        "heads-by-kaiming",
        "mask-as-index",
        "not-shuffled",
        "vocabulary-garbled",
    }
