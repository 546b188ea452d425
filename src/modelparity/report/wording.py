"""The words of alignment.md, in English and in the Chinese of the published record."""

from collections.abc import Mapping
from dataclasses import dataclass

from modelparity.model import Outcome


@dataclass(frozen=True)
class Wording:
    """One language: `steps` holds ten headings; `figures` head the tables of one figure."""

    title: str
    intro: str
    steps: tuple[str, ...]
    encoder: str
    whole: str
    figures: Mapping[int, str]
    outcomes: Mapping[Outcome | None, str]
    ours: str
    most: str
    published: str
    outcome: str
    compared: str
    arrays: str
    off: str
    ratio: str
    facts: str
    parameters: str
    log: str
    largest: str
    scores: str
    reference: str
    candidate: str
    keys: str
    truth: str
    no_figure: str
    not_compared: str
    unclaimed: str


ENGLISH = Wording(
    title="Alignment record",
    intro=(
        "Mean absolute differences between candidate and reference, beside the outcome of the "
        "step. `passed` follows that outcome, not the size of the mean."
    ),
    steps=(
        "Model structure alignment",
        "Validation/test data reading alignment",
        "Evaluation metric and forward loss alignment",
        "Optimizer alignment",
        "Learning rate alignment",
        "Regularisation strategy alignment",
        "Backward alignment",
        "Training data reading alignment",
        "Network initialisation alignment",
        "Model training alignment",
    ),
    encoder="Precision of the pretrained model",
    whole="Precision of the whole model",
    figures={
        5: "precision of the learning rate",
        7: "precision of backward",
        8: "precision of the training data",
    },
    outcomes={
        Outcome.ALIGNED: "aligned",
        Outcome.DIVERGED: "diverged",
        Outcome.INCONCLUSIVE: "inconclusive",
        None: "not compared",
    },
    ours="mean difference",
    most="largest mean difference",
    published="published",
    outcome="Outcome",
    compared="Compared",
    arrays="compared",
    off="not aligned",
    ratio="worst / limit",
    facts="settings and names",
    parameters="parameters",
    log="Log: {count} names",
    largest="largest of {count} names",
    scores="Scores at the end",
    reference="reference",
    candidate="candidate",
    keys="Published figures",
    truth=(
        "Each row gives the largest mean of its arrays. Where float32 is judged as noise, it is "
        "measured against the reference's float64."
    ),
    no_figure="The published record gives no figure for this step: *{words}*",
    not_compared="nothing was compared",
    unclaimed="Not claimed: this step was not requested.",
)

CHINESE = Wording(
    title="对齐工作说明",
    intro=(
        "候选实现与参考实现之间的平均绝对误差, 并列出该步骤的结论。"
        "`passed` 取决于结论, 而不是误差均值的大小。"
    ),
    steps=(
        "模型结构对齐",
        "验证/测试集数据读取对齐",
        "评估指标和前向损失对齐",
        "优化器对齐",
        "学习率对齐",
        "正则化策略对齐",
        "反向对齐",
        "训练集数据读取对齐",
        "网络初始化对齐",
        "模型训练对齐",
    ),
    encoder="预训练模型精度",
    whole="整体模型精度",
    figures={5: "学习率对齐精度", 7: "反向对齐精度", 8: "训练集数据对齐精度"},
    outcomes={
        Outcome.ALIGNED: "对齐",
        Outcome.DIVERGED: "未对齐",
        Outcome.INCONCLUSIVE: "无法判定",
        None: "未比较",
    },
    ours="平均误差",
    most="最大平均误差",
    published="已发布",
    outcome="结论",
    compared="比较范围",
    arrays="比较项",
    off="未对齐项",
    ratio="最大误差 / 允许值",
    facts="配置与名称",
    parameters="参数",
    log="日志: {count} 项",
    largest="{count} 项中的最大值",
    scores="最终指标",
    reference="参考",
    candidate="候选",
    keys="已发布的数值",
    truth=(
        "每行给出其中各数组平均误差的最大值。按噪声判定的 float32 与参考实现的 float64 结果比较。"
    ),
    no_figure="已发布的文档没有给出该步骤的数值: *{words}*",
    not_compared="没有可比较的内容",
    unclaimed="未声明: 本次没有请求该步骤。",
)

LANGUAGES: Mapping[str, Wording] = {"en": ENGLISH, "zh": CHINESE}
