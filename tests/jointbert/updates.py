"""One of the processes of test_two_processes.py: losses, gradients and parameters in float64.

`python updates.py torch|paddle JOBS OUT.npz`, with the variables of a launcher. Each
job of a JSON list ({"name", "settings"}) is run by all processes together; then the first one runs
it alone. Without dropout, as in step 7.
"""

import importlib
import json
import sys
from itertools import islice
from typing import Any

import numpy as np

from jointbert import workers

UPDATES = 4


def gradients(model: Any) -> dict[str, Any]:
    return {name: np.array(p.grad.numpy()) for name, p in model.named_parameters()}


def main(framework: str, jobs: list[dict[str, Any]], out: str) -> None:
    library = importlib.import_module(framework)
    library.set_default_dtype(library.float64)
    data, together, network, optimize = (
        importlib.import_module(f"jointbert.in_{framework}.{name}")
        for name in ("data", "together", "model", "optimize")
    )
    make = library.from_numpy if framework == "torch" else library.to_tensor
    ranks = together.join(*workers.place(framework))
    found: dict[str, Any] = {}
    for job in jobs:
        for name, of in (("many", ranks), ("one", together.ALONE)):
            if name == "one" and ranks.rank:
                continue
            settings, start = job["settings"], f"{job['name']}/{name}"
            (library.manual_seed if framework == "torch" else library.seed)(1)
            model = network.build_model(settings)
            model.eval()
            optimizer, schedule = optimize.build_optimizer(model, settings, UPDATES)
            batches = list(islice(data.training_batches(settings, 0), UPDATES - 1))
            alone = {field: array[:1] for field, array in batches[0].items()}
            for number, batch in enumerate([*batches[:1], alone, *batches[1:]]):
                part = together.loss(of, model, {n: make(a) for n, a in batch.items()})
                part.backward()
                found[f"{start}/loss/{number}"] = together.add_up(of, model, part.item())
                for parameter, array in gradients(model).items():
                    found[f"{start}/gradient/{number}/{parameter}"] = array
                optimize.update(model, optimizer, schedule, settings)
                (optimizer.zero_grad if framework == "torch" else optimizer.clear_grad)()
            for parameter, value in model.named_parameters():
                found[f"{start}/updated/{parameter}"] = value.detach().numpy()
    if ranks.rank == 0:
        np.savez(out, **found)


if __name__ == "__main__":
    main(sys.argv[1], json.loads(sys.argv[2]), sys.argv[3])
