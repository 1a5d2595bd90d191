from collections.abc import Mapping

import pytest

from aiotel._demo.destination import Destination, destination_of, environ_for, jaeger_of, listens
from aiotel.testing import Receiver


def found(environ: Mapping[str, str], *, somebody_listens: bool = False) -> Destination:
    return destination_of(environ, listens=lambda _: somebody_listens)


def test_the_collector_that_the_environment_names_gets_all_signals() -> None:
    assert Destination(
        name="https://collector/otlp",
        urls={
            "traces": "https://collector/otlp/v1/traces",
            "metrics": "https://collector/otlp/v1/metrics",
            "logs": "https://collector/otlp/v1/logs",
        },
    ) == found({"OTEL_EXPORTER_OTLP_ENDPOINT": "https://collector/otlp/"})


def test_an_endpoint_of_one_signal_is_taken_as_it_is_and_for_that_one() -> None:
    destination = found(
        {
            "OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318",
            "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://jaeger:4318/v1/traces",
        }
    )

    assert "http://jaeger:4318/v1/traces" == destination.urls["traces"]
    assert "http://collector:4318/v1/logs" == destination.urls["logs"]


def test_without_a_name_it_is_who_listens_on_the_usual_port() -> None:
    assert "http://localhost:4318" == found({}, somebody_listens=True).name
    assert Destination() == found({"OTEL_EXPORTER_OTLP_ENDPOINT": " "})


def test_who_listens_is_found_by_trying() -> None:
    with Receiver() as receiver:
        assert listens(receiver.endpoint)

    assert not listens(receiver.endpoint)


@pytest.mark.parametrize("variable", ["OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT"])
def test_an_endpoint_that_is_none_is_a_fault_that_says_what_to_write(variable: str) -> None:
    fault = found({variable: "collector:4318"}).fault

    assert fault is not None
    assert "'collector:4318'" in fault
    assert "http://localhost:4318" in fault


def test_the_shop_sends_everything_here_and_soon_whatever_the_environment_says_of_exporters() -> None:
    environ = environ_for(
        {
            "HOME": "/home/ada",
            "HTTP_PROXY": "http://proxy:3128",
            "NO_PROXY": "intra",
            "OTEL_BSP_SCHEDULE_DELAY": "100",
            "OTEL_EXPORTER_OTLP_HEADERS": "authorization=secret",
            "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc",
            "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://elsewhere",
            "OTEL_METRICS_EXPORTER": "none",
        }
    )

    assert {
        "HOME": "/home/ada",
        "HTTP_PROXY": "http://proxy:3128",
        "NO_PROXY": "intra,127.0.0.1,localhost",
        "OTEL_BLRP_SCHEDULE_DELAY": "500",
        "OTEL_BSP_SCHEDULE_DELAY": "100",
        "OTEL_EXPORTER_OTLP_HEADERS": "authorization=secret",
        "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
        "OTEL_METRIC_EXPORT_INTERVAL": "1000",
        "no_proxy": "127.0.0.1,localhost",
    } == environ


@pytest.mark.parametrize(
    ("name", "page"),
    [
        ("http://localhost:4318", "http://localhost:16686"),
        ("https://collector/otlp", "http://collector:16686"),
        ("http://[::1]:4318", "http://[::1]:16686"),
    ],
)
def test_jaegers_page_is_looked_for_on_the_collectors_host(name: str, page: str) -> None:
    assert page == jaeger_of(Destination(name=name))
