"""What tests share: where an assert of it fails, pytest says what was found there."""

import booted
import ports
import running


def test_asserts_of_shared_modules_are_rewritten_as_those_of_tests_are():
    for module in (booted, ports, running):
        assert type(module.__loader__).__name__ == "AssertionRewritingHook", module
