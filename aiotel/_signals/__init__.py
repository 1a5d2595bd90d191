"""What aiotel says, in OpenTelemetry's terms: traces, metrics and logs, each knowing only itself."""
