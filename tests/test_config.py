"""The configuration is read once, and says what is wrong with it."""

from __future__ import annotations

from dataclasses import fields

import pytest

from aiotel import AiotelError, Config, ConfigError
from aiotel._config import usable_config


def test_what_the_environment_leaves_out_has_its_default() -> None:
    config = Config.from_env(
        {
            "AIOTEL_TRACE_MAX_AGE": " 2.5 ",
            "AIOTEL_DISABLED": "TRUE",
            "AIOTEL_DETACH": "app.jobs.*, *.worker",
            "AIOTEL_MAILBOX_SIZE": "10",
            "PATH": "/bin",
        }
    )

    assert config == Config(
        trace_max_age=2.5, disabled=True, detach=("app.jobs.*", "*.worker"), mailbox_size=10
    )


@pytest.mark.parametrize(
    ("variable", "text", "says"),
    [
        ("AIOTEL_TRACE_MAX_AGES", "1", "did you mean trace_max_age?"),
        ("AIOTEL_XYZZY", "1", "settings are: disabled, export"),
        ("AIOTEL_TRACE_MAX_AGE", "soon", "must be a number of seconds, not 'soon'"),
        ("AIOTEL_TRACE_MAX_AGE", "-1", "must be a number of seconds above zero, not -1.0"),
        ("AIOTEL_TRACE_MAX_AGE", "nan", "must be a number of seconds above zero"),
        ("AIOTEL_MAILBOX_SIZE", "1.5", "must be a whole number, not '1.5'"),
        ("AIOTEL_DISABLED", "maybe", "must be true or false, not 'maybe'"),
        ("AIOTEL_STALL_AFTER", "banana", """must be a number of seconds, or "adaptive", not 'banana'"""),
        ("AIOTEL_STALL_AFTER", "-1", 'must be a number of seconds above zero, or "adaptive", not -1.0'),
        ("AIOTEL_TASK_SPAN_WRITES", "both", 'must be "user" or "task"'),
    ],
)
def test_a_bad_value_is_named_with_what_would_do(variable: str, text: str, says: str) -> None:
    with pytest.raises(ConfigError, match=r"^" + variable.removeprefix("AIOTEL_").lower()) as raised:
        Config.from_env({variable: text})

    assert says in str(raised.value)
    assert raised.value.field == variable.removeprefix("AIOTEL_").lower()
    assert isinstance(raised.value, AiotelError)
    assert isinstance(raised.value, ValueError)


@pytest.mark.parametrize("text", ["adaptive", "Adaptive", " ADAPTIVE "])
def test_adaptive_may_be_written_in_any_case(text: str) -> None:
    assert Config.from_env({"AIOTEL_STALL_AFTER": text}) == Config(stall_after="adaptive")


@pytest.mark.parametrize(
    "field", [*[field.name for field in fields(Config) if field.name != "redact"], "xyzzy"]
)
def test_a_variable_that_is_empty_is_as_if_it_were_not_set(field: str) -> None:
    environ = {f"AIOTEL_{field.upper()}": ""}

    assert Config.from_env(environ) == Config()
    assert usable_config(environ) == (Config(), [])


def test_an_empty_redact_keeps_what_it_was_to_keep() -> None:
    config, faults = usable_config({"AIOTEL_REDACT": ""})

    assert len(faults) == 1
    assert config.redact is not None
    assert "4111" not in config.redact("card 4111")


def test_values_given_in_code_are_checked_too() -> None:
    with pytest.raises(ConfigError, match="mailbox_size must be a whole number above zero, not True"):
        Config(mailbox_size=True)


def judge(failure: object) -> str | None:
    return f"judged {failure}"


def test_functions_are_named_by_their_module_and_imported_when_needed() -> None:
    config = Config.from_env({"AIOTEL_REDACT": "no_such_module:f", "AIOTEL_SEVERITY": f"{__name__}:judge"})

    assert config.severity is not None
    assert config.redact is not None
    assert config.severity("this") == "judged this"  # type: ignore[arg-type]  # ours takes anything
    with pytest.raises(ModuleNotFoundError):
        config.redact("card 4111")


@pytest.mark.parametrize("text", ["nonsense", "textwrap:", ":f"])
def test_a_function_without_a_name_is_an_error_and_nothing_is_told_by_that_mistake(text: str) -> None:
    with pytest.raises(ConfigError, match="redact must be module:name of a function"):
        Config.from_env({"AIOTEL_REDACT": text})

    config, faults = usable_config({"AIOTEL_REDACT": text})
    assert config.redact is not None
    assert "4111" not in config.redact("card 4111")
    assert len(faults) == 1
