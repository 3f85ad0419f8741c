"""What attention costs: counted against closed forms and PyTorch, fitted to known powers, measured at tiny sizes."""

import io
import math
import multiprocessing
import time
import tracemalloc
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.text import Text
from msgspec.structs import replace
from rich.console import Console

from attnviz.costs import measurement, process
from attnviz.costs.counts import Counts, count, list_counts, list_layer_types, size_additive, size_multi_head
from attnviz.costs.measurement import HOW, Experiment, Point, Series, fit_exponent, measure
from attnviz.costs.methods import ATTENDING, METHODS, SCORING
from attnviz.costs.process import measure_peak, measure_sizes, measure_work, receive
from attnviz.errors import AttnvizError
from attnviz.reference.scores import SCORES, Sizes
from attnviz.views.image.cost import picture
from attnviz.views.image.pictures import render
from attnviz.views.image.style import Style
from attnviz.views.terminal import cost as terminal_cost
from attnviz.views.terminal.cost import scaled
from attnviz.vocabulary import Kind

GPT3 = size_multi_head(12_288, 96, 96)
MEGABYTE = 2**20


def together(parts: Any) -> Counts:
    return Counts.add_up(parts.values())


class TestParameters:
    def test_gpt3_has_its_published_number_of_parameters(self) -> None:
        counted = count(GPT3, 1).parameters
        assert counted["query"].head == 1_572_864 == 12_288 * 128
        assert together(counted) == Counts(6_291_456, 96 * 6_291_456, 57_982_058_496)

    def test_there_are_as_many_parameters_as_in_pytorchs_multihead_attention(self) -> None:
        from torch.nn import MultiheadAttention

        theirs = MultiheadAttention(35, 7, bias=False, kdim=11, vdim=11)
        ours = count(size_multi_head(35, 3, 7, context_width=11), 1).parameters
        assert together(ours).layer == sum(parameter.numel() for parameter in theirs.parameters())

    @pytest.mark.parametrize(("key_heads", "shared"), [(6, 1), (3, 2), (2, 3), (1, 6)])
    def test_maps_of_keys_and_values_are_counted_once_for_the_heads_that_share_them(
        self, key_heads: int, shared: int
    ) -> None:
        counted = count(size_multi_head(13, 5, 6, key_heads=key_heads, head_width=7), 1).parameters
        assert {each.head for each in counted.values()} == {13 * 7}
        assert counted["query"] == counted["output"] == Counts(91, 6 * 91, 5 * 6 * 91)
        assert counted["key"] == counted["value"] == Counts(91, 6 * 91 // shared, 5 * 6 * 91 // shared)

    def test_layers_that_share_their_maps_have_them_once_but_compute_each(self) -> None:
        counted = count(size_multi_head(14, 5, 7, distinct_layers=1), 3)
        assert together(counted.parameters).model == together(counted.parameters).layer == 4 * 14 * 14
        assert together(counted.operations).model == 5 * together(counted.operations).layer

    def test_additive_scores_have_as_many_parameters_as_their_score_function_learns(self) -> None:
        sizes = Sizes(queries=1, keys=1, query_width=11, key_width=22)
        counted = count(size_additive(width=11, key_width=22, inner=11), 1).parameters
        assert together(counted).model == SCORES["additive"].parameters(sizes)

    @pytest.mark.parametrize(
        ("shape", "wrong"),
        [((10, 1, 3), "a width of 10 cannot be split among 3 heads"), ((12, 1, 6), "cannot share 5 heads")],
    )
    def test_heads_that_cannot_be_are_refused(self, shape: tuple[int, int, int], wrong: str) -> None:
        with pytest.raises(ValueError, match=wrong):
            size_multi_head(*shape, key_heads=5 if "share" in wrong else None)


class TestOperations:
    def test_each_part_is_what_one_counts_by_hand(self) -> None:
        counted = count(size_multi_head(13, 5, 6, key_heads=2, head_width=7), 11).operations
        assert counted["projections"].layer == 2 * 11 * 13 * 7 * (6 + 2 + 2 + 6)
        assert counted["scores"].layer == 6 * 11 * 11 * (2 * 7 + 1)  # a product of 7 numbers, and the scale
        assert counted["weighted sum"].layer == 6 * 11 * 11 * 2 * 7
        assert all(each.model == 5 * each.layer for each in counted.values())

    def test_additive_scores_and_their_projections_take_what_the_score_function_says(self) -> None:
        counted = count(size_additive(width=11, key_width=22, inner=11), 7).operations
        sizes = Sizes(queries=7, keys=7, query_width=11, key_width=22)
        assert counted["projections"].head + counted["scores"].head == SCORES["additive"].operations(sizes)
        assert counted["weighted sum"].head == 2 * 7 * 7 * 22

    @given(tokens=st.integers(1, 10_000), times=st.integers(2, 10))
    def test_projections_grow_with_the_text_and_all_else_with_its_square(self, tokens: int, times: int) -> None:
        once, more = count(GPT3, tokens).operations, count(GPT3, times * tokens).operations
        assert more["projections"].model == times * once["projections"].model
        for name in ("scores", "weighted sum"):
            assert more[name].model == times**2 * once[name].model


class TestMemory:
    def test_the_weights_are_a_square_for_each_head(self) -> None:
        assert count(size_multi_head(35, 5, 7), 11).weights == Counts(121, 7 * 121, 5 * 7 * 121)

    def test_the_cache_has_the_keys_and_values_of_a_token_as_an_array_would(self) -> None:
        keys = values = np.zeros((5, 2, 7), np.float16)  # [layers, key heads, head width]
        cost = count(size_multi_head(13, 5, 6, key_heads=2, head_width=7), 11)
        assert list_counts(Kind.DECODER, cost)["cache_bytes"]["float16"] == {
            "token": keys.nbytes + values.nbytes,
            "tokens": 11 * (keys.nbytes + values.nbytes),
        }

    def test_an_encoder_keeps_nothing(self) -> None:
        assert list_counts(Kind.ENCODER, count(size_multi_head(35, 5, 7), 11))["cache_bytes"] is None

    def test_a_recurrent_networks_cache_has_its_states_and_what_is_made_of_them(self) -> None:
        assert count(size_additive(width=11, key_width=22, inner=13), 7).cache == 13 + 22


class TestLayersOfOtherKinds:
    def test_a_recurrent_one_takes_a_step_a_token_where_attention_takes_one(self) -> None:
        attention, recurrent, _ = list_layer_types(count(GPT3, 101))
        assert (attention.steps, attention.path) == (1, 1)
        assert (recurrent.steps, recurrent.path) == (101, 101)

    def test_a_recurrent_one_has_the_operations_of_two_maps_and_attention_those_of_its_layer(self) -> None:
        cost = count(size_multi_head(35, 5, 7), 11)
        attention, recurrent, convolution = list_layer_types(cost)
        assert attention.operations == together(cost.operations).layer
        assert recurrent.operations == 2 * 2 * 11 * 35 * 35
        assert convolution.operations == 3 * 2 * 11 * 35 * 35

    @pytest.mark.parametrize(("tokens", "layers"), [(1, 1), (3, 1), (4, 2), (9, 2), (10, 3), (243, 5), (244, 6)])
    def test_dilated_convolutions_reach_a_power_of_three(self, tokens: int, layers: int) -> None:
        assert list_layer_types(count(GPT3, tokens))[2].path == layers


class TestExponent:
    @given(power=st.floats(-3, 3), factor=st.floats(1e-6, 1e6))
    def test_a_power_is_found_whatever_stands_before_it(self, power: float, factor: float) -> None:
        sizes = [16, 32, 80, 500]
        assert fit_exponent(sizes, [factor * size**power for size in sizes]) == pytest.approx(power, abs=1e-5)

    def test_points_beside_the_line_are_fitted_as_numpy_does(self) -> None:
        sizes, values = [64, 128, 256, 512, 1024], [0.3, 1.4, 3.9, 19.0, 61.0]
        expected, _ = np.polyfit(np.log(sizes), np.log(values), 1)
        assert fit_exponent(sizes, values) == pytest.approx(expected, abs=1e-6)

    def test_nothing_is_fitted_to_two_points_or_to_none(self) -> None:
        assert fit_exponent([1, 2], [1, 4]) is None
        assert fit_exponent([], []) is None

    def test_what_does_not_grow_has_no_sign(self) -> None:
        found = fit_exponent([16, 32, 64], [2.1, 2.1, 2.1])
        assert found == 0.0
        assert math.copysign(1, found) == 1


SLACK = 4 * MEGABYTE
"""By how much a peak may be off: what is resident is counted a core at a time, and other pages come and go."""


class TestPeakOfMemory:
    def test_it_is_that_of_the_largest_array_though_that_is_gone(self) -> None:
        def work() -> float:
            return float(np.ones(64 * MEGABYTE // 8).sum())

        assert measure_peak(work) == pytest.approx(64 * MEGABYTE, abs=SLACK)

    def test_it_is_that_of_torch_too(self) -> None:
        import torch

        torch.ones(1).sum()
        assert measure_peak(lambda: torch.ones(64 * MEGABYTE // 4)) == pytest.approx(64 * MEGABYTE, abs=SLACK)

    def test_a_smaller_one_after_a_larger_is_seen(self) -> None:
        measure_peak(lambda: np.ones(128 * MEGABYTE // 8))
        assert measure_peak(lambda: np.ones(48 * MEGABYTE // 8)) == pytest.approx(48 * MEGABYTE, abs=SLACK)

    def test_memory_that_was_used_before_counts_again(self) -> None:
        for _ in range(4):  # freed memory is kept for the next that asks for as much, unless that is 32 MB or more
            assert measure_peak(lambda: np.ones(24 * MEGABYTE // 8)) == pytest.approx(24 * MEGABYTE, abs=SLACK)

    def test_doing_nothing_takes_next_to_nothing(self) -> None:
        measure_peak(lambda: None)
        assert (measure_peak(lambda: None) or 0) < SLACK


class TestMethods:
    def test_all_ways_to_attend_attend_alike(self) -> None:
        results = [np.asarray(prepare(67, 13)()).squeeze() for prepare in ATTENDING.values()]
        for result in results[1:]:
            np.testing.assert_allclose(result, results[0], atol=1e-5)

    @pytest.mark.parametrize("method", SCORING)
    def test_a_way_to_score_scores_each_pair(self, method: str) -> None:
        assert np.shape(METHODS[method](17, 13)()) == (17, 17)


class TestMeasuring:
    def test_each_size_is_timed_in_a_process_of_its_own_after_doing_nothing(self) -> None:
        (nothing, _), *found = measure_sizes("naive", [(17, 7), (29, 7)])
        assert nothing == 0
        assert len(found) == 2
        assert all(seconds > 0 for seconds, _ in found)
        assert multiprocessing.active_children() == []

    def test_the_process_ends_with_whoever_asked_for_it(self) -> None:
        found = measure_sizes("naive", [(4096, 64)])
        next(found)
        assert len(multiprocessing.active_children()) == 1
        found.close()
        assert multiprocessing.active_children() == []

    def test_large_arrays_are_seen_whole(self) -> None:
        work = METHODS["naive"](2048, 64)
        tracemalloc.start()  # which sees NumPy's arrays
        work()
        _, expected = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        _, (_, memory) = measure_sizes("naive", [(2048, 64)])
        assert memory == pytest.approx(expected, abs=SLACK)
        assert expected > 8 * SLACK

    def test_time_in_which_others_have_the_processor_is_not_counted(self) -> None:
        seconds, _ = measure_work(lambda: time.sleep(0.02))
        assert seconds < 0.01

    def test_of_several_runs_the_one_counts_that_was_least_disturbed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        runs, clock = iter([99.0, 3.0, 2.0, 7.0, 1.0]), [0.0]  # neither the first nor the last, for memory, is timed

        def work() -> None:
            clock[0] += next(runs)

        monkeypatch.setattr(process, "process_time", lambda: clock[0])
        assert measure_work(work)[0] == 2.0

    def test_a_process_that_was_ended_is_said_to_lack_memory(self) -> None:
        found = measure_sizes("naive", [(8192, 64)])
        next(found)
        (child,) = multiprocessing.active_children()
        child.kill()
        with pytest.raises(AttnvizError, match=r"naive at N = 8,192 .*too little memory, so give a smaller `longest`"):
            next(found)

    def test_a_process_that_gets_no_memory_is_said_to_lack_it(self) -> None:
        found = measure_sizes("naive", [(1 << 20, 1)])  # whose scores take 4 TB
        next(found)
        with pytest.raises(AttnvizError, match=r"naive at N = 1,048,576 .*too little memory, so give a smaller"):
            next(found)

    def test_what_a_library_says_is_passed_on(self) -> None:
        def refused() -> Iterator[process.Taken]:
            yield 0.0, None
            raise AttnvizError("no such kernel")

        found = refused()
        next(found)
        with pytest.raises(AttnvizError, match=r"^It cannot be measured: no such kernel\.$"):
            receive(found, "It")

    def test_three_experiments_double_their_sizes_up_to_the_longest(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(
            measurement, "measure_sizes", lambda method, sizes: iter([(1.0, 1), *((1.0, 1) for _ in sizes)])
        )
        said: list[str] = []
        attention, by_tokens, by_width = measure(128, said.append)
        assert [series.method for series in attention.series] == list(ATTENDING)
        assert [series.method for series in by_tokens.series] == [series.method for series in by_width.series]
        assert [sizes_of(each) for each in (attention, by_tokens, by_width)] == [
            [8, 16, 32, 64, 128],
            [1, 2, 4, 8, 16],
            [16, 32, 64, 128, 256],
        ]
        assert [each.variable for each in (attention, by_tokens, by_width)] == ["N", "N", "d"]
        assert len(said) == 7

    def test_memory_below_the_noise_is_not_fitted(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def found(method: str, sizes: Any) -> Any:
            yield 0.0, 40_000  # so that the noise is 320,000 bytes
            yield from ((n * 1e-3, 319_000 if n < 100 else 4000 * n) for n, _ in sizes)

        monkeypatch.setattr(measurement, "measure_sizes", found)
        series = next(measure(800)).series[0]  # 50, 100, 200, 400, 800
        assert series.noise == 320_000
        assert [series.is_noise(point) for point in series.points] == [True, False, False, False, False]
        assert series.memory_exponent == pytest.approx(1)
        assert series.time_exponent == pytest.approx(1)

    def test_where_memory_cannot_be_known_only_time_is_fitted(self, monkeypatch: pytest.MonkeyPatch) -> None:
        unknown = [(0.0, None), *((1e-3 * 4**n, None) for n in range(5))]
        monkeypatch.setattr(measurement, "measure_sizes", lambda method, sizes: iter(unknown))
        series = next(measure(800)).series[0]
        assert (series.time_exponent, series.memory_exponent) == (pytest.approx(2), None)


def sizes_of(experiment: Experiment) -> list[int]:
    (sizes,) = {tuple(point.size for point in series.points) for series in experiment.series}
    return list(sizes)


def shown(*renderables: Any, width: int = 60) -> str:
    console = Console(file=io.StringIO(), width=width, color_system=None, highlight=False, markup=False)
    for renderable in renderables:
        console.print(renderable)
    assert isinstance(console.file, io.StringIO)
    return "\n".join(line.rstrip() for line in console.file.getvalue().splitlines())


class TestTables:
    @pytest.mark.parametrize(
        ("number", "text"),
        [
            (0, "0"),
            (7, "7"),
            (999, "999"),
            (999.6, "1 k"),
            (1024, "1.02 k"),
            (57_982_058_496, "58 G"),
            (1e33, "1e+03 Q"),
        ],
    )
    def test_a_count_has_three_digits_and_a_prefix(self, number: float, text: str) -> None:
        assert scaled(number) == text

    def test_a_unit_stands_behind_the_prefix(self) -> None:
        assert (scaled(12, "B"), scaled(4_194_304, "B")) == ("12 B", "4.19 MB")

    def test_the_table_shows_the_parameters_of_gpt3(self) -> None:
        assert shown(*terminal_cost.tabulate_parameters(count(GPT3, 1))).splitlines() == [
            "Parameters     a head      a layer       96 layers",
            "query       1,572,864  150,994,944  14,495,514,624",
            "key         1,572,864  150,994,944  14,495,514,624",
            "value       1,572,864  150,994,944  14,495,514,624",
            "output      1,572,864  150,994,944  14,495,514,624",
            "together    6,291,456  603,979,776  57,982,058,496",
            "Heads share the width: with more of them, parameters stay",
            "the same and operations nearly so, but each head has fewer",
            "numbers for a key, and N×N weights of its own.",
        ]

    def test_shared_heads_and_layers_are_said(self) -> None:
        cost = count(size_multi_head(12, 5, 6, key_heads=2, distinct_layers=1), 7)
        text = shown(
            terminal_cost.title_kind(Kind.DECODER, cost.dimensions), *terminal_cost.tabulate_parameters(cost), width=200
        )
        assert "decoder · 5 layers × 6 heads of 2 · 2 of keys and values · width 12" in text
        assert "Groups of 3 heads share" in text
        assert "1 of 5 have their own" in text

    def test_memory_has_a_cache_unless_it_is_an_encoders(self) -> None:
        cost = count(size_multi_head(35, 5, 7), 11)
        assert "cache" not in shown(*terminal_cost.tabulate_memory(Kind.ENCODER, cost))
        for kind in (Kind.DECODER, Kind.CROSS):
            text = shown(*terminal_cost.tabulate_memory(kind, cost))
            assert "key/value cache, a token" in text
            assert "  700 B   1.4 kB" in text  # 2 · 5 layers · 35 numbers, of 2 and of 4 bytes

    @pytest.mark.parametrize(
        ("matrices", "biases", "said"),
        [
            (4 * 35 * 35, 0, "These maps have no biases."),
            (4 * 35 * 35, 1260, "Biases come on top: 1,260 numbers in the model."),
            (5 * 35 * 35, 0, "Its files hold 6,125 numbers in matrices of attention, but 4,900 were counted"),
        ],
    )
    def test_what_the_files_hold_beside_is_said(self, matrices: int, biases: int, said: str) -> None:
        cost = count(size_multi_head(35, 1, 7), 11)
        assert said in shown(terminal_cost.remark_on_files([cost], matrices, biases), width=200)

    def test_the_vector_of_additive_scores_is_no_matrix(self) -> None:
        cost = count(size_additive(width=11, key_width=22, inner=13), 7)
        assert "hold" not in shown(terminal_cost.remark_on_files([cost], 13 * 33, 0), width=200)

    def test_the_tables_show_time_memory_and_exponents(self) -> None:
        lines = shown(*terminal_cost.tabulate_experiment(MEASURED)).splitlines()
        assert lines[:11] == [
            "Attention, d = 64: time",
            "             naive  tiled",
            "N = 512    1.96 ms    2 s",
            "N = 1,024  12.3 µs    3 s",
            "grows as    N^2.00      –",
            "",
            "Attention, d = 64: peak memory",
            "            naive    tiled",
            "N = 512    3.1 MB   12 kB*",
            "N = 1,024       –     1 MB",
            "grows as   N^1.96  N^-0.01",
        ]
        assert "* below 65.5 kB, memory cannot be told from noise" in " ".join(lines)

    def test_the_exponents_that_are_expected_stand_above_those_that_are_measured(self) -> None:
        text = " ".join(shown(*terminal_cost.describe_measuring()).split())
        assert "time grows as N², because every query is compared with every key" in text
        assert "Memory grows as N² where all N×N numbers are held" in text
        assert "as N where they are not (online softmax" in text


MEASURED = Experiment(
    title="Attention",
    variable="N",
    fixed="d = 64",
    series=(
        Series(
            method="naive",
            points=(Point(512, 1.96e-3, 3_100_000), Point(1024, 12.3e-6, None)),
            noise=65_536,
            time_exponent=2.0,
            memory_exponent=1.96,
        ),
        Series(
            method="tiled",
            points=(Point(512, 2.0, 12_000), Point(1024, 3.0, 1_000_000)),
            noise=65_536,
            time_exponent=None,
            memory_exponent=-0.012,
        ),
    ),
)


class TestPicture:
    def test_a_column_an_experiment_has_time_above_memory_on_logarithmic_axes(self) -> None:
        figure = picture([MEASURED, replace(MEASURED, variable="d")])
        assert len(figure.axes) == 4
        assert {(axes.get_xscale(), axes.get_yscale()) for axes in figure.axes} == {("log", "log")}
        assert [axes.get_ylabel() for axes in figure.axes] == ["time in seconds", "", "peak memory in bytes", ""]

    def test_lines_have_the_points_that_are_above_the_noise_and_the_legend_names_their_exponents(self) -> None:
        time, memory = picture([MEASURED]).axes
        assert [list(line.get_ydata()) for line in time.lines] == [[1.96e-3, 12.3e-6], [2.0, 3.0]]
        assert [list(line.get_ydata()) for line in memory.lines] == [[3_100_000], [1_000_000]]
        legend = memory.get_legend()
        assert legend is not None
        assert [text.get_text() for text in legend.get_texts()] == ["naive ∝ $N^{1.96}$", "tiled ∝ $N^{-0.01}$"]
        assert "tiled" in [line.get_label() for line in time.lines]

    @pytest.mark.parametrize(("form", "start"), [("png", b"\x89PNG"), ("svg", b"<?xml"), ("pdf", b"%PDF")])
    def test_it_can_be_saved_in_each_format(self, form: str, start: bytes) -> None:
        assert render(picture([MEASURED]), form).startswith(start)

    def test_nothing_known_of_memory_leaves_its_axes_empty(self) -> None:
        unknown = tuple(replace(point, memory=None) for point in MEASURED.series[0].points)
        series = replace(MEASURED.series[0], points=unknown, memory_exponent=None)
        assert render(picture([replace(MEASURED, series=(series,))]), "png")

    @pytest.mark.parametrize(("width", "columns"), [("3.3in", 1), ("5in", 2), ("174mm", 3)])
    def test_it_is_as_wide_as_it_is_to_be_with_as_many_columns_as_have_room(self, width: str, columns: int) -> None:
        figure = picture([MEASURED] * 3, Style(figure_width=width))
        lefts = {round(axes.get_position().x0, 2) for axes in figure.axes if axes.axison}
        assert len(lefts) == columns
        assert sum(axes.axison for axes in figure.axes) == 6
        assert figure.get_figwidth() * 72 == pytest.approx(Style(figure_width=width).width)
        assert figure.dpi == 300

    def test_title_caption_and_font_are_those_of_the_style(self) -> None:
        style = Style(title="Of two ways", caption=False, font="DejaVu Serif")
        figure = picture([MEASURED], style)
        said = [text.get_text() for text in figure.findobj(Text)]
        assert "Of two ways" in said and HOW not in said
        assert "naive ∝ N^1.96" in said
        assert {text.get_fontfamily()[0] for text in figure.findobj(Text)} == {"DejaVu Serif"}
        written = [text.get_text().replace("\n", " ") for text in picture([MEASURED]).findobj(Text)]
        assert f"{HOW}; memory below 65.5 kB cannot be told from noise and is left out" in written

    def test_where_all_points_are_told_from_noise_the_caption_says_nothing_of_it(self) -> None:
        quiet = replace(MEASURED, series=MEASURED.series[:1])
        assert HOW in [text.get_text().replace("\n", " ") for text in picture([quiet]).findobj(Text)]

    def test_a_method_without_points_is_not_in_the_legend(self) -> None:
        noisy = replace(MEASURED.series[1], points=(Point(512, 2.0, 12_000), Point(1024, 3.0, 12_000)))
        time, memory = picture([replace(MEASURED, series=(MEASURED.series[0], noisy))]).axes
        names = [[text.get_text().split()[0] for text in axes.get_legend().get_texts()] for axes in (time, memory)]
        assert names == [["naive", "tiled"], ["naive"]]
