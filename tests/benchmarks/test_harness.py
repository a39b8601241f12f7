"""What the harness itself costs: wall time of a sweep beside the time that codec and classifier took."""

import time

from hierlib import classifiers, hierarchy, load
from hierlib.baselines.jpeg2000 import LayeredJPEG2000
from hierlib.evaluation import evaluate
from hierlib.images.shapes import shapes


def test_overhead_of_the_harness():
    pictures, judge = shapes(64, seed=7), classifiers.load("shapes")
    tree = hierarchy.load("shapes").restrict(pictures.wnids)
    for codec in (load("tiny"), LayeredJPEG2000()):
        evaluate(codec, pictures.subset([0]), tree, [judge], (64,), progress=False)  # compiles and imports once
        started = time.perf_counter()
        results = evaluate(codec, pictures, tree, [judge], (32, 64, 128, 256, 512), level_ends=False, progress=False)
        wall_s = time.perf_counter() - started
        seconds = {k: round(s, 2) for k, s in results.meta["seconds"].items()}
        own_s, inside_s = wall_s - sum(seconds.values()), sum(seconds.values()) - seconds["measure"]
        told = f"harness itself {own_s / inside_s:.1%}, PSNR and MS-SSIM {seconds['measure'] / inside_s:.1%}"
        print(f"\n{codec.name}: {wall_s:.1f} s, {seconds}; {told} of codec and classifier")
        assert len(results.rows) == 64 * 7
