"""The recipes by name, and what to expect of each."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ..codec.config import MICRO, PAPER, TINY
from .recipe import Recipe

BALANCED = (10.0, 3.0, 1.0)
PHOTO = replace(  # 5.2 M parameters, 21 MB: between TINY's 1.9 M and PAPER's 25 M
    TINY, blocks=(76, 134, 192), N=(64, 112, 160), N_hyper=64, depths=(1, 2, 4, 1, 1), heads=(4, 8, 8, 4, 4),
    entropy_hidden=(480, 384), delta_dim=64,
)  # fmt: skip

ON_GPU: dict[str, Any] = {"bf16": True, "recorded": True, "fast_layout": True}  # how what is meant for one computes

ONE_BLOCK = replace(TINY, blocks=(160,))  # mu and sigma from z alone, as the hyperprior codecs of other papers have it

RECIPES = {
    "ci": Recipe("ci", MICRO, "shapes:1500", "shapes", "shapes", steps=450, learning_rate=2e-3,
                 gamma=(0.05, 0.05, 0.05), level_weight=BALANCED, task_from=0.4, start_step=48.0, ema=0.98),
    "tiny64-rd": Recipe("tiny64-rd", TINY, "tiny-imagenet-train", "tiny-clip", "", steps=4500, gamma=(0.0, 0.0, 0.0),
                        level_weight=BALANCED),
    "tiny64": Recipe("tiny64", TINY, "tiny-imagenet-train", "tiny-clip", "tiny", steps=10000, learning_rate=8e-4,
                     lam=(1e-4, 1e-3, 2e-2), gamma=(0.1, 0.15, 0.3), level_weight=BALANCED, jitter=0.08,
                     features="mobilenet_edgetpu_1.0@96", feature_weight=(0.4, 0.8, 2.0),
                     large="imagenette-woof-224-train"),
    "tiny64-control": Recipe("tiny64-control", TINY, "tiny-imagenet-train", "tiny-clip", "", steps=4000,
                             learning_rate=5e-4, gamma=(0.0, 0.0, 0.0), level_weight=BALANCED,
                             large="imagenette-woof-224-train", large_every=8),
    "tiny64-transfer": Recipe("tiny64-transfer", TINY, "tiny-imagenet-train", "tiny-clip", "tiny", steps=4000,
                              learning_rate=5e-4, gamma=(0.45, 0.4, 0.3), level_weight=BALANCED, target="clean",
                              label_smoothing=0.0, second="mobilenet_edgetpu_1.0@128", second_every=2, jitter=0.08,
                              cut_share=0.6, large="imagenette-woof-224-train", large_every=8),
    "photo192": Recipe("photo192", TINY, "imagenette-woof-224-train", "imagenet-clip", "mobilenet_edgetpu_1.0",
                       steps=2814, size=192, batch_size=8, learning_rate=3e-4, gamma=(0.05, 0.1, 0.2),
                       level_weight=BALANCED, classes="all", target="clean", label_smoothing=0.0, jitter=0.08),
    "photo224": Recipe("photo224", PHOTO, "imagenette-woof-224-train", "imagenet-clip", "mobilenet_edgetpu_1.0",
                       steps=100_000, size=192, batch_size=16, learning_rate=5e-4, gamma=(0.05, 0.1, 0.2),
                       level_weight=BALANCED, target="clean", **ON_GPU),
    "paper": Recipe("paper", PAPER, "imagenet/train:80", "imagenet-clip", "torchvision/resnet50", steps=1_000_000,
                    size=256, batch_size=8, learning_rate=1e-4, one_level_a_step=False, cut_share=0.0, clip=1.0,
                    **ON_GPU),
}  # fmt: skip

RECIPES["tiny64-gpu"] = replace(
    RECIPES["tiny64"], name="tiny64-gpu", batch_size=128, learning_rate=1.5e-3, **ON_GPU,
)  # fmt: skip
RECIPES["photo192-gpu"] = replace(
    RECIPES["photo192"], name="photo192-gpu", steps=7200, batch_size=16, learning_rate=5e-4,
    features="mobilenet_edgetpu_1.0@160", feature_weight=(0.1, 0.4, 1.0), **ON_GPU,
)  # fmt: skip

RECIPES |= {  # the peers' backbones (baselines): as many updates as `tiny` on the same pictures, one lambda, no cuts
    f"{name}64{suffix}": replace(
        RECIPES[base], name=f"{name}64{suffix}", codec=ONE_BLOCK, classifier=classifier, lam=(1e-2,), gamma=(gamma,),
        level_weight=(1.0,), features="", feature_weight=(), cut_share=0.0, jitter=0.0, y_step=y_step,
    )
    for name, y_step in (("trits", (1.0, 1.0)), ("plonq", (1.0, 9.0)))
    for suffix, base, classifier, gamma in (
        ("-start", "tiny64-rd", "", 0.0),
        ("-rd", "tiny64", "", 0.0),
        ("", "tiny64", "tiny", 0.3),
    )
}  # fmt: skip

# Time, memory and result. "Seen" was measured, "not run" is a calculation or the paper's own claim.
EXPECT = {
    "ci": "Seen: 450 steps in 163 s on a busy core, 0.8 GB. A codec of 1.1 MB that shows how it is done.",
    "tiny64-rd": "Seen: 10 minutes on two cores as two processes, 3.2 GB. The first of two runs that made `tiny`: no "
    "task loss.",
    "tiny64": "Seen: 52 minutes on one of two busy cores, 3.2 GB, from tiny64-rd: K=10 at 64 / 128 / 512 bytes 62 / "
    "80 / 92 % of the classifier's accuracy on originals; 18.6 / 20.4 / 23.8 dB. With gamma=(0.0,0.0,0.0) and "
    "features=, in 34 minutes: tiny-plain. Going on from tiny for 25,000 updates, then by tiny64-gpu: tiny-long.",
    "tiny64-gpu": "tiny64 with eight times the pictures an update, for a GPU. Seen: 11,450 steps in 525 seconds on an "
    "H100 that three other runs shared; from earlier weights of tiny-long they made tiny-long. On an H200 42 updates a "
    "second alone (10 if they are not recorded); 1.8 GB of its memory.",
    "tiny64-control": "Not run to its end: tiny64-transfer without the task loss; hours on a core.",
    "tiny64-transfer": "Run for 700 steps (data/checkpoints), hours on a core for all: what may carry the task loss's "
    "gain to other classifiers. Nothing is promised.",
    "trits64-start": "The first of two runs of the backbone of DPICT, PICM and CTC: one block, no task loss. PLONQ, "
    "DeepHQ and ProgDTD may start from it too.",
    "trits64-rd": "The distortion-only regime, from trits64-start: DPICT as published, on our backbone.",
    "trits64": "The task loss of the finest level of tiny64, from trits64-start: PICM, and DPICT's second regime.",
    "plonq64-start": "The first of two runs of PLONQ's backbone: a random step of 1 to 9 for y each update.",
    "plonq64-rd": "The distortion-only regime, from plonq64-start: PLONQ as published, on our backbone.",
    "plonq64": "The task loss of the finest level of tiny64, from plonq64-start.",
    "photo192": "Seen: 275 seconds on an H100 that eleven other runs shared, 10 steps a second; on a busy core a step "
    "takes 2.7 s. It made the `photo` before this one.",
    "photo192-gpu": "Seen: 7,200 steps in 438 seconds on an H100 that three other runs shared. From earlier weights of "
    "tiny-long it made `photo`: data/results. With level_weight=(100.0,10.0,1.0), clip=5000.0, "
    "lam=(1e-4,1e-3,1.4e-2) and feature_weight=(0.2,0.4,1.0): photo-early.",
    "photo224": "Not run but for two steps: 100 times tiny64's work, for a GPU; memory and result not measured.",
    "paper": "Not run here: 1,000,000 updates of 8 pictures 256x256 (80 of each class for 100 epochs), three passes of "
    "the classifier each, for days on a GPU; memory is not measured. The paper's result is its Figs. 4 and 5.",
}
