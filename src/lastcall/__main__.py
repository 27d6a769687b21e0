"""`python -m lastcall`: the same as `lastcall`."""

from lastcall.cli import main

if __name__ == "__main__":
    main()
