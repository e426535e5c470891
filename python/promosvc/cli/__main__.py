"""`python -m promosvc.cli` is the command `promosvc`."""

from promosvc.cli import main

main()
