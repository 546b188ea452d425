"""Wrong ports of both nets: each has one bug, and names the step that catches it and the place."""

import math

import paddle
from paddle.nn import functional
from paddle.optimizer import Momentum
from paddle.regularizer import L2Decay

from jointbert.faults.planting import built, running
from modelparity import Fault
from ports import convnet_paddle, gpt_paddle
from ports.planting import of_class

# The convolutional net


def _momentum_of_the_new(model):
    for norm in (model.norm1, model.norm2, model.norm3):
        norm._momentum = 0.1


def _functional_norm(layer, **changes):
    """What a port writes that has no layer for its norms, so that nothing can be read off one."""

    def forward(x):
        arguments = {
            "running_mean": layer._mean,
            "running_var": layer._variance,
            "training": layer.training,
            "momentum": layer._momentum,
            "epsilon": layer._epsilon,
            **{key: change(layer) for key, change in changes.items()},
        }
        return functional.batch_norm(x, weight=layer.weight, bias=layer.bias, **arguments)

    layer.forward = forward


def _hidden_momentum(model):
    _functional_norm(model.norm2, momentum=lambda _: 0.1)


def _hidden_eps(model):
    _functional_norm(model.norm2, epsilon=lambda _: 1e-6)


def _eps(model):
    model.norm2._epsilon = 1e-3


def _biased(model):
    _functional_norm(model.norm1)


def _not_updated(model):
    _functional_norm(
        model.norm3,
        running_mean=lambda layer: layer._mean.clone(),
        running_var=lambda layer: layer._variance.clone(),
    )


def _replicated(model):
    model.stem._padding_mode = "replicate"


def _hidden_replication(model):
    stem = model.stem
    stem.forward = lambda x: functional.conv2d(
        functional.pad(x, [1, 1, 1, 1], mode="replicate"), stem.weight
    )


class _ChannelsLast(convnet_paddle.Net):
    def forward(self, image):
        x = functional.relu(self.norm1(self.stem(image)))
        x = functional.relu(x + self.norm2(self.body(x)))
        x = self.pool(functional.relu(self.norm3(self.down(x))))
        return self.head(self.drop(x.transpose([0, 2, 3, 1]).flatten(1)))


class _CutResidual(convnet_paddle.Net):
    def forward(self, image):
        x = functional.relu(self.norm1(self.stem(image))).detach()
        x = functional.relu(x + self.norm2(self.body(x)))
        x = functional.relu(self.norm3(self.down(x)))
        return self.head(self.drop(self.pool(x).flatten(1)))


def _blue_first(evaluation_batches, settings, split):
    for batch in evaluation_batches(settings, split):
        yield {**batch, "image": batch["image"][:, ::-1].copy()}


def _evaluates_in_training(evaluate, model, settings, split):
    model.train()
    found = evaluate(model, settings, split)
    model.eval()
    return found


def _nesterov(build_optimizer, model, settings, updates):
    schedule = build_optimizer(model, settings, updates)[1]
    decay = settings["weight_decay"]
    optimizer = Momentum(schedule, 0.9, model.parameters(), use_nesterov=True, weight_decay=decay)
    return optimizer, schedule


def _late(build_optimizer, model, settings, updates):
    optimizer, schedule = build_optimizer(model, settings, updates)
    schedule.milestones = [milestone + 1 for milestone in schedule.milestones]
    return optimizer, schedule


def _norms_kept(model):
    for norm in (model.norm1, model.norm2, model.norm3):
        norm.weight.regularizer = norm.bias.regularizer = L2Decay(0.0)


def _same_epoch(training_batches, settings, _epoch):
    return training_batches(settings, 0)


def _normal(model):
    stem = model.stem.weight
    stem.set_value(paddle.normal(0.0, math.sqrt(2 / 27), stem.shape))


# The GPT


def _sees_the_next(model):
    def allowed(length):
        return paddle.tril(paddle.ones([length, length], dtype="bool"), diagonal=1)

    model.first.attention.allowed = allowed


def _keys_asked(model):
    query, key = model.loop.attention.query, model.loop.attention.key
    query.forward, key.forward = key.forward, query.forward


def _unscaled(model):
    model.first.attention.scale = 1.0


def _interleaved(model):
    def heads(x):
        return x.reshape([*x.shape[:2], -1, gpt_paddle.HEADS]).transpose([0, 3, 1, 2])

    model.first.attention.heads = heads


def _untied(model):
    model.scorer = paddle.nn.Linear(gpt_paddle.SIZE, gpt_paddle.TOKENS, bias_attr=False)
    model.head = model.scorer.forward


def _rms_eps(model):
    model.norm.eps = 1e-6


def _hidden_rms_eps(model):
    norm = model.first.norm1

    def forward(x):
        y = x.astype("float32")
        y = y * paddle.rsqrt(y.square().mean(-1, keepdim=True) + 1e-6)
        return y.astype(x.dtype) * norm.weight

    norm.forward = forward


def _from_one(model):
    model.places = lambda length: paddle.arange(1, length + 1)


class _RunsOnce(gpt_paddle.GPT):
    def forward(self, ids):
        x = self.tokens(ids) + self.positions(self.places(ids.shape[1]))
        return self.head(self.norm(self.loop(self.first(x))))


def _paddles_mean(_forward, model, batch):
    logits = model(batch["ids"])
    return {"logits": logits, "loss": functional.cross_entropy(logits, batch["labels"])}


def _unshifted(evaluation_batches, settings, split):
    for batch in evaluation_batches(settings, split):
        yield {**batch, "labels": batch["ids"] * batch["mask"] - 100 * (1 - batch["mask"])}


def _beta(build_optimizer, model, settings, updates):
    optimizer, schedule = build_optimizer(model, settings, updates)
    optimizer._beta2 = 0.999
    return optimizer, schedule


def _longer_warmup(build_optimizer, model, settings, updates):
    warmup = settings["warmup"] and settings["warmup"] + 1
    return build_optimizer(model, {**settings, "warmup": warmup}, updates)


def _clip_each(update, model, optimizer, schedule, settings):
    for parameter in model.parameters():
        if parameter.grad is not None:
            norm = float(parameter.grad.square().sum().sqrt())
            parameter.grad.scale_(min(1.0, settings["max_norm"] / (norm + 1e-6)))
    update(model, optimizer, schedule, settings)


def _clip_without_epsilon(update, model, optimizer, schedule, settings):
    gradients = [p.grad for p in model.parameters() if p.grad is not None]
    norm = float(paddle.sqrt(sum(g.square().sum() for g in gradients)))
    limit = settings["max_norm"] * (1.0 + 1e-6 / max(norm, 1e-6))
    update(model, optimizer, schedule, {**settings, "max_norm": limit})


def _twice_the_rate(model):
    model.first.drop.p *= 2


class _HeadUntrained(gpt_paddle.GPT):
    def head(self, x):
        return paddle.matmul(x, self.tokens.weight.detach(), transpose_y=True)


def _shallow(model):
    for block in (model.first, model.loop):
        block.proj.weight.set_value(block.proj.weight * math.sqrt(6))


CONVNETS = (
    Fault("bn-momentum", 1, "norm1.momentum", "0.1 taken as it is", built(_momentum_of_the_new)),
    Fault("bn-eps", 1, "norm2.eps", "eps 1e-3", built(_eps)),
    Fault("bn-eps-hidden", 1, "norm2:", "eps 1e-6 in a function", built(_hidden_eps)),
    Fault("padding", 1, "stem.padding_mode", "edges repeated", built(_replicated)),
    Fault("padding-hidden", 1, "stem:", "edges repeated", built(_hidden_replication)),
    Fault("channels-last", 1, "glue before drop", "flattened by NHWC", of_class(_ChannelsLast)),
    Fault("bgr", 2, "dev/0/image", "blue first", running("evaluation_batches", _blue_first)),
    Fault("mode", 3, "dev/", "training mode", running("evaluate", _evaluates_in_training)),
    Fault("nesterov", 4, "nesterov", "Nesterov's", running("build_optimizer", _nesterov)),
    Fault("late", 5, "rate/", "an update late", running("build_optimizer", _late)),
    Fault("norms-kept", 6, "norm1.weight", "norms do not decay", built(_norms_kept)),
    Fault("cut", 7, "norm1.bias", "no gradient to the stem", of_class(_CutResidual)),
    Fault("epochs", 8, "epoch.1/0/", "all alike", running("training_batches", _same_epoch)),
    Fault("normal", 9, "drawn/stem.weight", "Paddle's initialiser", built(_normal)),
    Fault("bn-momentum-hidden", 10, "norm2.running_mean", "0.1", built(_hidden_momentum)),
    Fault("bn-biased", 10, "norm1.running_var", "biased variance", built(_biased)),
    Fault("bn-frozen", 10, "norm3.running_mean", "never updated", built(_not_updated)),
)
OUT = "glue before first.attention.out"
GPTS = (
    Fault("causal", 1, OUT, "the next position is seen", built(_sees_the_next)),
    Fault("order", 1, "glue before loop.attention.out", "keys ask", built(_keys_asked)),
    Fault("unscaled", 1, OUT, "no 1 / sqrt(d)", built(_unscaled)),
    Fault("interleaved", 1, OUT, "heads interleaved", built(_interleaved)),
    Fault("untied", 1, "scorer.weight", "a head of its own", built(_untied)),
    Fault("rms-eps", 1, "norm.eps", "eps 1e-6", built(_rms_eps)),
    Fault("rms-eps-hidden", 1, "first.norm1:", "eps 1e-6", built(_hidden_rms_eps)),
    Fault("positions", 1, "glue before positions", "counted from 1", built(_from_one)),
    Fault("once", 1, "loop: runs once", "the block runs once", of_class(_RunsOnce)),
    Fault("mean", 1, "loss:", "divided by padding too", running("forward", _paddles_mean)),
    Fault("unshifted", 2, "dev/0/labels", "no shift", running("evaluation_batches", _unshifted)),
    Fault("beta2", 4, "beta2", "0.999", running("build_optimizer", _beta)),
    Fault("warm-up", 5, "warmup=3/rate/", "longer", running("build_optimizer", _longer_warmup)),
    Fault("clip-each", 6, "clip/above", "clipped by tensor", running("update", _clip_each)),
    Fault("clip-epsilon", 6, "clip/above", "no 1e-6", running("update", _clip_without_epsilon)),
    Fault("dropout", 6, "first.drop", "twice the rate", built(_twice_the_rate)),
    Fault("detached", 7, "tokens.weight", "head untrained", of_class(_HeadUntrained)),
    Fault("shallow", 9, "drawn/first.proj.weight", "unscaled", built(_shallow)),
)
