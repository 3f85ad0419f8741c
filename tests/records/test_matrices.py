from collections.abc import Callable, Collection

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from numpy.testing import assert_allclose, assert_array_equal

from attnviz.errors import RecordError, UsageError
from attnviz.records import Attention, HeadMatrix, Selection, Word, average, format_ranges, require_record
from attnviz.text import Token
from attnviz.vocabulary import AVERAGE, Kind
from tests.build import KEYS, QUERIES, axes, distributions, record, tokens


class TestValidation:
    def test_weights_that_fit_their_axes_make_a_record_with_the_same_names(self) -> None:
        named = axes(sink=True, precision="float16", notes=("a note",))
        made = Attention.on(named, distributions(2, 3, 5, 7))
        assert_array_equal(made.weights, distributions(2, 3, 5, 7))
        assert made.shape == (2, 3, 5, 7)
        for name in ("kind", "layers", "heads", "query_tokens", "key_tokens", "model", "sink", "precision", "notes"):
            assert getattr(made, name) == getattr(named, name)

    @pytest.mark.parametrize("shape", [(3, 2, 5, 7), (2, 3, 7, 5), (2, 3, 5, 8), (3, 5, 7), (1, 2, 3, 5, 7)])
    def test_a_shape_that_does_not_fit_the_axes_is_refused_with_both(self, shape: tuple[int, ...]) -> None:
        with pytest.raises(RecordError) as raised:
            Attention.on(axes(), distributions(*shape))
        assert str(shape) in str(raised.value)
        assert "(2, 3, 5, 7)" in str(raised.value)

    @pytest.mark.parametrize(
        ("change", "what"),
        [
            (lambda row: row * np.nan, "nan"),
            (lambda row: row + np.inf, "inf"),
            (lambda row: row * 1.5, "sums to 1.5"),
            (lambda row: row * 0.5, "sums to 0.5"),
            (lambda row: row * 0, "sums to 0"),
            (lambda row: row + np.array([-1, 1, 0, 0, 0, 0, 0]), "smallest -"),
        ],
        ids=["NaN", "infinite", "too much", "too little", "nothing", "negative"],
    )
    def test_a_row_that_is_no_distribution_is_refused_and_named(
        self, change: Callable[[np.ndarray], np.ndarray], what: str
    ) -> None:
        weights = distributions(2, 3, 5, 7)
        weights[1, 2, 3] = change(weights[1, 2, 3])
        with pytest.raises(RecordError, match=f"cross weights of some/model.*layer 1 head 5, row 3 .q3.*{what}"):
            Attention.on(axes(), weights)

    def test_of_several_such_rows_the_first_is_named(self) -> None:
        weights = distributions(2, 3, 5, 7)
        weights[0, 1, 2] = weights[1, 0, 4] = 1
        with pytest.raises(RecordError, match="layer 4 head 7, row 2"):
            Attention.on(axes(), weights)

    def test_numbers_of_another_measure_are_no_attention_and_need_only_be_finite(self) -> None:
        named = axes(measure="difference")
        numbers = distributions(2, 3, 5, 7) - 0.5
        assert_array_equal(HeadMatrix.on(named, numbers).weights, numbers)
        with pytest.raises(RecordError, match="of the measure 'difference'"):
            Attention.on(named, distributions(2, 3, 5, 7))
        numbers[1, 2, 3, 4] = np.nan
        with pytest.raises(RecordError, match="cross numbers of some/model are not all finite"):
            HeadMatrix.on(named, numbers)

    def test_an_unknown_precision_is_refused(self) -> None:
        with pytest.raises(RecordError, match="No weights are computed in 'float8', only in float64"):
            Attention.on(axes(precision="float8"), distributions(2, 3, 5, 7))

    def test_queries_with_no_key_to_look_at_are_refused(self) -> None:
        with pytest.raises(RecordError):
            Attention.on(axes(keys=()), distributions(2, 3, 5, 0))

    def test_rows_may_sum_to_less_than_1_only_beside_a_sink(self) -> None:
        weights = distributions(2, 3, 5, 7) * np.float32(0.25)
        assert_array_equal(Attention.on(axes(sink=True), weights).weights, weights)
        with pytest.raises(RecordError):
            Attention.on(axes(sink=False), weights)
        with pytest.raises(RecordError):
            Attention.on(axes(sink=True), weights * 5)

    @pytest.mark.parametrize(
        ("precision", "within", "beyond"),
        [("float64", 1e-7, 1e-5), ("float32", 1e-5, 1e-3), ("float16", 1e-3, 3e-2), ("bfloat16", 3e-2, 0.1)],
    )
    @pytest.mark.parametrize("sign", [1, -1])
    def test_a_row_sum_may_be_off_as_far_as_its_precision(
        self, precision: str, within: float, beyond: float, sign: int
    ) -> None:
        named = axes(precision=precision)
        exact = distributions(2, 3, 5, 7).astype(np.float64)
        exact /= exact.sum(-1, keepdims=True)
        Attention.on(named, exact * (1 + sign * within))
        with pytest.raises(RecordError):
            Attention.on(named, exact * (1 + sign * beyond))

    @pytest.mark.parametrize("precision", ["float64", "float32", "float16", "bfloat16"])
    def test_a_long_softmax_in_any_precision_is_accepted(self, precision: str) -> None:
        import torch

        scores = torch.randn(2, 3, 5, 1009, generator=torch.Generator().manual_seed(5))
        weights = torch.softmax(scores.to(getattr(torch, precision)), -1).double().numpy()
        assert Attention.on(axes(keys=1009, precision=precision), weights).weights.dtype == np.float32


class TestReadOnly:
    def test_weights_cannot_be_written(self) -> None:
        made = record()
        for weights in (made.weights, made.head(1, 5), made.mean().weights, made.select([1], [0]).weights):
            with pytest.raises(ValueError, match="read-only"):
                weights[...] = 0

    def test_names_cannot_be_changed(self) -> None:
        with pytest.raises(AttributeError):
            record().layers = (0, 1)  # type: ignore[misc]

    def test_the_callers_array_stays_writable_and_what_is_written_to_it_does_not_reach_the_record(self) -> None:
        weights = distributions(2, 3, 5, 7)
        view = weights[:]
        view.flags.writeable = False
        for some in (weights, view, view[:]):
            made = Attention.on(axes(), some)
            assert weights.flags.writeable
            assert not np.shares_memory(made.weights, weights)

    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    def test_an_array_that_nobody_can_write_is_kept_without_a_copy_if_it_is_of_single_precision(
        self, dtype: type
    ) -> None:
        weights = distributions(2, 3, 5, 7).astype(dtype)
        weights.flags.writeable = False
        made = Attention.on(axes(), weights[:])
        assert made.weights.dtype == np.float32
        assert np.shares_memory(made.weights, weights) == (dtype is np.float32)
        from_bytes = np.frombuffer(distributions(2, 3, 5, 7).tobytes(), np.float32).reshape(2, 3, 5, 7)
        assert np.shares_memory(Attention.on(axes(), from_bytes).weights, from_bytes)


class TestSelect:
    def test_a_head_is_named_by_its_original_indices(self) -> None:
        made = record()
        assert_array_equal(made.head(1, 7), made.weights[1, 1])
        assert_array_equal(made.head(4, 5), made.weights[0, 2])

    def test_a_selection_keeps_original_indices_and_takes_the_order_asked_for(self) -> None:
        made = record()
        chosen = made.select([1], [5, 0])
        assert (chosen.layers, chosen.heads) == ((1,), (5, 0))
        assert_array_equal(chosen.weights, made.weights[1:, [2, 0]])
        again = chosen.select([1], [0])
        assert_array_equal(again.weights[0, 0], made.head(1, 0))

    def test_a_single_layer_or_head_may_be_named_by_its_number(self) -> None:
        made = record()
        for layers, heads in ((1, 5), ([1], 5), (1, [5])):
            chosen = made.select(layers, heads)
            assert (chosen.layers, chosen.heads) == ((1,), (5,))
            assert_array_equal(chosen.weights[0, 0], made.weights[1, 2])

    @pytest.mark.parametrize(("layer", "head", "said"), [(2, 0, "no layer 2 here, only 4,1"), (1, 1, "no head 1 here")])
    def test_a_layer_or_a_head_that_is_not_held_is_refused(self, layer: int, head: int, said: str) -> None:
        with pytest.raises(UsageError, match=said):
            record().head(layer, head)

    def test_a_selection_keeps_every_other_name(self) -> None:
        chosen = record(sink=True, notes=("a note",)).select([4], [7])
        assert (chosen.kind, chosen.model, chosen.sink, chosen.notes) == (Kind.CROSS, "some/model", True, ("a note",))
        assert (chosen.query_tokens, chosen.key_tokens) == (axes().query_tokens, axes().key_tokens)


class TestRows:
    def test_the_rows_asked_for_are_kept_in_that_order_with_their_tokens(self) -> None:
        made = record()
        kept = made.rows([3, 1])
        assert [token.position for token in kept.query_tokens] == [3, 1]
        assert kept.key_tokens == made.key_tokens
        assert_array_equal(kept.weights, np.stack((made.weights[:, :, 3], made.weights[:, :, 1]), axis=2))

    def test_a_word_looks_at_the_mean_of_what_its_pieces_look_at(self) -> None:
        made = record()
        expected = (made.weights[:, :, 1].astype(np.float64) + made.weights[:, :, 3]) / 2
        assert_allclose(made.looks_at(Word("word", (1, 3), ())), expected, atol=1e-7)

    def test_a_word_is_looked_at_as_much_as_its_pieces_together(self) -> None:
        made = record()
        expected = made.weights[..., 2].astype(np.float64) + made.weights[..., 6]
        assert_allclose(made.looked_at_by(Word("word", (), (2, 6))), expected, atol=1e-6)

    def test_keys_behind_a_query_are_at_negative_distances(self) -> None:
        named = axes(kind=Kind.DECODER, queries=tokens(6)[2::3], keys=6)
        assert_array_equal(named.distances(), [[-2, -1, 0, 1, 2, 3], [-5, -4, -3, -2, -1, 0]])

    def test_groups_of_tokens_are_counted_and_not_the_tokens_in_them(self) -> None:
        groups = tuple(Token("g", first) for first in (0, 1, 5, 7))
        named = axes(kind=Kind.DECODER, queries=groups[1:2], keys=groups)
        assert_array_equal(named.distances(), [[-1, 0, 1, 2]])

    def test_between_two_sequences_there_is_no_distance(self) -> None:
        assert axes(kind=Kind.CROSS).distances() is None


class TestMean:
    def test_it_is_the_mean_over_layers_and_heads(self) -> None:
        made = record()
        assert_allclose(made.mean().weights[0, 0], np.mean(made.weights.astype(np.float64), (0, 1)), atol=1e-7)
        assert made.mean().shape == (1, 1, QUERIES, KEYS)

    def test_it_has_the_index_of_averages_and_says_what_it_averaged(self) -> None:
        averaged = record(layers=(2, 3), heads=(0, 1, 5), notes=("earlier",)).mean()
        assert (averaged.layers, averaged.heads) == ((AVERAGE,), (AVERAGE,))
        assert averaged.notes == ("earlier", "mean over layers 2-3, heads 0-1,5")

    def test_an_average_is_its_own(self) -> None:
        averaged = record().mean()
        assert averaged.mean() is averaged


class TestWithoutSpecial:
    def test_special_tokens_go_and_rows_are_divided_by_what_is_left(self) -> None:
        named = axes(layers=1, heads=1, names=tokens(3, special=[0]))
        weights = np.array([[[[1, 0, 0], [0.5, 0.125, 0.375], [0.2, 0, 0.8]]]], np.float32)
        left = Attention.on(named, weights).without_special()
        assert_allclose(left.weights, [[[[0.25, 0.75], [0, 1]]]], atol=1e-7)
        assert left.query_tokens == left.key_tokens == named.key_tokens[1:]
        assert replace(Attention.on(named, weights), sink=True).without_special().sink
        assert left.notes == ("special tokens dropped, rows renormalised",)
        assert not left.sink

    def test_the_two_axes_are_cut_each_by_its_own_tokens(self) -> None:
        made = record(queries=tokens(QUERIES, special=[1]), keys=tokens(KEYS, special=[0, 6])).without_special()
        assert [token.position for token in made.query_tokens] == [0, 2, 3, 4]
        assert [token.position for token in made.key_tokens] == [1, 2, 3, 4, 5]
        assert made.weights.shape == (2, 3, 4, 5)

    def test_a_row_that_looked_at_special_tokens_only_comes_out_empty_and_sunk(self) -> None:
        named = axes(layers=1, heads=1, queries=2, keys=tokens(3, special=[0]))
        left = Attention.on(named, np.array([[[[1, 0, 0], [0.5, 0.25, 0.25]]]], np.float32)).without_special()
        assert_array_equal(left.weights, [[[[0, 0], [0.5, 0.5]]]])
        assert left.sink

    def test_where_there_are_none_nothing_is_done_and_nothing_said(self) -> None:
        made = record()
        assert made.without_special() is made

    @pytest.mark.parametrize(("queries", "keys"), [(range(QUERIES), ()), ((), range(KEYS))])
    def test_special_tokens_alone_are_refused(self, queries: Collection[int], keys: Collection[int]) -> None:
        made = record(queries=tokens(QUERIES, special=queries), keys=tokens(KEYS, special=keys))
        with pytest.raises(UsageError, match="nothing is left"):
            made.without_special()

    @given(special=st.sets(st.integers(0, KEYS - 1), max_size=KEYS - 1))
    def test_rows_sum_to_1_and_keep_their_proportions(self, special: set[int]) -> None:
        before = record(names=tokens(KEYS, special=special))
        after = before.without_special().weights.astype(np.float64)
        kept = sorted(set(range(KEYS)) - special)
        share = before.weights.astype(np.float64)[:, :, kept][..., kept]
        assert_allclose(after.sum(-1), 1, atol=1e-6)
        assert_allclose(after * share[..., :1], share * after[..., :1], atol=1e-6)


class TestRanges:
    @pytest.mark.parametrize(
        ("indices", "written"),
        [([], ""), ([3], "3"), ([0, 1], "0-1"), ([0, 1, 2, 3, 5], "0-3,5"), ([7, 2, 3], "7,2-3"), ([2, 2], "2,2")],
    )
    def test_runs_are_written_as_people_do(self, indices: list[int], written: str) -> None:
        assert format_ranges(indices) == written

    @given(st.lists(st.integers(0, 12), min_size=1))
    def test_every_index_of_a_written_range_can_be_read_back(self, indices: list[int]) -> None:
        runs = [[int(end) for end in run.split("-")] for run in format_ranges(indices).split(",")]
        assert [index for run in runs for index in range(run[0], run[-1] + 1)] == indices


def layers_of(selection: Selection, count: int, model: str) -> tuple[int, ...]:
    ((layers, _),) = selection.groups_of([(tuple(range(count)), (0,))], model)
    return layers


def heads_of(selection: Selection, count: int, model: str) -> tuple[int, ...]:
    ((_, heads),) = selection.groups_of([((0,), tuple(range(count)))], model)
    return heads


def test_layers_that_do_not_attend_are_not_there() -> None:
    there = [((4, 12, 20), (0, 1))]
    assert Selection(layers=(12, 4)).groups_of(there, "m") == [((12, 4), (0, 1))]
    with pytest.raises(UsageError) as raised:
        Selection(layers=(5,)).groups_of(there, "some model")
    assert str(raised.value) == "There is no layer 5: some model has layers 4,12,20."


@pytest.mark.parametrize(("axis", "of"), [("layer", layers_of), ("head", heads_of)])
class TestSelection:
    def test_an_empty_selection_selects_everything(self, axis: str, of: Callable[..., tuple[int, ...]]) -> None:
        assert of(Selection(), 3, "m") == (0, 1, 2)

    def test_what_is_wanted_keeps_its_order(self, axis: str, of: Callable[..., tuple[int, ...]]) -> None:
        assert of(Selection(**{f"{axis}s": (2, 0)}), 3, "m") == (2, 0)

    def test_what_is_wanted_twice_is_there_once(self, axis: str, of: Callable[..., tuple[int, ...]]) -> None:
        assert of(Selection(**{f"{axis}s": (2, 0, 2)}), 3, "m") == (2, 0)

    @pytest.mark.parametrize(
        ("index", "count", "there"), [(3, 3, "{0}s 0 to 2"), (-1, 3, "{0}s 0 to 2"), (1, 1, "only {0} 0")]
    )
    def test_an_index_out_of_range_is_refused_with_those_there_are(
        self, axis: str, of: Callable[..., tuple[int, ...]], index: int, count: int, there: str
    ) -> None:
        with pytest.raises(UsageError) as raised:
            of(Selection(**{f"{axis}s": (0, index)}), count, "some model")
        assert str(raised.value) == f"There is no {axis} {index}: some model has {there.format(axis)}."


UNEVEN = [((0, 3), (0, 1)), ((1, 2), (0, 1, 2))]


class TestSelectionAmongGroups:
    def test_an_empty_selection_selects_everything(self) -> None:
        assert Selection().groups_of(UNEVEN, "m") == UNEVEN

    def test_layers_are_taken_from_the_groups_that_have_them(self) -> None:
        assert Selection(layers=(2, 3)).groups_of(UNEVEN, "m") == [((3,), (0, 1)), ((2,), (0, 1, 2))]
        assert Selection(layers=(2,)).groups_of(UNEVEN, "m") == [((2,), (0, 1, 2))]

    def test_heads_alone_leave_out_layers_that_lack_them(self) -> None:
        assert Selection(heads=(2,)).groups_of(UNEVEN, "m") == [((1, 2), (2,))]
        assert Selection(heads=(2, 1)).groups_of(UNEVEN, "m") == [((0, 3), (1,)), ((1, 2), (2, 1))]

    def test_a_named_layer_that_lacks_a_head_is_refused_with_those_that_have_it(self) -> None:
        with pytest.raises(UsageError) as raised:
            Selection(layers=(2, 3), heads=(2,)).groups_of(UNEVEN, "some model")
        assert str(raised.value) == (
            "There is no head 2 in layer 3 of some model, which has heads 0 to 1: layers 1-2 have it."
        )


def test_the_mean_of_one_record_is_its_own() -> None:
    made = record()
    assert_array_equal(average([made]).weights, made.mean().weights)
    assert average([made]).notes == made.mean().notes


def test_a_list_of_records_is_no_record() -> None:
    with pytest.raises(UsageError, match="attend returns a list"):
        require_record([record()])


def test_the_mean_of_records_of_several_groups_of_layers_counts_every_head_once() -> None:
    weights = distributions(2, 3, QUERIES, KEYS)
    few = Attention.on(axes(layers=(0,), heads=(0, 1)), weights[:1, :2])
    many = Attention.on(axes(layers=(1,), heads=(0, 1, 2)), weights[1:])
    mean = average([few, many])
    assert (mean.layers, mean.heads) == ((AVERAGE,), (AVERAGE,))
    every = np.concatenate([weights[0, :2], weights[1]])
    assert_allclose(mean.weights[0, 0], every.mean(0), atol=1e-6)
    assert mean.notes == ("mean over layer 0, heads 0-1; layer 1, heads 0-2",)
