"""How a bug is planted in a side: one of its functions is replaced by another."""


def built(change):
    """Every model, changed in place once it is built."""

    def override(functions):
        def build_model(settings):
            model = functions["build_model"](settings)
            change(model)
            return model

        return {"build_model": build_model}

    return override


def of_class(kind):
    """Every model of another class, which inherits from its own."""

    def change(model):
        model.__class__ = kind

    return built(change)


def around(name, wrapped):
    """`wrapped(function, *arguments)` in place of the side's function `name`."""

    def override(functions):
        return {name: lambda *arguments: wrapped(functions[name], *arguments)}

    return override
