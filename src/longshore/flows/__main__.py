"""`python -m longshore.flows STATE_DIRECTORY …`: the engine of a state directory, see longshore.engine.embedded."""

from longshore.processes.memory import seldom_look_for_cycles

if __name__ == "__main__":
    seldom_look_for_cycles()  # also not while all of this is imported
    from longshore.engine.embedded_process import main
    from longshore.flows.workflows import FLOWS

    main(FLOWS)
