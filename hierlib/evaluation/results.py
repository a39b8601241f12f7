"""What a sweep found: one tidy frame, and where it came from. The columns are told in data/results/README.md."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import DataError
from ..files import replacing, write_json

if TYPE_CHECKING:
    import pandas as pd

SCHEMA = "hierlib-results-1"
SUFFIXES = (".json", ".parquet")
KINDS = ("budget", "level", "whole", "original")


def writable(path: Path) -> Path:
    """The path itself. DataError where its suffix is not one that results are written with: ask before measuring."""
    if path.suffix not in SUFFIXES:
        raise DataError(f"Results are written as {' or '.join(SUFFIXES)}; {path.name} is neither.")
    return path


def tidy(columns: dict[str, list[Any]] | pd.DataFrame) -> pd.DataFrame:
    """Columns of plain values -> the frame, None as missing, with the types that saving and loading keep."""
    import pandas as pd

    frame = pd.DataFrame(columns)
    for name in ("budget_bytes", "level", "symbols", "symbols_total", "bytes_used", "file_bytes"):
        frame[name] = frame[name].astype("Int64")
    for name in ("picture", "bytes"):
        frame[name] = frame[name].astype("int64")
    for name in frame.columns:
        if name in ("psnr_db", "ms_ssim", "lpips", "bpp", "wup") or name.startswith(("probability_", "confidence_")):
            frame[name] = frame[name].astype("float64")
        elif name in ("top1", "complete", "decodable") or name.startswith("right_"):
            frame[name] = frame[name].astype("bool")
        elif name in ("wnid", "classifier", "kind", "point", "top1_wnid"):
            frame[name] = frame[name].astype("object")
    missed = [~frame[name] for name in frame.columns if name.endswith("_of_top1")]
    frame["hierarchical_distance"] = np.sum(missed, axis=0).astype("int64") if missed else 0
    return frame


@dataclass(frozen=True)
class Results:
    """rows: one row per picture, point and classifier. meta: codec, pictures, hierarchy, versions, hardware."""

    rows: pd.DataFrame
    meta: dict[str, Any]

    @property
    def levels(self) -> tuple[str, ...]:
        """Names of the hierarchy's levels, coarse to fine."""
        return tuple(self.meta["hierarchy"]["levels"])

    @property
    def classifiers(self) -> tuple[str, ...]:
        """Names of the classifiers, in the order they were given."""
        return tuple(self.rows["classifier"].unique())

    @property
    def majority(self) -> dict[str, float]:
        """Per level, the accuracy of always guessing the largest group: the line that a figure must show."""
        return dict(self.meta["majority"])

    @property
    def measures(self) -> tuple[str, ...]:
        """Columns that are averaged, in the order of the table."""
        per_level = [f"{kind}_{level}" for level in self.levels for kind in ("right", "probability", "confidence")]
        of_top1 = [f"right_{level}_of_top1" for level in self.levels]
        known = ("psnr_db", "ms_ssim", "lpips", *per_level, *of_top1, "top1", "wup", "hierarchical_distance")
        return tuple(name for name in known if name in self.rows)

    def of(self, classifier: str | None = None, kind: str | None = None) -> pd.DataFrame:
        """The rows of one classifier (the first if None), of one kind of point if named."""
        if classifier is None:
            classifier = self.classifiers[0]
        if classifier not in self.classifiers:
            raise DataError(
                f"These results have no classifier {classifier!r}; they have {', '.join(self.classifiers)}."
            )
        chosen = self.rows["classifier"] == classifier
        return self.rows[chosen & (self.rows["kind"] == kind)] if kind else self.rows[chosen]

    def table(self, decodable_only: bool = False) -> pd.DataFrame:
        """Means and standard errors over pictures, one row per classifier and point.

        Every picture counts: one of which nothing can be decoded at a point is answered by the majority guess, and its
        PSNR is that of mid-grey; n_decodable says how many were really decoded. decodable_only: the means over those
        alone, which flatter a codec whose small files fail on the hard pictures.
        """
        return (self._means_of_decodable if decodable_only else self._means).copy()

    @cached_property
    def _means(self) -> pd.DataFrame:
        return self._aggregated(self.rows)

    @cached_property
    def _means_of_decodable(self) -> pd.DataFrame:
        return self._aggregated(self.rows[self.rows["decodable"]])

    def _aggregated(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Means and standard errors by classifier and point; drawn many times from the same results, so kept."""
        import pandas as pd

        aggregated = []
        for (classifier, kind, point), group in rows.groupby(["classifier", "kind", "point"], sort=False):
            line = {
                "classifier": classifier,
                "kind": kind,
                "point": point,
                "budget_bytes": group["budget_bytes"].iloc[0],
            }
            line |= {"n": len(group), "n_decodable": int(group["decodable"].sum())}
            line |= {"bytes": group["bytes"].mean(), "bpp": group["bpp"].mean()}
            for name in self.measures:
                values = group[name].astype("float64").to_numpy()
                n, spread = np.isfinite(values).sum(), np.nan
                line[name] = float(np.nanmean(values)) if n else np.nan
                if n > 1:
                    spread = float(np.nanstd(values, ddof=1) / math.sqrt(n))
                line[f"{name}_se"] = spread
            aggregated.append(line)
        table = pd.DataFrame(aggregated)
        if table.empty:
            return table
        table["budget_bytes"] = table["budget_bytes"].astype("Int64")
        keys = [
            table["classifier"].map({name: i for i, name in enumerate(self.classifiers)}),
            table["kind"].map({kind: i for i, kind in enumerate(KINDS)}),
            table["budget_bytes"].fillna(0),
            table["bytes"],
        ]
        order = np.lexsort([key.to_numpy(dtype="float64") for key in reversed(keys)])
        return table.iloc[order].reset_index(drop=True)

    def curve(self, measure: str, classifier: str | None = None, kind: str = "budget") -> tuple[np.ndarray, np.ndarray]:
        """(bytes, mean measure) along the points of one kind: mean bytes really sent, rising."""
        table = self.table()
        chosen = table[(table["classifier"] == (classifier or self.classifiers[0])) & (table["kind"] == kind)]
        if measure not in chosen or chosen.empty:
            raise DataError(
                f"These results have no {measure!r} at points of kind {kind!r} for classifier {classifier!r}."
            )
        chosen = chosen.sort_values("bytes")
        return chosen["bytes"].to_numpy(float), chosen[measure].to_numpy(float)

    def save(self, path: str | Path) -> Path:
        """Write rows and meta into one file, .json or .parquet, whole or not at all."""
        path = writable(Path(path))
        meta = {"schema": SCHEMA, **self.meta}
        if path.suffix == ".parquet":
            import pyarrow
            import pyarrow.parquet

            table = pyarrow.Table.from_pandas(self.rows, preserve_index=False)
            table = table.replace_schema_metadata(
                {**(table.schema.metadata or {}), b"hierlib": json.dumps(meta).encode()}
            )
            numbers = [each.name for each in table.schema if pyarrow.types.is_floating(each.type)]
            others = [name for name in table.column_names if name not in numbers]
            with replacing(path) as temporary:  # the bytes of floats apart: a third smaller
                pyarrow.parquet.write_table(
                    table, temporary, compression="zstd", compression_level=19,
                    use_dictionary=others, use_byte_stream_split=numbers,
                )  # fmt: skip
        else:
            write_json(path, {"meta": meta, "rows": columns(self.rows)})
        return path

    @classmethod
    def load(cls, path: str | Path) -> Results:
        """Read what ``save`` wrote. Raises DataError for a file that is missing, damaged or of another schema."""
        path = Path(path)
        try:
            if path.suffix == ".parquet":
                import pyarrow.parquet

                table = pyarrow.parquet.read_table(path)
                meta = json.loads((table.schema.metadata or {}).get(b"hierlib", b"{}"))
                rows: Any = table.to_pandas()
            else:
                content = json.loads(path.read_text())
                meta, rows = content["meta"], content["rows"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DataError(
                f"{path} cannot be read as results ({error!r}): name a file that Results.save wrote."
            ) from None
        if meta.pop("schema", None) != SCHEMA:
            raise DataError(f"{path} does not follow the schema {SCHEMA}: measure again with this version.")
        return cls(tidy(rows), meta)

    def to_compressai_json(self, path: str | Path, classifier: str | None = None) -> Path:
        """Write the curve over budgets as ``compressai.utils.plot`` and its published results have it.

        bpp is that of the bytes really sent; accuracies are ``right_<level>`` as ``top1-K<groups>``, beside ``bytes``,
        ``wup`` and ``n_decodable``. ``encoding_time`` and ``decoding_time`` are mean seconds a picture, and a decoding.
        """
        table = self.table()
        chosen = table[(table["classifier"] == (classifier or self.classifiers[0])) & (table["kind"] == "budget")]
        K = self.meta["hierarchy"]["K"]
        names = {"bpp": "bpp", "psnr-rgb": "psnr_db", "ms-ssim-rgb": "ms_ssim", "bytes": "bytes", "wup": "wup"}
        names |= {f"top1-K{k}": f"right_{level}" for k, level in zip(K, self.levels)} | {"n_decodable": "n_decodable"}
        results = {key: [float(v) for v in chosen[name]] for key, name in names.items() if name in chosen}
        seconds, n = self.meta["seconds"], self.meta["pictures"]["n"]
        results["encoding_time"] = [seconds["encode"] / n] * len(chosen)
        results["decoding_time"] = [seconds["decode"] / max(1, self.meta["decodings"])] * len(chosen)
        description = f"{self.meta['pictures']['name']}, n={n}, classifier {classifier or self.classifiers[0]}"
        write_json(path, {"name": self.meta["codec"]["name"], "description": description, "results": results})
        return Path(path)


def columns(frame: pd.DataFrame) -> dict[str, list[Any]]:
    """A frame as plain columns, missing values as None: JSON's types."""
    return {
        name: [None if missing else value for value, missing in zip(frame[name].tolist(), frame[name].isna())]
        for name in frame.columns
    }


def judges_of_all(results: Sequence[Results]) -> tuple[str, ...]:
    """The classifiers that judge every one of ``results``, in the order of the first. DataError if there is none."""
    shared = tuple(name for name in results[0].classifiers if all(name in each.classifiers for each in results))
    if not shared:
        said = "; ".join(f"{each.meta['codec']['name']} by {', '.join(each.classifiers)}" for each in results)
        raise DataError(f"No classifier judges all of these results: {said}.")
    return shared
