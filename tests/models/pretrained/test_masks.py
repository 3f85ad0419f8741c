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
        "windowed": common | causal | {"mask_function": masks.sliding_window_causal_mask_function(3), "local_size": 3},
        "chunked": common | {"mask_function": masks.chunked_causal_mask_function(4, torch.zeros(1, dtype=torch.int))},
        "both ways": common | {"mask_function": masks.bidirectional_mask_function, "attention_mask": padding},
        "later": common | causal | {"q_length": 5, "q_offset": 6},
    }


NAMES = ("causal", "padded", "windowed", "chunked", "both ways", "later")


def lazy(recipe: dict[str, Any]) -> Any:
    from attnviz.models.pretrained.lazy_masks import LazyMask, Recipe

    return LazyMask(Recipe(**recipe))


@pytest.mark.parametrize("name", NAMES)
def test_rows_are_those_of_the_whole_mask_between_the_first_and_the_last_key_that_they_see(name: str) -> None:
    from transformers.masking_utils import eager_mask

    recipe = recipes()[name]
    whole = eager_mask(**recipe)
    for rows in (range(2), range(2, 3), range(3, 5)):
        some, keys = lazy(recipe).rows(rows)
        of_rows = whole[:, :, rows.start : rows.stop]
        left_out = keys.stop - some.shape[-1]
        assert_array_equal(some, of_rows[..., left_out : keys.stop])
        assert not of_rows[..., keys.start : left_out].any()
        hidden = (of_rows < 0).all(2)[0, 0]
        assert hidden[: keys.start].all()
        assert hidden[keys.stop :].all()
        assert not hidden[[keys.start, keys.stop - 1]].any()


def test_a_row_of_a_sliding_window_sees_nothing_before_it() -> None:
    assert lazy(recipes()["windowed"]).rows(range(7, 9))[1] == range(5, 9)


def test_which_keys_can_be_seen_is_found_once_for_all_layers(monkeypatch: pytest.MonkeyPatch) -> None:
    from attnviz.models.pretrained import lazy_masks

    mask, made = lazy(recipes()["windowed"]), list[int]()
    compute = lazy_masks.sdpa_mask
    monkeypatch.setattr(lazy_masks, "sdpa_mask", lambda **recipe: made.append(recipe["kv_length"]) or compute(**recipe))
    for _ in range(3):
        mask.rows(range(7, 9))
    assert made == [KEYS, 4, 4, 4]


def test_a_row_that_sees_nothing_keeps_all_keys() -> None:
    import torch

    blind = recipes()["both ways"] | {"attention_mask": torch.zeros(1, KEYS, dtype=torch.bool)}
    assert lazy(blind).rows(range(2))[1] == range(KEYS)


@pytest.mark.parametrize("name", NAMES)
def test_any_operation_on_a_mask_gives_what_it_gives_on_the_whole_mask(name: str) -> None:
    from transformers.masking_utils import eager_mask

    recipe = recipes()[name]
    whole, mask = eager_mask(**recipe), lazy(recipe)
    assert mask.shape == whole.shape
    assert_array_equal(mask[:, :, 1:3, :4], whole[:, :, 1:3, :4])
    assert_array_equal(mask * 2 + whole, whole * 2 + whole)
    assert_array_equal(mask == 0, whole == 0)


def test_a_mask_of_which_all_is_taken_is_still_not_computed() -> None:
    from attnviz.models.pretrained.lazy_masks import LazyMask

    mask = lazy(recipes()["causal"])
    assert isinstance(mask[:, :, :, :KEYS], LazyMask)
    assert isinstance(mask.detach(), LazyMask)


def test_only_a_plain_causal_mask_can_be_left_to_fused_attention() -> None:
    assert [name for name, recipe in recipes().items() if lazy(recipe).recipe.is_causal] == ["causal"]


def test_there_is_no_mask_where_every_key_is_seen() -> None:
    from attnviz.models.pretrained.lazy_masks import LazyMask, make_lazy_mask

    seen = recipes()["both ways"] | {"attention_mask": None, "allow_is_bidirectional_skip": True}
    assert make_lazy_mask(**seen) is None
    assert isinstance(make_lazy_mask(**seen | {"allow_is_bidirectional_skip": False}), LazyMask)
