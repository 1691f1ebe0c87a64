from __future__ import annotations

from relaytune.core.errors import MachineError
from relaytune.doctor.check import Check, attempt, cause, summary


def test_a_check_is_printed_in_columns_and_wrapped() -> None:
    check = Check("memory", "warning", "one two three four five six seven eight nine", "Do this.")
    assert check.text(width=70).splitlines() == [
        "warning  memory          one two three four five six seven eight nine",
        "                         → Do this.",
    ]
    assert check.text(width=65).splitlines()[1] == "                         nine"


def test_a_command_is_never_wrapped_so_that_it_can_be_copied() -> None:
    command = "`pip install --upgrade 'a-package-with-a-long-name>=1.0' another-package-with-a-long-name`"
    lines = Check("torch", "failed", "old", f"Take a newer one: {command} and try again.").text(width=80).splitlines()
    assert [line.strip() for line in lines[1:]] == ["→ Take a newer one:", command, "and try again."]
    assert Check("torch", "failed", "old", command).text(width=80).endswith(f"\n{'':25}→ {command}")


def test_whatever_a_trial_raises_is_a_failed_check_in_one_line() -> None:
    def trial() -> Check:
        raise OSError("libcudart.so.12:\n  cannot open")

    check = attempt("peft", trial, "Install it anew.")
    assert check == Check("peft", "failed", "OSError: libcudart.so.12: cannot open", "Install it anew.")


def test_our_own_errors_speak_for_themselves() -> None:
    assert cause(MachineError("no disk")) == "no disk"
    assert cause(KeyError()) == "KeyError"


def test_the_summary_counts() -> None:
    ok, warning, failed = (Check("x", state, "y") for state in ("ok", "warning", "failed"))
    assert summary([ok, warning]) == "This machine can train: 2 checks, 0 failed, 1 warning."
    assert summary([ok, failed, warning, warning]) == "This machine is not ready: 4 checks, 1 failed, 2 warnings."
