"""Form-encoded keys: what Python decodes one by one, a batch decodes at once."""

from urllib.parse import quote, quote_plus

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchjob.manifest.decode import BadRowError, form_decoded

KEYS = st.lists(st.text(st.characters(exclude_categories=["Cs"])), max_size=12)


@given(KEYS, st.sampled_from([quote, quote_plus]), st.integers(0, 3))
def test_what_was_encoded_is_decoded(keys: list[str], encode: object, start: int) -> None:
    encoded = pa.array([encode(key, safe="/") for key in keys], pa.string())  # type: ignore[operator]
    assert form_decoded(encoded.slice(start)).to_pylist() == keys[start:]


@pytest.mark.parametrize("broken", ["100%", "a%4", "%zz", "%4%41", "%e3%81"])
def test_a_broken_escape_is_placed(broken: str) -> None:
    for after in ([], ["41/b.pdf"]):
        with pytest.raises(BadRowError, match="key ") as caught:
            form_decoded(pa.array(["a+b", "", broken, *after]))
        assert caught.value.place == 2
