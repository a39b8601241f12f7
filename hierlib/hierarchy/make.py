"""Makes everything in ``data/classes`` and ``data/hierarchies``; the same input gives the same bytes.

python -m hierlib.hierarchy.make classes --wordnet /usr/share/wordnet --subset tiny-imagenet=FILE --out data/classes
python -m hierlib.hierarchy.make answers --classifier mobilenet_v2_1.0 --pictures imagenet-val227 --out data/classes
python -m hierlib.hierarchy.make embeddings --model ViT-B-16 --pretrained openai --templates paper --out vitb16.npy
python -m hierlib.hierarchy.make tables --embeddings vitb16.npy --second vitl14.npy --out data/hierarchies

Embeddings: (1000, D), a row per ImageNet-1K class; leave ``--embeddings`` out to have open_clip compute both models'.
"""

from __future__ import annotations

import argparse
import csv
import io
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from importlib.metadata import version
from importlib.util import find_spec
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from ..errors import DataError, HierlibError, refuse
from ..files import digest, write_bytes, write_json
from . import grouping
from .build import from_depths, from_embeddings
from .classes import ClassList, classes
from .classes import to_csv as classes_csv
from .clip import embed, load_embeddings, template_set
from .measures import Measures, measure, measure_levels
from .naming import unique_class_names
from .projection import place
from .tree import Hierarchy
from .wordnet import read, wup_matrix

SEEDS = 20  # k-means seeds behind the spread of Table 1
BOOTSTRAP = 200
FIRST, SECOND = ("ViT-B-16", "openai", "paper"), ("ViT-L-14", "openai", "openai80")  # model, weights, templates
LISTS = {  # class list -> (prefix of its tables, K of three levels, K of five)
    "imagenet": ("imagenet", (10, 100, 1000), (5, 20, 80, 300, 1000)),
    "tiny-imagenet": ("tiny", (10, 50, 200), (4, 10, 30, 80, 200)),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one of the commands. Returns 0, or 2 for something the user can mend (one sentence on stderr)."""
    top = argparse.ArgumentParser(prog="python -m hierlib.hierarchy.make", description=(__doc__ or "").split("\n")[0])
    commands = top.add_subparsers(required=True, metavar="COMMAND")
    lists = commands.add_parser("classes", help="the class lists and the extract of WordNet")
    lists.add_argument("--wordnet", type=Path, required=True, help="folder with data.noun and index.noun")
    lists.add_argument("--subset", action="append", default=[], metavar="NAME=FILE", help="a list of some of the wnids")
    lists.add_argument("--out", type=Path, required=True)
    lists.set_defaults(run=_classes)
    given = commands.add_parser("answers", help="what a classifier says of pictures: true and answered ids")
    given.add_argument("--classifier", default="mobilenet_v2_1.0")
    given.add_argument("--pictures", default="imagenet-val227", help="a pack or folder under HIERLIB_DATA")
    given.add_argument("--out", type=Path, required=True)
    given.set_defaults(run=_answers)
    vectors = commands.add_parser("embeddings", help="text embeddings of class names by any model of open_clip")
    vectors.add_argument("--classes", default="imagenet", help="a shipped list, or a CSV (wnid,name)")
    vectors.add_argument("--model", default=FIRST[0])
    vectors.add_argument("--pretrained", default=FIRST[1], help="a tag that open_clip knows, or a checkpoint's path")
    vectors.add_argument(
        "--templates", default=FIRST[2], help="paper, openai7 or openai80, or one with {} for the name"
    )
    vectors.add_argument("--out", type=Path, required=True, metavar="FILE.npy")
    vectors.set_defaults(run=_embeddings)
    tables = commands.add_parser("tables", help="the hierarchies with their measures")
    tables.add_argument("--embeddings", type=Path, help=".npy, (1000, D); without it open_clip computes both")
    tables.add_argument("--second", type=Path, help=".npy of another model, to compare with")
    tables.add_argument("--seed", type=int, default=0)
    tables.add_argument("--no-umap", action="store_true", help="leave the UMAP coordinates as they are")
    tables.add_argument("--out", type=Path, required=True)
    tables.set_defaults(run=_tables)
    try:
        arguments = top.parse_args(argv)
        arguments.run(arguments)
    except HierlibError as error:
        return refuse(error)
    return 0


def _classes(arguments: argparse.Namespace) -> None:
    """wnids from timm's wheel, names from open_clip's: both in the usual class order, which is that of the wnids."""
    wnids = _beside("timm", "data/_info/imagenet_synsets.txt").read_text().split()
    from open_clip import IMAGENET_CLASSNAMES as prompts

    wordnet = read(arguments.wordnet).closure(wnids)
    names = unique_class_names(wnids, prompts, wordnet)
    _write(arguments.out / "wordnet.csv", wordnet.to_csv())
    _write(arguments.out / "imagenet.csv", classes_csv(wnids, names, prompts))
    row = {wnid: k for k, wnid in enumerate(wnids)}
    for name, _, file in (subset.partition("=") for subset in arguments.subset):
        try:
            wanted = sorted(set(Path(file).read_text().split()))
            rows = [row[wnid] for wnid in wanted]
        except (OSError, KeyError) as error:
            raise DataError(f"--subset {name}={file}: {error}; expected a text file of ImageNet-1K wnids.") from None
        _write(arguments.out / f"{name}.csv", classes_csv(*zip(*((wnids[r], names[r], prompts[r]) for r in rows))))


def _answers(arguments: argparse.Namespace) -> None:
    """The likeliest class of each picture, in their order, among all classes the classifier knows."""
    import torch
    from tqdm.auto import tqdm

    from .. import classifiers
    from ..images.packs import open_pack

    pictures, classifier = open_pack(arguments.pictures), classifiers.load(arguments.classifier)
    rows = []
    with torch.no_grad():
        for index in tqdm(range(len(pictures)), desc=arguments.classifier, unit="picture", disable=None):
            answer = int(classifier(pictures[index][None]).argmax())
            rows.append([pictures.wnids[pictures.labels[index]], classifier.wnids[answer]])
    _write(arguments.out / "answers.csv", _rows(["true_wnid", "answered_wnid"], rows))
    right = sum(true == answered for true, answered in rows)
    print(f"{len(rows)} pictures of {len({true for true, _ in rows})} classes, {right / len(rows):.1%} right")


def _embeddings(arguments: argparse.Namespace) -> None:
    listed = classes(arguments.classes)
    templates = template_set(arguments.templates)
    vectors = embed(listed.prompts, arguments.model, arguments.pretrained, templates)
    buffer = io.BytesIO()
    np.save(buffer, vectors)
    write_bytes(arguments.out, buffer.getvalue())
    print(f"{arguments.out}: {vectors.shape[0]} classes, {vectors.shape[1]} dimensions, {len(templates)} template(s)")


def _tables(arguments: argparse.Namespace) -> None:
    everything = classes("imagenet")
    N = len(everything.wnids)
    vectors = load_embeddings(arguments.embeddings, N) if arguments.embeddings else _computed(everything, FIRST)
    second = load_embeddings(arguments.second, N) if arguments.second else None
    if not arguments.embeddings and not arguments.second:
        second = _computed(everything, SECOND)
    report: dict[str, object] = {"made_from": _provenance(arguments), "bootstrap": BOOTSTRAP}
    row = {wnid: k for k, wnid in enumerate(everything.wnids)}
    # UMAP compiles itself for 20 s: on the side, once, while the rest is made.
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as aside:
        places = {}
        for list_name, (prefix, _, _) in LISTS.items():
            few = vectors[[row[wnid] for wnid in classes(list_name).wnids]]
            if not arguments.no_umap:
                places[prefix] = aside.submit(place, few, arguments.seed)
        for list_name, (prefix, K, five) in LISTS.items():
            listed = classes(list_name)
            rows = [row[wnid] for wnid in listed.wnids]
            few, other = vectors[rows], None if second is None else second[rows]
            report |= _of_list(arguments, prefix, listed, few, other, K, five)
        for list_name, (prefix, _, _) in LISTS.items():
            if prefix in places:
                cells = zip(classes(list_name).wnids, places[prefix].result())
                found = [[wnid, f"{x:.3f}", f"{y:.3f}"] for wnid, (x, y) in cells]
                _write(arguments.out / f"{prefix}-clip" / "umap.csv", _rows(["wnid", "x", "y"], found))
    write_json(arguments.out / "measures.json", report)


def _of_list(
    arguments: argparse.Namespace,
    prefix: str,
    listed: ClassList,
    vectors: np.ndarray,
    second: np.ndarray | None,
    K: tuple[int, ...],
    five: tuple[int, ...],
) -> dict[str, object]:
    """Writes the tables of one class list. Returns what measures.json says of them."""
    report: dict[str, object] = {}
    wup = wup_matrix(listed.wnids)
    for hierarchy, how in _hierarchies(prefix, listed, vectors, second, K, five, arguments.seed):
        hierarchy.save(arguments.out / f"{hierarchy.name}.csv")
        measured = measure_levels(hierarchy, wup, vectors, BOOTSTRAP, arguments.seed)
        levels = {level: figures.as_dict() for level, figures in measured.items()}
        report[hierarchy.name] = {**how, "K": list(hierarchy.K), "nested": hierarchy.nested, "levels": levels}
        print(f"{hierarchy.name}: {', '.join(_words(level, m) for level, m in measured.items())}", flush=True)
    folder = arguments.out / f"{prefix}-clip"
    report[f"{prefix}-clip seeds"] = _seeds(folder, listed, vectors, K[:-1], wup)
    _write(folder / "merges.csv", _rows(["first", "second", "height"], grouping.merges(vectors)[:, :3].tolist()))
    return report


def _computed(listed: ClassList, model: tuple[str, str, str]) -> np.ndarray:
    name, pretrained, templates = model
    return embed(listed.prompts, name, pretrained, template_set(templates))


def _hierarchies(
    prefix: str,
    listed: ClassList,
    vectors: np.ndarray,
    second: np.ndarray | None,
    K: tuple[int, ...],
    five: tuple[int, ...],
    seed: int,
) -> list[tuple[Hierarchy, dict[str, object]]]:
    """Every table of one class list, and how it was made."""
    plans: list[tuple[str, tuple[int, ...], grouping.Method, bool]] = [
        ("clip", K, "kmeans", False),
        ("clip-nested", K, "kmeans", True),
        ("clip-balanced", K, "balanced", True),
        ("clip-ward", K, "ward", True),
        ("clip-five", five, "kmeans", True),
    ]
    made: list[tuple[Hierarchy, dict[str, object]]] = []
    for suffix, levels, method, nested in plans:
        hierarchy = from_embeddings(f"{prefix}-{suffix}", listed, vectors, levels, method, nested, seed)
        made.append((hierarchy, {"method": method, "seed": None if method == "ward" else seed}))
    if second is not None:
        other = from_embeddings(f"{prefix}-clip-second", listed, second, K, seed=seed)
        made.append((other, {"method": "kmeans", "embeddings": "second", "seed": seed}))
    depths = [grouping.nearest_depth(listed.wnids, k) for k in K[:-1]]
    cut = from_depths(f"{prefix}-wordnet", listed, depths)
    made.append((cut, {"method": "WordNet depth cut", "depths": depths}))
    return made


def _seeds(
    folder: Path, listed: ClassList, vectors: np.ndarray, K: Sequence[int], wup: np.ndarray
) -> dict[str, object]:
    """k-means ids for seeds 0..19 at every K, one column each, and the mean and spread of their Wu-Palmer figures."""
    columns: dict[str, np.ndarray] = {}
    spread: dict[str, object] = {}
    for k in K:
        found = grouping.kmeans_runs(vectors, k, range(SEEDS))
        runs = {f"k{k}_seed{seed}": ids for seed, ids in enumerate(found)}
        figures = [measure(ids, wup) for ids in runs.values()]
        columns.update(runs)
        spread[f"K={k}"] = {
            side: {
                "mean": round(float(np.mean(values)), 6),
                "standard_deviation": round(float(np.std(values, ddof=1)), 6),
                "least": round(min(values), 6),
                "most": round(max(values), 6),
            }
            for side in ("intra", "inter", "gap")
            if (values := [getattr(figure, side) for figure in figures])
        }
    cells = np.stack(list(columns.values()), 1).tolist()
    _write(folder / "seeds.csv", _rows(["wnid", *columns], [[w, *ids] for w, ids in zip(listed.wnids, cells)]))
    return spread


def _provenance(arguments: argparse.Namespace) -> dict[str, object]:
    def named(path: Path | None, model: tuple[str, str, str]) -> str:
        return f"open_clip {', '.join(model)}" if path is None else f"{path.name} (SHA-256 {digest(path)})"

    alone = arguments.embeddings and not arguments.second
    return {
        "embeddings": named(arguments.embeddings, FIRST),
        "second": None if alone else named(arguments.second, SECOND),
        "seed": arguments.seed,
        "versions": {name: version(name) for name in ("numpy", "scipy", "scikit-learn", "umap-learn")},
    }


def _beside(package: str, path: str) -> Path:
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        raise DataError(f"{package} is not installed: pip install {package}.")
    return Path(spec.origin).parent / path


def _words(level: str, figures: Measures) -> str:
    return f"{level} K={figures.K} intra {figures.intra:.3f} inter {figures.inter:.3f} largest {figures.largest:.0%}"


def _rows(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return text.getvalue()


def _write(path: Path, text: str) -> None:
    write_bytes(path, text.encode())


if __name__ == "__main__":
    sys.exit(main())
