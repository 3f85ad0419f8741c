"""`python -m attnviz` is `attnviz`."""

import sys


def main() -> None:
    """Run the command; an interrupt ends it as quietly while it is imported as later."""
    try:
        from attnviz.cli.app import run

        run()
    except KeyboardInterrupt:
        sys.exit(130)
    except OSError as error:  # as where no more files can be opened
        sys.exit(f"Error: attnviz cannot start: {error.strerror}: {error.filename}.")


if __name__ == "__main__":
    main()
