"""`python -m finecal.cli`."""

from finecal.cli.parser import main

if __name__ == "__main__":
    main()
