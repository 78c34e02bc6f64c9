"""The encoder of a searcher, with the bundled model. Imports that load torch lie inside the tests."""
# ruff: noqa: PLC0415 (the reason is above)

from pathlib import Path

import numpy as np
import pytest

from schemas.settings import BUNDLED_MODEL, SearcherSettings

pytestmark = pytest.mark.model


def test_the_settings_decide_what_runs_on_onnx_runtime_and_what_is_remembered():
    from retrieval.query_vectors import HITS
    from searcher.encoding import serving_encoder

    served = serving_encoder(BUNDLED_MODEL, SearcherSettings())
    plain = serving_encoder(BUNDLED_MODEL, SearcherSettings(onnx_tokens=0, remembered_queries=0))
    assert (served.quick, plain.quick) == (True, False)
    before = HITS._value.get()
    for encoder, hits in ((plain, 0), (served, 1)):
        first = encoder.encode_queries(["USB  c"])
        assert (encoder.encode_queries(["usb c"]) == first).all()
        assert HITS._value.get() - before == hits
    assert np.abs(served.encode_queries(["tv"]) - plain.encode_queries(["tv"])).max() < 2e-6


def test_a_model_that_onnx_runtime_cannot_run_is_served_by_torch_and_the_log_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    from safetensors.torch import load_file, save_file

    from retrieval.model_folder import resolve_model
    from searcher.encoding import serving_encoder

    for file in resolve_model(BUNDLED_MODEL).rglob("*"):
        if file.is_file():
            to = tmp_path / file.relative_to(resolve_model(BUNDLED_MODEL))
            to.parent.mkdir(exist_ok=True)
            to.write_bytes(file.read_bytes())
    weights = {
        k: v.half() if v.is_floating_point() else v
        for k, v in load_file(tmp_path / "model.safetensors").items()
    }
    save_file(weights, tmp_path / "model.safetensors", metadata={"format": "pt"})
    served = serving_encoder(str(tmp_path), SearcherSettings())
    assert not served.quick
    assert np.isfinite(served.encode_queries(["tv"])).all()
    assert "torch encodes all batches" in "".join(capsys.readouterr())


def test_what_a_runtime_raises_at_its_first_call_is_a_reason_for_torch(monkeypatch: pytest.MonkeyPatch):
    """And no end of the searcher, which would end so again at each start."""
    from retrieval.encoder import Encoder
    from retrieval.golden_vectors import GoldenVectors
    from searcher.encoding import serving_encoder

    asked = []

    def check(_: GoldenVectors, encoder: Encoder) -> bool:
        asked.append(encoder)
        if len(asked) == 1:
            raise RuntimeError("Non-zero status code returned while running Gemm node")
        return True

    monkeypatch.setattr(GoldenVectors, "check", check)
    served = serving_encoder(BUNDLED_MODEL, SearcherSettings())
    assert len(asked) == 2
    assert served is asked[1]
