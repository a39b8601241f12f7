"""The torchvision shim, in fresh interpreters: what was imported before would hide what it does."""

import json
import subprocess
import sys
import textwrap

import pytest
import torch

needs_cpu_torch = pytest.mark.skipif(torch.version.cuda is not None, reason="torch has CUDA: torchvision needs no help")


def python(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.fixture(scope="module")
def after_import():
    """What a fresh interpreter finds before and after ``import torchvision``; one of them, for it takes seconds."""
    return json.loads(
        python("""
        import json, sys
        import hierlib
        from hierlib import compat

        found = {}
        waiting = lambda: sum(type(finder) is compat._BeforeTorchvision for finder in sys.meta_path)
        compat.install()
        found["waiting_before"] = waiting()

        import torch, torchvision
        from torchvision.transforms import v2
        compat.install()
        found["waiting_after"] = waiting()
        found["logits"] = torchvision.models.resnet18().eval()(v2.Resize(64)(torch.zeros(1, 3, 80, 80))).shape[1]
        try:
            torch.ops.torchvision.nms(torch.tensor([[0., 0., 1., 1.]]), torch.tensor([1.]), 0.5)
        except NotImplementedError as error:
            found["nms"] = str(error)
        print(json.dumps(found))
    """)
    )


def test_torchvision_imports_after_hierlib(after_import):
    assert after_import["logits"] == 1000


def test_the_finder_steps_aside_after_its_one_use(after_import):
    assert (after_import["waiting_before"], after_import["waiting_after"]) == (1, 0)


@needs_cpu_torch
def test_a_declared_operator_has_no_kernel_and_says_so(after_import):
    assert "Could not run 'torchvision::nms'" in after_import["nms"]


@needs_cpu_torch
def test_torchvision_alone_still_needs_the_shim():
    # The day this fails, the published torchvision imports by itself: delete hierlib/compat.py.
    says = python("""
        import torch
        try:
            import torchvision
        except RuntimeError as error:
            print(error)
    """)
    assert "torchvision::nms does not exist" in says


def test_importing_hierlib_imports_nothing_heavy():
    says = python("""
        import sys
        import hierlib
        from hierlib.__main__ import parser
        parser().format_help()
        print(sorted({"torch", "torchvision", "numpy", "PIL", "pandas", "numba"} & set(sys.modules)))
    """)
    assert says == "[]"


def test_does_nothing_where_torch_has_cuda():
    says = python("""
        import torch
        torch.version.cuda = "13.0"
        from hierlib import compat
        print(compat.declare_missing_operators(), compat._kept)
    """)
    assert says == "False []"


def test_does_nothing_where_torchvision_is_absent():
    says = python("""
        import importlib.util, sys
        sys.modules["torchvision"] = None  # as if it were not installed
        from hierlib import compat
        compat.install()
        try:
            import torchvision
        except ImportError:
            print("absent", compat._kept)
    """)
    assert says == "absent []"


def test_public_names_are_there():
    says = python("""
        import hierlib
        assert set(hierlib.__all__) <= set(dir(hierlib))
        print(all(getattr(hierlib, name) is not None for name in hierlib.__all__))
    """)
    assert says == "True"


def test_an_unknown_name_is_an_attribute_error():
    import hierlib

    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        hierlib.nonsense  # noqa: B018
