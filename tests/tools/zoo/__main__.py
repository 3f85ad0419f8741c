"""Checks the weights of a small model of every type that transformers knows: `python -m tests.tools.zoo --help`."""

import argparse
from pathlib import Path

from rich.console import Console
from rich.progress import track
from transformers.models.auto.configuration_auto import CONFIG_MAPPING_NAMES

from tests.tools.zoo.building import text_types
from tests.tools.zoo.checking import Finding, Verdict
from tests.tools.zoo.processes import check_apart
from tests.tools.zoo.report import summary, table


def main() -> int:
    """Checks what was asked for; 1 if any weights are wrong."""
    options = _options()
    names = options.names or text_types()
    checked = check_apart(names, options.lengths, options.jobs)
    findings: list[Finding] = []
    for found in track(checked, "Checking", len(names), console=Console(stderr=True), transient=True):
        findings += found
        if options.output:  # after each, since all of them take long
            options.output.write_text(f"{summary(findings)}\n\n{table(findings)}\n", encoding="utf-8")
    print(summary(findings))
    if not options.output:
        print(f"\n{table(findings)}")
    return int(any(finding.verdict in (Verdict.WRONG, Verdict.CRASHED) for finding in findings))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.tools.zoo", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="TYPE", help="only these types, such as llama or t5:T5EncoderModel")
    parser.add_argument("--jobs", type=int, default=1, help="how many are checked at a time (%(default)s)")
    parser.add_argument(
        "--lengths", type=_lengths, default=(13, 163), metavar="N,N", help="how many tokens texts have (13,163)"
    )
    parser.add_argument("-o", "--output", type=Path, help="where to write the table, in Markdown")
    options = parser.parse_args()
    if unknown := [name for name in options.names if name.partition(":")[0] not in CONFIG_MAPPING_NAMES]:
        parser.error(f"transformers knows no {', '.join(unknown)}")
    return options


def _lengths(text: str) -> tuple[int, ...]:
    return tuple(map(int, text.split(",")))


if __name__ == "__main__":
    raise SystemExit(main())
