"""How a bug is planted in a side, beyond what jointbert's faults use too."""

from jointbert.faults.planting import built


def of_class(kind):
    """Every model of another class, which inherits from its own."""

    def change(model):
        model.__class__ = kind

    return built(change)
