"""Wrong ports of the toy: each is the candidate with one bug, and names the step that catches it.

A fault's site is what the verdict's reason names.
"""

from itertools import islice

import numpy as np

from jointbert.faults.planting import built, running
from modelparity import Fault
from toy import framework as fw
from toy.candidate import Dense, Optimizer, Rates


def _optimized(change):
    """Every optimizer and schedule, changed in place once they are built."""

    def override(functions):
        def build_optimizer(model, settings, updates):
            optimizer, schedule = functions["build_optimizer"](model, settings, updates)
            change(optimizer, schedule)
            return optimizer, schedule

        return {"build_optimizer": build_optimizer}

    return override


# Step 1


def _norm_eps(model):
    model.norm.eps = 1e-8


def _unmasked_mean(forward, model, batch):
    return forward(model, {**batch, "mask": np.ones_like(batch["mask"])})


class _Transposed(Dense):
    def forward(self, x):
        self.caches.append(x)
        return np.matmul(x, self.params["kernel"].T) + self.params["bias"]


def _transposed(model):
    model.mixer.__class__ = _Transposed


def _first_example_only(forward, model, batch):
    outputs = forward(model, batch)
    first = forward(model, {name: array[:1] for name, array in batch.items()})
    return {**outputs, "loss": first["loss"]}


class _Unbiased(Dense):
    def forward(self, x):
        self.caches.append(x)
        return np.matmul(x, self.params["kernel"])


def _unbiased(model):
    model.mixer.__class__ = _Unbiased


# Step 2


def _complete_batches(evaluation_batches, settings, split):
    return (batch for batch in evaluation_batches(settings, split) if len(batch["label"]) == 16)


def _one_token_less(evaluation_batches, settings, split):
    return evaluation_batches({**settings, "longest": settings["longest"] - 1}, split)


# Step 3


def _mean_of_means(functions):
    def evaluate(model, settings, split):
        dtype = model.mixer.params["kernel"].dtype
        batches = functions["evaluation_batches"](settings, split)
        losses = [
            float(model(b["ids"], b["mask"].astype(dtype), b["label"])["loss"]) for b in batches
        ]
        return {**functions["evaluate"](model, settings, split), "loss": sum(losses) / len(losses)}

    return {"evaluate": evaluate}


def _other_order(evaluate, model, settings, split):
    found = evaluate(model, settings, split)
    return {**found, "predictions": np.sort(found["predictions"])}


# Step 4


def _adam_eps(optimizer, _schedule):
    optimizer.eps = 1e-6


class _EpsInsideRoot(Optimizer):
    def one(self, name, module, key):
        p = module.params[key]
        super().one(name, module, key)
        m, v = (self.state[name][kind] for kind in ("first_moment", "second_moment"))
        m, v = m / (1 - self.betas[0] ** self.count), v / (1 - self.betas[1] ** self.count)
        p = p - self.rate * self.decay_of(name) * p - self.rate * m / np.sqrt(v + self.eps**2)
        module.params[key] = p.astype(m.dtype)


def _eps_inside_root(optimizer, _schedule):
    optimizer.__class__ = _EpsInsideRoot


class _Descent(Optimizer):
    def one(self, name, module, key):
        p, g = module.params[key], module.grads[key]
        self.state[name] = dict.fromkeys(("first_moment", "second_moment"), 0.0 * p)
        p = p - self.rate * (self.decay_of(name) * p + g)
        module.params[key] = p.astype(g.dtype)


def _descent(optimizer, _schedule):
    optimizer.__class__ = _Descent


# Step 5


def _one_ahead(_optimizer, schedule):
    schedule.advance()


class _StartsAtOne(Rates):
    def at(self, k):
        return (k + 1) / self.warmup if self.warmup > k else super().at(k)


def _starts_at_one(optimizer, schedule):
    schedule.__class__ = _StartsAtOne
    optimizer.rate = optimizer.lr * schedule.at(0)


class _AlwaysFalls(Rates):
    def at(self, k):
        return super().at(k) * (0.9**k if self.constant else 1.0)


def _always_falls(_optimizer, schedule):
    schedule.__class__ = _AlwaysFalls


# Step 6


def _always_clipped(update, model, optimizer, schedule, settings):
    found = [(m, k) for _, m in model.modules() for k in m.grads]
    norm = np.sqrt(sum(np.sum(m.grads[k].astype(np.float64) ** 2) for m, k in found))
    for m, k in found:
        m.grads[k] = (m.grads[k] * (settings["max_norm"] / max(norm, 1e-12))).astype(
            m.grads[k].dtype
        )
    update(model, optimizer, schedule, settings)


def _clip_each(update, model, optimizer, schedule, settings):
    for _, module in model.modules():
        for key, gradient in module.grads.items():
            norm = np.sqrt(np.sum(gradient.astype(np.float64) ** 2))
            factor = min(1.0, settings["max_norm"] / (norm + 1e-6))
            module.grads[key] = (gradient * factor).astype(gradient.dtype)
    update(model, optimizer, schedule, settings)


def _decay_everything(optimizer, _schedule):
    optimizer.decay_of = lambda _: optimizer.coefficient


class _Coupled(Optimizer):
    def one(self, name, module, key):
        module.grads[key] = module.grads[key] + self.decay_of(name) * module.params[key]
        coefficient, self.coefficient = self.coefficient, 0.0
        super().one(name, module, key)
        self.coefficient = coefficient


def _coupled(optimizer, _schedule):
    optimizer.__class__ = _Coupled


def _twice_the_rate(model):
    model.drop.rate *= 2.0


# Step 7


def _detached(model):
    def gradient(logits, log_sum, label, share):
        one_hot = np.eye(logits.shape[1], dtype=logits.dtype)[label]
        d = (np.exp(logits - log_sum[:, None]) - one_hot) / len(label)
        d = model.norm.backward(model.drop.backward(model.both.backward(d)))
        d = np.einsum("bd,bt->btd", d, share)
        d = d + model.mixer.backward(model.act.backward(d))
        model.mixer.backward(model.act.backward(d))
        model.embed.backward(d)  # the first residual branch is left out

    model.gradient = gradient


def _frozen(model):
    backward = model.embed.backward

    def without_gradient(dy):
        backward(dy)
        model.embed.grads.clear()

    model.embed.backward = without_gradient


# Step 8


def _same_order(training_batches, settings, _epoch):
    return training_batches(settings, 0)


def _last_batch_dropped(training_batches, settings, epoch):
    batches = list(training_batches(settings, epoch))
    return islice(batches, len(batches) - 1)


# Step 9


def _wider(model):
    model.embed.params["table"] *= np.float32(1.5)


def _biased(model):
    model.both.params["bias"] += np.float32(0.01)


def _drawn_bias(model):
    bias = model.both.params["bias"]
    bias += fw.RNG.normal(0.0, 0.02, bias.shape).astype(np.float32)


def _stored(model):
    kernel = model.mixer.params["kernel"]
    kernel[:] = np.linspace(-0.1, 0.1, kernel.size, dtype=np.float32).reshape(kernel.shape)


def _copied(model):
    both = model.both.params["kernel"]
    model.mixer.params["kernel"][:, :3] = both
    model.mixer.params["kernel"][:, 3:6] = both
    model.mixer.params["kernel"][:, 6:] = both[:, :2]


# Step 10


def _undropped_gradient(model):
    def backward(dy):
        model.drop.caches.pop()
        return dy

    model.drop.backward = backward


class _Forgetful(Optimizer):
    def apply(self):
        if self.count == 30:  # a checkpoint that does not hold the optimizer's state
            self.count = 0
            self.state.clear()
        super().apply()


def _forgetful(optimizer, _schedule):
    optimizer.__class__ = _Forgetful


# None


def _mask_from_ids(forward, model, batch):
    present = (batch["ids"] != 0).astype(batch["mask"].dtype)
    return forward(model, {**batch, "mask": present})


def _twice_clipped(update, model, optimizer, schedule, settings):
    for _, module in model.modules():
        for key, gradient in module.grads.items():
            module.grads[key] = np.clip(gradient, -1e30, 1e30)
    update(model, optimizer, schedule, settings)


FAULTS = (
    Fault("norm-eps", 1, "norm.eps", "another eps in the norm", built(_norm_eps)),
    Fault(
        "unmasked-mean",
        1,
        "glue before norm",
        "the mean runs over padding",
        running("forward", _unmasked_mean),
    ),
    Fault("bias-left-out", 1, "mixer", "no bias, which starts as zero", built(_unbiased)),
    Fault("transposed", 1, "mixer", "a square kernel is transposed", built(_transposed)),
    Fault(
        "loss-of-one",
        1,
        "loss",
        "the loss is that of the first example",
        running("forward", _first_example_only),
    ),
    Fault(
        "last-batch-missing",
        2,
        "dev/2/",
        "partial batches are dropped",
        running("evaluation_batches", _complete_batches),
    ),
    Fault(
        "truncated-early",
        2,
        "dev/0/ids",
        "sequences lose their last token",
        running("evaluation_batches", _one_token_less),
    ),
    Fault("mean-of-means", 3, "dev/loss", "the last batch weighs as the others", _mean_of_means),
    Fault(
        "sorted-predictions",
        3,
        "dev/predictions",
        "predictions come in another order",
        running("evaluate", _other_order),
    ),
    Fault("adam-eps", 4, "eps", "eps 1e-6", _optimized(_adam_eps)),
    Fault(
        "eps-inside-root",
        4,
        "update.0/parameter",
        "eps is added below the root",
        _optimized(_eps_inside_root),
    ),
    Fault("descent", 4, "update.0/parameter", "moments are unused", _optimized(_descent)),
    Fault("one-ahead", 5, "rate/", "the schedule is one update ahead", _optimized(_one_ahead)),
    Fault(
        "warmup-from-one",
        5,
        "warmup=4/rate/",
        "the warm-up starts at 1, not at 0",
        _optimized(_starts_at_one),
    ),
    Fault(
        "always-falls",
        5,
        "step 4/constant=True/rate/",
        "the rate falls where it should be constant",
        _optimized(_always_falls),
    ),
    Fault(
        "always-clipped",
        6,
        "clip/below",
        "gradients are scaled up to the limit too",
        running("update", _always_clipped),
    ),
    Fault("clip-each", 6, "clip/above", "clipped by tensor first", running("update", _clip_each)),
    Fault("decay-all", 6, "bias", "biases and the norm decay", _optimized(_decay_everything)),
    Fault("decay-coupled", 6, "/zero/", "decay in the gradient", _optimized(_coupled)),
    Fault("dropout-rate", 6, "drop", "twice the rate", built(_twice_the_rate)),
    Fault("detached", 7, "embedding.weight", "a residual is cut off", built(_detached)),
    Fault("frozen", 7, "embedding.weight", "the embedding gets no gradient", built(_frozen)),
    Fault(
        "same-order", 8, "epoch.1/0/", "every epoch alike", running("training_batches", _same_order)
    ),
    Fault(
        "short-epoch",
        8,
        "epoch 0 batches",
        "an epoch lacks its last batch",
        running("training_batches", _last_batch_dropped),
    ),
    Fault("wider", 9, "drawn/embedding.weight", "1.5 times the deviation", built(_wider)),
    Fault("repeated", 9, "drawn/mixer.weight", "values that come twice", built(_copied)),
    Fault("drawn-bias", 9, "constant/left.bias", "biases are drawn", built(_drawn_bias)),
    Fault("stored", 9, "drawn/mixer.weight", "the same kernel at every seed", built(_stored)),
    Fault("biased", 9, "constant/left.bias", "biases start at 0.01", built(_biased)),
    Fault(
        "undropped-gradient",
        10,
        "float64/training/loss",
        "gradients pass the dropout undropped",
        built(_undropped_gradient),
    ),
    Fault(
        "forgotten-moments",
        10,
        "float64/training/loss",
        "the optimizer starts anew after 30 updates",
        _optimized(_forgetful),
    ),
    Fault(
        "mask-from-ids",
        1,
        "forward",
        "the mask is read off the tokens",
        running("forward", _mask_from_ids),
        equivalent="padding is the only token 0",
    ),
    Fault(
        "clipped-twice",
        6,
        "clip",
        "elements are clipped at 1e30 too",
        running("update", _twice_clipped),
        equivalent="no gradient is that large",
    ),
)
