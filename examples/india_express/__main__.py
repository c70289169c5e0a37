"""`python -m examples.india_express`."""

from examples.india_express.run import main

raise SystemExit(main())
