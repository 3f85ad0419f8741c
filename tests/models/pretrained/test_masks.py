from typing import Any

import pytest
from numpy.testing import assert_array_equal

QUERIES, KEYS = 11, 11


def recipes() -> dict[str, Any]:
    import torch
    from transformers import masking_utils as masks

    padding = torch.ones(1, KEYS, dtype=torch.bool)
    padding[0, 3] = False
    common = {"batch_size": 1, "q_length": QUERIES, "kv_length": KEYS, "q_offset": 0, "kv_offset": 0}
    common |= {"dtype": torch.float32, "device": torch.device("cpu"), "attention_mask": None}
    causal = {"mask_function": masks.causal_mask_function, "allow_is_causal_skip": True}
    return {
        "causal": common | causal,
        "padded": common | causal | {"attention_mask": padding},
        "windowed": common | {"mask_function": masks.sliding_window_causal_mask_function(3), "local_size": 3} | causal,
        "chunked": common | {"mask_function": masks.chunked_causal_mask_function(4, torch.zeros(1, dtype=torch.int))},
        "both ways": common | {"mask_function": masks.bidirectional_mask_function, "attention_mask": padding},
        "later": common | causal | {"q_length": 5, "q_offset": 6},
    }


NAMES = ("causal", "padded", "windowed", "chunked", "both ways", "later")


@pytest.mark.parametrize("name", NAMES)
def test_rows_are_those_of_the_whole_mask_up_to_the_last_key_that_they_see(name: str) -> None:
    from transformers.masking_utils import eager_mask

    from attnviz.models.pretrained.masks import LazyMask

    recipe = recipes()[name]
    whole = eager_mask(**recipe)
    for first, last in ((0, 2), (2, 3), (3, 5)):
        rows, keys = LazyMask(recipe).rows(first, last)
        assert_array_equal(rows, whole[:, :, first:last, :keys])
        assert (whole[:, :, first:last, keys:] < 0).all()
        assert not (whole[:, :, first:last, keys - 1] < 0).all()


def test_a_row_that_sees_nothing_keeps_all_keys() -> None:
    import torch

    from attnviz.models.pretrained.masks import LazyMask

    blind = recipes()["both ways"] | {"attention_mask": torch.zeros(1, KEYS, dtype=torch.bool)}
    assert LazyMask(blind).rows(0, 2)[1] == KEYS


@pytest.mark.parametrize("name", NAMES)
def test_any_operation_on_a_mask_gives_what_it_gives_on_the_whole_mask(name: str) -> None:
    from transformers.masking_utils import eager_mask

    from attnviz.models.pretrained.masks import LazyMask

    recipe = recipes()[name]
    whole, lazy = eager_mask(**recipe), LazyMask(recipe)
    assert lazy.shape == whole.shape
    assert_array_equal(lazy[:, :, 1:3, :4], whole[:, :, 1:3, :4])
    assert_array_equal(lazy * 2 + whole, whole * 2 + whole)
    assert_array_equal(lazy == 0, whole == 0)


def test_a_mask_of_which_all_is_taken_is_still_not_computed() -> None:
    from attnviz.models.pretrained.masks import LazyMask

    mask = LazyMask(recipes()["causal"])
    assert isinstance(mask[:, :, :, :KEYS], LazyMask)
    assert isinstance(mask.detach(), LazyMask)


def test_only_a_plain_causal_mask_can_be_left_to_fused_attention() -> None:
    from attnviz.models.pretrained.masks import LazyMask

    assert [name for name, recipe in recipes().items() if LazyMask(recipe).needless()] == ["causal"]


def test_there_is_no_mask_where_every_key_is_seen() -> None:
    from attnviz.models.pretrained.masks import LazyMask, lazy_mask

    seen = recipes()["both ways"] | {"attention_mask": None, "allow_is_bidirectional_skip": True}
    assert lazy_mask(**seen) is None
    assert isinstance(lazy_mask(**seen | {"allow_is_bidirectional_skip": False}), LazyMask)
