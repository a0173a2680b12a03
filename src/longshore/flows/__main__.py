"""`python -m longshore.flows STATE_DIRECTORY …`: the engine of a state directory, see longshore.engine.embedded."""

from longshore.engine.embedded import main
from longshore.flows.workflows import FLOWS

if __name__ == "__main__":
    main(FLOWS)
