"""From OpenTelemetry's environment variables to providers, and from our histograms to their readers."""
