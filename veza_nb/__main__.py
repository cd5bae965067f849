"""`python -m veza_nb` is `veza-nb`."""

from veza_nb.cli import main

main()
